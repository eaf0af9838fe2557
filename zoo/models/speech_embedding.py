"""A speech encoder that was pretrained on people, and detectors of spoken words on top of it."""

import keras
from keras import layers, ops
from keras.initializers import GlorotUniform, HeNormal

from zoo.errors import check_sizes
from zoo.layers.temporal import CausalConv2D
from zoo.models.trigger_word import _seeds
from zoo.registry import register

# channels, kernels (time, bands) and pooling (time, bands) of the published encoder
STAGES = (
    (24, ((3, 3), (1, 3), (3, 1)), (2, 2)),
    (48, ((1, 3), (3, 1), (1, 3), (3, 1)), (1, 2)),
    (72, ((1, 3), (3, 1), (1, 3), (3, 1)), (2, 2)),
    (96, ((1, 3), (3, 1), (1, 3), (3, 1)), (1, 2)),
    (96, ((1, 3), (3, 1), (1, 3), (3, 1)), (2, 2)),
)
FRAMES_PER_EMBEDDING = 8


@register(
    "speech_embedding",
    task="speech_encoder",
    source="Lin et al. 2020, arXiv:2002.01322",
    streams=True,
    example={"width": 1 / 12},
)
def speech_embedding(*, num_mels=32, width=1.0, seed=0):
    """A convolutional encoder of speech: the last 0.76 s as 96 numbers, every 80 ms.

    frames: (batch, time, num_mels) float32, as `zoo.layers.audio.speech_embedding_front_end` gives; num_mels is a multiple of 32.
    embedding: (batch, time // 8, 96 * width) float32, number k of the 76 frames up to 8 * (k + 1). 328,224 weights with the defaults.
    Zeros precede the stream, so the first nine say little. width: share of the published channels.
    """
    check_sizes(num_mels=num_mels)
    frames = keras.Input((None, num_mels), name="frames")
    return keras.Model(frames, {"embedding": _encode(frames, width, _seeds(seed))}, name="speech_embedding")


def _encode(frames, width, new):
    x = layers.Reshape((-1, frames.shape[-1], 1), name="bands")(frames)
    for stage, (channels, kernels, pool) in enumerate(STAGES, 1):
        filters = max(1, round(channels * width))
        for number, kernel in enumerate(kernels, 1):
            name = f"stage_{stage}_{number}"
            x = CausalConv2D(filters, kernel, kernel_initializer=HeNormal(new()), name=name)(x)
            # the published activation: a leaky ReLU with a floor
            x = ops.maximum(layers.LeakyReLU(0.2, name=f"{name}_relu")(x), -0.4)
        x = layers.MaxPooling2D(pool, name=f"stage_{stage}_pool")(x)
    x = CausalConv2D(filters, (3, 1), kernel_initializer=HeNormal(new()), name="last")(x)
    return layers.Reshape((-1, x.shape[2] * filters), name="embedding", dtype="float32")(x)


@register(
    "embedding_trigger_word",
    task="trigger_word",
    source="Lin et al. 2020, arXiv:2002.01322",
    streams=True,
    example={"features": 6, "units": 8},
)
def embedding_trigger_word(*, features=96, units=64, kernel_sizes=(3, 5), dropout=0.2, words=1, seed=0):
    """The head of a detector: causal convolutions over a speech encoder's embeddings.

    embedding: (batch, time, features) float32, as `speech_embedding` gives. score: (batch, time, words) float32 in [0, 1].
    """
    check_sizes(features=features, units=units, words=words)
    embedding = keras.Input((None, features), name="embedding")
    return keras.Model(
        embedding, {"score": _head(embedding, units, kernel_sizes, dropout, words, _seeds(seed))}, name="embedding_trigger_word"
    )


@register(
    "speech_embedding_trigger_word",
    task="trigger_word",
    source="Lin et al. 2020, arXiv:2002.01322",
    streams=True,
    example={"width": 1 / 6, "units": 16, "dropout": 0.0},
)
def speech_embedding_trigger_word(
    *, num_mels=32, width=1.0, units=64, kernel_sizes=(3, 5), dropout=0.2, words=1, trainable_encoder=True, seed=0
):
    """A speech encoder and a small head: `speech_embedding` and `embedding_trigger_word` as one model.

    frames: (batch, time, num_mels) float32. score: (batch, time // 8, words) float32 in [0, 1]. Several words share the encoder.
    The encoder's weights are random here; `apps.data.encoder.put` reads the published ones. 369,000 weights for one word.
    trainable_encoder=False freezes it.
    """
    check_sizes(num_mels=num_mels, units=units, words=words)
    new = _seeds(seed)
    frames = keras.Input((None, num_mels), name="frames")
    embedding = _encode(frames, width, new)
    score = _head(embedding, units, kernel_sizes, dropout, words, new)
    model = keras.Model(frames, {"score": score}, name="speech_embedding_trigger_word")
    if not trainable_encoder:
        for layer in model.layers:
            if isinstance(layer, CausalConv2D):
                layer.trainable = False
    return model


def _head(x, units, kernel_sizes, dropout, words, new):
    x = layers.BatchNormalization(center=False, scale=False, name="embedding_norm")(x)
    for number, size in enumerate((*kernel_sizes, 1), 1):
        x = layers.Conv1D(
            units, size, padding="causal", use_bias=False, kernel_initializer=HeNormal(new()), name=f"head_{number}"
        )(x)
        x = layers.BatchNormalization(name=f"head_{number}_norm")(x)
        x = layers.ReLU(6.0, name=f"head_{number}_relu")(x)
        x = layers.Dropout(dropout, seed=new(), name=f"head_{number}_dropout")(x)
    return layers.Dense(words, "sigmoid", kernel_initializer=GlorotUniform(new()), dtype="float32", name="score")(x)
