"""A speech encoder for microcontrollers, and the detector that shares its layers."""

import keras
from keras import layers
from keras.initializers import GlorotUniform, HeNormal

from zoo.errors import check_sizes
from zoo.models.trigger_word import _residual_block, _seeds
from zoo.registry import register

# share of the channels, blocks and their kernel, at 20, 40 and 80 ms a frame
STAGES = ((0.5, 2, 9), (0.75, 2, 9), (1.0, 2, 9))


@register(
    "micro_speech_embedding",
    task="speech_encoder",
    source="Lin et al. 2020, arXiv:2002.01322 (its teacher); Choi et al. 2019, arXiv:1904.03814 (its blocks)",
    streams=True,
    example={"num_mels": 8, "channels": 8, "features": 96},
)
def micro_speech_embedding(*, num_mels=40, channels=56, features=96, seed=0):
    """A small causal network that learns to say what `speech_embedding` says of the undisturbed speech, every 80 ms.

    frames: (batch, time, num_mels) float32, as `zoo.layers.audio.MelFrontEnd` gives with its defaults.
    embedding: (batch, time // 8, features) float32. It sees 2.4 s back. 29,748 weights with the defaults.
    """
    check_sizes(num_mels=num_mels, channels=channels, features=features)
    new = _seeds(seed)
    frames = keras.Input((None, num_mels), name="frames")
    x = _trunk(frames, channels, new)
    embedding = layers.Dense(features, kernel_initializer=GlorotUniform(new()), dtype="float32", name="embedding")(x)
    return keras.Model(frames, {"embedding": embedding}, name="micro_speech_embedding")


@register(
    "micro_trigger_word",
    task="trigger_word",
    source="Choi et al. 2019, arXiv:1904.03814; Lin et al. 2020, arXiv:2002.01322",
    streams=True,
    example={"num_mels": 8, "channels": 8, "dropout": 0.0},
)
def micro_trigger_word(*, num_mels=40, channels=56, dropout=0.1, words=1, seed=0):
    """The layers of `micro_speech_embedding` and a score: a detector of less than 60 KB in int8.

    frames: (batch, time, num_mels) float32. score: (batch, time // 8, words) float32 in [0, 1]. 24,333 weights for one word.
    """
    check_sizes(num_mels=num_mels, channels=channels, words=words)
    new = _seeds(seed)
    frames = keras.Input((None, num_mels), name="frames")
    x = _trunk(frames, channels, new)
    x = layers.Dropout(dropout, seed=new(), name="dropout")(x)
    score = layers.Dense(words, "sigmoid", kernel_initializer=GlorotUniform(new()), dtype="float32", name="score")(x)
    return keras.Model(frames, {"score": score}, name="micro_trigger_word")


def _trunk(frames, channels, new):
    """Depthwise-separable residual blocks over time at three frame rates; each stage is half as often and wider."""
    x = frames
    for stage, (share, blocks, kernel) in enumerate(STAGES, 1):
        width, name = max(1, round(share * channels)), f"stage_{stage}"
        if stage == 1:
            x = layers.Conv1D(
                width, 5, strides=2, padding="causal", use_bias=False, kernel_initializer=HeNormal(new()), name="stem"
            )(x)
        else:
            x = layers.MaxPooling1D(2, name=f"{name}_pool")(x)
            x = layers.Dense(width, use_bias=False, kernel_initializer=HeNormal(new()), name=f"{name}_widen")(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        x = layers.ReLU(6.0, name=f"{name}_relu")(x)
        for index in range(1, blocks + 1):
            x = _residual_block(x, kernel, new, f"{name}_block_{index}")
    return x
