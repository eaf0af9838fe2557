"""Detectors of spoken words that score every frame."""

import itertools

import keras
from keras import layers
from keras.initializers import GlorotUniform, HeNormal, Orthogonal

from zoo.errors import InputError, check_sizes
from zoo.layers.temporal import CausalDepthwiseConv1D
from zoo.registry import register


def _seeds(seed):
    """Distinct seeds for a model's initializers and dropouts."""
    return itertools.count(1000 * seed).__next__


def _residual_block(x, kernel_size, new, name):
    """A depthwise convolution over time and a mix of channels, added to what they are given: (batch, time, channels) both."""
    y = CausalDepthwiseConv1D(kernel_size, use_bias=False, depthwise_initializer=HeNormal(new()), name=f"{name}_time")(x)
    y = layers.Dense(x.shape[-1], use_bias=False, kernel_initializer=HeNormal(new()), name=f"{name}_mix")(y)
    y = layers.BatchNormalization(name=f"{name}_norm")(y)
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


@register(
    "course_trigger_word",
    task="trigger_word",
    source="the notes, trigger word detection",
    streams=False,
    example={"num_bands": 9, "filters": 8, "kernel_size": 5, "stride": 2, "units": 8, "dropout": 0.1},
)
def course_trigger_word(
    *,
    num_bands=101,
    filters=196,
    kernel_size=15,
    stride=4,
    units=128,
    dropout=0.8,
    padding="valid",
    reset_after=False,
    words=1,
    seed=0,
):
    """The course's network: a convolution and two GRUs over a linear spectrogram.

    frames: (batch, time, num_bands) float32, as `zoo.layers.audio.Spectrogram` gives; 10 s are 5511 frames.
    score: (batch, (time - kernel_size) // stride + 1, words) float32 in [0, 1]; 5511 frames give 1375 scores.
    522,561 weights with reset_after=False. padding='causal' makes it stream, with ceil(time / stride) scores.
    """
    check_sizes(num_bands=num_bands, filters=filters, kernel_size=kernel_size, stride=stride, units=units, words=words)
    if padding not in ("valid", "causal"):
        raise InputError(f"`padding` is {padding!r}; expected 'valid' (the course's) or 'causal' (streams).")
    new = _seeds(seed)
    frames = keras.Input((None, num_bands), name="frames")
    x = layers.Conv1D(
        filters, kernel_size, strides=stride, padding=padding, kernel_initializer=GlorotUniform(new()), name="conv"
    )(frames)
    x = layers.BatchNormalization(name="conv_norm")(x)
    x = layers.ReLU(name="conv_relu")(x)
    x = layers.Dropout(dropout, seed=new(), name="conv_dropout")(x)
    for index in (1, 2):
        x = layers.GRU(
            units,
            return_sequences=True,
            reset_after=reset_after,
            kernel_initializer=GlorotUniform(new()),
            recurrent_initializer=Orthogonal(seed=new()),
            name=f"gru_{index}",
        )(x)
        x = layers.Dropout(dropout, seed=new(), name=f"gru_{index}_dropout")(x)
        x = layers.BatchNormalization(name=f"gru_{index}_norm")(x)
    x = layers.Dropout(dropout, seed=new(), name="dropout")(x)
    score = layers.Dense(words, "sigmoid", kernel_initializer=GlorotUniform(new()), dtype="float32", name="score")(x)
    return keras.Model(frames, {"score": score}, name="course_trigger_word")


@register(
    "tcn_trigger_word",
    task="trigger_word",
    source="Choi et al. 2019, arXiv:1904.03814; Bai et al. 2018, arXiv:1803.01271",
    streams=True,
    example={"num_mels": 8, "channels": 8, "blocks": 2, "kernel_size": 3},
)
def tcn_trigger_word(*, num_mels=40, channels=64, blocks=8, kernel_size=9, stride=2, dropout=0.1, words=1, seed=0):
    """A causal residual network of depthwise-separable convolutions over time.

    frames: (batch, time, num_mels) float32. score: (batch, ceil(time / stride), words) float32 in [0, 1].
    It sees stride * blocks * (kernel_size - 1) + 5 frames back. 52,545 weights with the defaults.
    """
    check_sizes(num_mels=num_mels, channels=channels, blocks=blocks, kernel_size=kernel_size, stride=stride, words=words)
    new = _seeds(seed)
    frames = keras.Input((None, num_mels), name="frames")
    x = layers.Conv1D(
        channels, 5, strides=stride, padding="causal", use_bias=False, kernel_initializer=HeNormal(new()), name="stem"
    )(frames)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    for index in range(1, blocks + 1):
        x = _residual_block(x, kernel_size, new, f"block_{index}")
    x = layers.Dropout(dropout, seed=new(), name="dropout")(x)
    score = layers.Dense(words, "sigmoid", kernel_initializer=GlorotUniform(new()), dtype="float32", name="score")(x)
    return keras.Model(frames, {"score": score}, name="tcn_trigger_word")


@register(
    "conv_gru_trigger_word",
    task="trigger_word",
    source="Arik et al. 2017, arXiv:1703.05390",
    streams=True,
    example={"num_mels": 8, "channels": 8, "units": 8},
)
def conv_gru_trigger_word(*, num_mels=40, channels=48, kernel_size=9, stride=4, units=64, depth=2, dropout=0.1, words=1, seed=0):
    """A causal strided convolution and GRUs: the course's shape, small enough for a device.

    frames: (batch, time, num_mels) float32. score: (batch, ceil(time / stride), words) float32 in [0, 1].
    """
    check_sizes(
        num_mels=num_mels, channels=channels, kernel_size=kernel_size, stride=stride, units=units, depth=depth, words=words
    )
    new = _seeds(seed)
    frames = keras.Input((None, num_mels), name="frames")
    x = layers.Conv1D(
        channels, kernel_size, strides=stride, padding="causal", use_bias=False, kernel_initializer=HeNormal(new()), name="conv"
    )(frames)
    x = layers.BatchNormalization(name="conv_norm")(x)
    x = layers.ReLU(name="conv_relu")(x)
    for index in range(1, depth + 1):
        x = layers.GRU(
            units,
            return_sequences=True,
            kernel_initializer=GlorotUniform(new()),
            recurrent_initializer=Orthogonal(seed=new()),
            name=f"gru_{index}",
        )(x)
        x = layers.Dropout(dropout, seed=new(), name=f"gru_{index}_dropout")(x)
    score = layers.Dense(words, "sigmoid", kernel_initializer=GlorotUniform(new()), dtype="float32", name="score")(x)
    return keras.Model(frames, {"score": score}, name="conv_gru_trigger_word")
