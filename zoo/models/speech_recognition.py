"""Acoustic models: frames in, logits of symbols at every few frames out, a blank among them; trained with zoo.losses.ctc.CTC.

Every model has the input frames (batch, time, num_mels) float32, frames of zeros after a clip's end are padding, and the output logits
(batch, ceil(time / stride), symbols) float32, whose Keras mask is the padding that is left.
"""

import itertools

import keras
from keras import layers
from keras.initializers import GlorotUniform, HeNormal, Orthogonal

from zoo.errors import InputError, check_sizes
from zoo.layers.attention import SelfAttention, SinusoidalPositions
from zoo.layers.augmentation import SpecAugment
from zoo.layers.decoders import cell_named
from zoo.layers.temporal import CentredDepthwiseConv1D, FramePadding, PaddingFrom, SplitFrames, TimeConv1D
from zoo.models.speech_embedding import FRAMES_PER_EMBEDDING, _encode
from zoo.models.trigger_word import _residual_block, _seeds
from zoo.registry import register

EXAMPLE = {"num_mels": 8, "symbols": 5}


def _start(num_mels, masks, seed):
    """(input, what comes after padding is told and masks are drawn)."""
    check_sizes(num_mels=num_mels)
    check_sizes(least=0, masks=masks)
    frames = keras.Input((None, num_mels), name="frames")
    x = FramePadding(name="padding")(frames)
    # a stretch of a fifth, the layer's own, can be the whole word of a short clip
    widths = {"time_share": 0.1, "band_width": max(1, num_mels // 4), "seed": seed}
    return frames, SpecAugment(masks, band_masks=masks, name="spec_augment", **widths)(x) if masks else x


def _model(name, frames, x, symbols, seed):
    check_sizes(least=2, symbols=symbols)
    return keras.Model(frames, {"logits": _logits(x, symbols, seed)}, name=name)


def _logits(x, symbols, seed, name="logits"):
    return layers.Dense(symbols, kernel_initializer=GlorotUniform(seed), dtype="float32", name=name)(x)


def _convolution(x, channels, kernel_size, seed, name, stride=1, dilation=1, causal=True):
    """A convolution, normalised over the batch, and a ReLU."""
    options = {"strides": stride, "dilation_rate": dilation, "use_bias": False, "kernel_initializer": HeNormal(seed)}
    x = TimeConv1D(channels, kernel_size, causal=causal, name=name, **options)(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _deep_speech(name, both_ways, num_mels, symbols, channels, stride, units, depth, cell, masks, dropout, seed):
    """Two convolutions and recurrent layers, which look ahead and read both ways, or look back only."""
    check_sizes(channels=channels, stride=stride, units=units, depth=depth)
    layer, _ = cell_named(cell)
    first = 1000 * seed
    frames, x = _start(num_mels, masks, first)
    x = _convolution(x, channels, 9, first + 1, "conv_1", stride=stride, causal=not both_ways)
    x = _convolution(x, channels, 5, first + 2, "conv_2", causal=not both_ways)
    for index in range(1, depth + 1):
        place = first + 10 * index
        start = {"kernel_initializer": GlorotUniform(place), "recurrent_initializer": Orthogonal(seed=place + 1)}
        recurrent = layer(units, return_sequences=True, name=f"recurrent_{index}", **start)
        if both_ways:
            back = {"kernel_initializer": GlorotUniform(place + 2), "recurrent_initializer": Orthogonal(seed=place + 3)}
            back = layer(units, return_sequences=True, go_backwards=True, name=f"backwards_{index}", **back)
            recurrent = layers.Bidirectional(recurrent, backward_layer=back, name=f"both_ways_{index}")
        x = layers.LayerNormalization(name=f"norm_{index}")(recurrent(x))
        x = layers.Dropout(dropout, seed=place + 4, name=f"dropout_{index}")(x)
    return _model(name, frames, x, symbols, first + 3)


@register(
    "deep_speech",
    task="speech_recognition",
    source="Hannun et al. 2014, arXiv:1412.5567; Amodei et al. 2015, arXiv:1512.02595; the notes, bidirectional networks and CTC",
    streams=False,
    causal=False,
    example={**EXAMPLE, "channels": 8, "units": 8},
    variants=({**EXAMPLE, "channels": 8, "units": 8, "depth": 1, "cell": "lstm", "stride": 4},),
)
def deep_speech(*, num_mels=40, symbols=29, channels=128, stride=2, units=128, depth=2, cell="gru", masks=0, dropout=0.1, seed=0):
    """Two convolutions over time, the first with a stride, and recurrent layers that read both ways: it needs the whole clip.

    frames: (batch, time, num_mels) float32. logits: (batch, ceil(time / stride), symbols) float32. cell: 'gru' or 'lstm'.
    masks: SpecAugment's of time, and as many of frequency, in training.
    """
    return _deep_speech("deep_speech", True, num_mels, symbols, channels, stride, units, depth, cell, masks, dropout, seed)


@register(
    "streaming_deep_speech",
    task="speech_recognition",
    source="Amodei et al. 2015, arXiv:1512.02595, without the look ahead",
    streams=True,
    example={**EXAMPLE, "channels": 8, "units": 8},
)
def streaming_deep_speech(
    *, num_mels=40, symbols=29, channels=128, stride=2, units=192, depth=2, cell="gru", masks=0, dropout=0.1, seed=0
):
    """The same, looking back only: it writes while it hears.

    frames: (batch, time, num_mels) float32. logits: (batch, ceil(time / stride), symbols) float32. The arguments: as deep_speech's.
    """
    return _deep_speech(
        "streaming_deep_speech", False, num_mels, symbols, channels, stride, units, depth, cell, masks, dropout, seed
    )


@register(
    "tdnn_recognizer",
    task="speech_recognition",
    source="Waibel et al. 1989; Peddinti et al. 2015; the notes, time-delay neural networks",
    streams=False,
    causal=False,
    example={**EXAMPLE, "channels": 8},
)
def tdnn_recognizer(*, num_mels=40, symbols=29, channels=192, stride=2, dilations=(1, 2, 3, 3), masks=0, dropout=0.1, seed=0):
    """A time-delay neural network: convolutions whose taps stand further and further apart, as far ahead as back.

    frames: (batch, time, num_mels) float32. logits: (batch, ceil(time / stride), symbols) float32. dilations: frames between the three taps
    of each layer after the first. masks: as deep_speech's.
    """
    check_sizes(channels=channels, stride=stride)
    for dilation in dilations:
        check_sizes(dilations=dilation)
    first = 1000 * seed
    frames, x = _start(num_mels, masks, first)
    x = _convolution(x, channels, 5, first + 1, "conv_0", stride=stride, causal=False)
    for index, dilation in enumerate(dilations, 1):
        x = _convolution(x, channels, 3, first + 10 * index, f"conv_{index}", dilation=dilation, causal=False)
        x = layers.Dropout(dropout, seed=first + 10 * index + 1, name=f"dropout_{index}")(x)
    return _model("tdnn_recognizer", frames, x, symbols, first + 2)


@register(
    "separable_recognizer",
    task="speech_recognition",
    source="Kriman et al. 2019, arXiv:1910.10261 (QuartzNet); Majumdar & Ginsburg 2020, arXiv:2004.08531 (MatchboxNet); causal",
    streams=True,
    example={**EXAMPLE, "channels": 8, "blocks": 2, "kernel_size": 3},
)
def separable_recognizer(
    *, num_mels=40, symbols=29, channels=96, stride=2, blocks=8, kernel_size=9, masks=0, dropout=0.1, seed=0
):
    """A residual network of depthwise-separable convolutions that look back only: small, and it streams.

    frames: (batch, time, num_mels) float32. logits: (batch, ceil(time / stride), symbols) float32. It sees stride * blocks *
    (kernel_size - 1) + 5 frames back. masks: as deep_speech's.
    """
    check_sizes(channels=channels, stride=stride, blocks=blocks, kernel_size=kernel_size)
    first = 1000 * seed
    frames, x = _start(num_mels, masks, first)
    x = _convolution(x, channels, 5, first + 1, "stem", stride=stride)
    x = _separable(x, blocks, kernel_size, dropout, first)
    return _model("separable_recognizer", frames, x, symbols, first + 2)


def _separable(x, blocks, kernel_size, dropout, seed):
    """Residual blocks of a depthwise convolution that looks back and a mix of channels."""
    for index in range(1, blocks + 1):
        new = itertools.count(seed + 10 * index).__next__
        x = _residual_block(x, kernel_size, new, f"block_{index}")
        x = layers.Dropout(dropout, seed=new(), name=f"block_{index}_dropout")(x)
    return x


@register(
    "embedding_recognizer",
    task="speech_recognition",
    source="Lin et al. 2020, arXiv:2002.01322 (its input); Kriman et al. 2019, arXiv:1910.10261 (its blocks)",
    streams=True,
    example={"features": 6, "symbols": 5, "channels": 8, "blocks": 2, "kernel_size": 3},
    variants=({"features": 6, "symbols": 5, "channels": 8, "blocks": 1, "kernel_size": 3, "per_embedding": 2},),
)
def embedding_recognizer(
    *, features=96, symbols=29, channels=96, blocks=4, kernel_size=5, per_embedding=1, masks=0, dropout=0.1, seed=0
):
    """The head of a recogniser: depthwise-separable convolutions over a speech encoder's embeddings, which look back only.

    embedding: (batch, time, features) float32, as `speech_embedding` gives, zeros after a clip's end. logits: (batch, time * per_embedding,
    symbols) float32. masks: SpecAugment's of time, in training.
    """
    check_sizes(features=features)
    embedding = keras.Input((None, features), name="embedding")
    x = FramePadding(name="padding")(embedding)
    logits = _embedding_head(x, symbols, channels, blocks, kernel_size, per_embedding, masks, dropout, 1000 * seed)
    return keras.Model(embedding, {"logits": logits}, name="embedding_recognizer")


@register(
    "speech_embedding_recognizer",
    task="speech_recognition",
    source="Lin et al. 2020, arXiv:2002.01322; Kriman et al. 2019, arXiv:1910.10261",
    streams=True,
    example={"width": 1 / 6, "symbols": 5, "channels": 8, "blocks": 1, "kernel_size": 3, "dropout": 0.0},
)
def speech_embedding_recognizer(
    *,
    num_mels=32,
    width=1.0,
    symbols=29,
    channels=96,
    blocks=4,
    kernel_size=5,
    per_embedding=1,
    masks=0,
    dropout=0.1,
    seed=0,
):
    """A pretrained speech encoder and a recogniser's head: `speech_embedding` and `embedding_recognizer` as one model, which streams.

    frames: (batch, time, num_mels) float32, as `zoo.layers.audio.speech_embedding_front_end` gives, zeros after a clip's end. logits: (batch,
    time // 8 * per_embedding, symbols) float32. The encoder's weights are random here; `apps.data.encoder` reads pretrained ones.
    """
    check_sizes(num_mels=num_mels)
    frames = keras.Input((None, num_mels), name="frames")
    x = _encode(frames, width, _seeds(seed))
    x = PaddingFrom(FRAMES_PER_EMBEDDING, name="padding")([x, frames])
    logits = _embedding_head(x, symbols, channels, blocks, kernel_size, per_embedding, masks, dropout, 1000 * seed)
    return keras.Model(frames, {"logits": logits}, name="speech_embedding_recognizer")


def _embedding_head(x, symbols, channels, blocks, kernel_size, per_embedding, masks, dropout, seed):
    """Logits of embeddings."""
    check_sizes(least=2, symbols=symbols)
    check_sizes(channels=channels, blocks=blocks, kernel_size=kernel_size, per_embedding=per_embedding)
    check_sizes(least=0, masks=masks)
    x = layers.BatchNormalization(center=False, scale=False, name="embedding_norm")(x)
    if masks:
        x = SpecAugment(masks, band_masks=0, time_share=0.1, seed=seed, name="spec_augment")(x)
    x = _convolution(x, channels, 3, seed + 1, "stem")
    x = _separable(x, blocks, kernel_size, dropout, seed)
    x = _logits(x, symbols * per_embedding, seed + 2, "logits" if per_embedding == 1 else "logits_together")
    return x if per_embedding == 1 else SplitFrames(per_embedding, dtype="float32", name="logits")(x)


@register(
    "conformer",
    task="speech_recognition",
    source="Gulati et al. 2020, arXiv:2005.08100, with sinusoidal positions",
    streams=False,
    causal=False,
    example={**EXAMPLE, "dimensions": 8, "blocks": 1, "heads": 2, "kernel_size": 3},
)
def conformer(
    *, num_mels=40, symbols=29, dimensions=96, stride=4, blocks=4, heads=4, kernel_size=15, masks=0, dropout=0.1, seed=0
):
    """A small Conformer: attention for what is far, a convolution for what is near, between two halves of a feed-forward layer.

    frames: (batch, time, num_mels) float32. logits: (batch, ceil(time / stride), symbols) float32. stride: an even number of frames.
    masks: as deep_speech's.
    """
    check_sizes(dimensions=dimensions, blocks=blocks, heads=heads, kernel_size=kernel_size)
    check_sizes(least=2, stride=stride)
    if stride % 2:
        raise InputError(f"`stride` is {stride}; expected an even number.")
    first = 1000 * seed
    frames, x = _start(num_mels, masks, first)
    x = _convolution(x, dimensions, 5, first + 1, "conv_1", stride=2, causal=False)
    x = _convolution(x, dimensions, 5, first + 2, "conv_2", stride=stride // 2, causal=False)
    x = layers.Dense(dimensions, kernel_initializer=GlorotUniform(first + 3), name="embedding")(x)
    x = SinusoidalPositions(name="positions")(x)
    for index in range(1, blocks + 1):
        x = _conformer_block(x, heads, kernel_size, dropout, index, first + 20 * index)
    return _model("conformer", frames, x, symbols, first + 4)


def _conformer_block(x, heads, kernel_size, dropout, index, seed):
    def added(x, y, name, place, share=1.0):
        y = layers.Dropout(dropout, seed=seed + place, name=f"{name}_dropout_{index}")(y)
        return layers.Add(name=f"{name}_added_{index}")([x, layers.Rescaling(share, name=f"{name}_share_{index}")(y)])

    def dense(size, place, name, activation=None):
        return layers.Dense(size, activation, kernel_initializer=GlorotUniform(seed + place), name=f"{name}_{index}")

    def half(x, name, place):
        y = dense(4 * size, place, f"{name}_wide", "silu")(layers.LayerNormalization(name=f"{name}_norm_{index}")(x))
        return added(x, dense(size, place + 1, f"{name}_narrow")(y), name, place + 2, 0.5)

    size = x.shape[-1]
    x = half(x, "before", 0)
    y = layers.LayerNormalization(name=f"attention_norm_{index}")(x)
    x = added(x, SelfAttention(heads, seed=seed + 3, name=f"attention_{index}")(y), "attention", 6)
    y = layers.LayerNormalization(name=f"convolution_norm_{index}")(x)
    y = layers.Multiply(name=f"gated_{index}")([dense(size, 7, "values")(y), dense(size, 12, "gates", "sigmoid")(y)])
    y = CentredDepthwiseConv1D(kernel_size, depthwise_initializer=HeNormal(seed + 8), name=f"convolution_{index}")(y)
    y = layers.Activation("silu", name=f"activated_{index}")(layers.BatchNormalization(name=f"batch_norm_{index}")(y))
    x = added(x, dense(size, 9, "mixed")(y), "convolution", 10)
    return layers.LayerNormalization(name=f"norm_{index}")(half(x, "after", 13))
