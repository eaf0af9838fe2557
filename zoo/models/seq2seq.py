"""From text to text: an encoder reads the source, a decoder writes the target.

Every model has the inputs source (batch, time) and target (batch, time), int32 tokens, 0 is padding, the target beginning with a boundary,
and the output logits (batch, time, vocabulary) float32 of the target's next tokens. `model.get_layer("encoder")` gives the memory of a
source, `model.get_layer("decoder")` the protocol of zoo.layers.decoders for searches.
"""

import keras
from keras import layers, ops
from keras.initializers import GlorotUniform, Orthogonal, RandomNormal, RandomUniform

from zoo.errors import InputError, check_sizes
from zoo.layers.attention import Attention, MultiHeadAttention, SinusoidalPositions
from zoo.layers.decoders import ConvolutionalDecoder, RecurrentDecoder, TransformerDecoder, cell_named
from zoo.models.language_model import transformer_block
from zoo.registry import register

EXAMPLE = {"source_vocabulary": 11, "vocabulary": 12, "dimensions": 8}


def _model(name, encoder, decoder):
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    logits = decoder(target, encoder(source))
    return keras.Model({"source": source, "target": target}, {"logits": logits}, name=name)


def _recurrent_encoder(vocabulary, dimensions, units, depth, cell, bidirectional, dropout, first):
    """Outputs of the top layer, and the last state of each: both ways together where it reads both ways."""
    check_sizes(least=2, source_vocabulary=vocabulary)
    check_sizes(dimensions=dimensions, units=units, depth=depth)
    layer, kinds = cell_named(cell)
    source = keras.Input((None,), dtype="int32", name="source")
    start = RandomUniform(-0.1, 0.1, seed=first)
    x = layers.Embedding(vocabulary, dimensions, mask_zero=True, embeddings_initializer=start, name="embedding")(source)
    x = layers.Dropout(dropout, seed=first + 1, name="dropout")(x)
    states = {}
    for index in range(1, depth + 1):
        seed = first + 20 * index
        weights = {"kernel_initializer": GlorotUniform(seed), "recurrent_initializer": Orthogonal(seed=seed + 1)}
        recurrent = layer(units, return_sequences=True, return_state=True, name=f"recurrent_{index}", **weights)
        if bidirectional:
            back = {"kernel_initializer": GlorotUniform(seed + 2), "recurrent_initializer": Orthogonal(seed=seed + 3)}
            back = layer(units, return_sequences=True, return_state=True, go_backwards=True, name=f"backwards_{index}", **back)
            recurrent = layers.Bidirectional(recurrent, backward_layer=back, name=f"both_ways_{index}")
        x, *last = recurrent(x)
        for place, kind in enumerate(kinds):
            state = last[place]
            if bidirectional:
                both = ops.concatenate([state, last[place + len(kinds)]], axis=-1)
                bridge = GlorotUniform(seed + 4 + place)
                state = layers.Dense(units, "tanh", kernel_initializer=bridge, name=f"bridge_{index}_{kind}")(both)
            states[f"{index}_{kind}"] = state
        if index < depth:
            x = layers.SpatialDropout1D(dropout, seed=seed + 6, name=f"dropout_{index}")(x)
    return keras.Model(source, {"outputs": x, "mask": ops.not_equal(source, 0), "states": states}, name="encoder")


@register(
    "encoder_decoder",
    task="translation",
    source="Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078; the notes, encoder-decoder",
    streams=False,
    example={**EXAMPLE, "units": 10},
    variants=({**EXAMPLE, "units": 10, "depth": 2, "cell": "lstm", "tied": True, "bidirectional": True},),
)
def encoder_decoder(
    *,
    source_vocabulary=1000,
    vocabulary=1000,
    dimensions=128,
    units=256,
    depth=1,
    cell="gru",
    bidirectional=False,
    dropout=0.0,
    tied=False,
    scheduled_sampling=0.0,
    seed=0,
):
    """The notes' first translator: all that the decoder knows of the source is the encoder's last state.

    source: (batch, time) int32, target: (batch, time) int32. logits: (batch, time, vocabulary) float32.
    cell: 'gru' or 'lstm'. bidirectional: the encoder reads both ways. tied: logits from the target embedding's matrix.
    scheduled_sampling: the share of target tokens that training replaces by the model's own.
    """
    encoder = _recurrent_encoder(source_vocabulary, dimensions, units, depth, cell, bidirectional, dropout, 1000 * seed)
    options = {"dropout": dropout, "tied": tied, "scheduled_sampling": scheduled_sampling, "seed": 1000 * seed + 500}
    return _model(
        "encoder_decoder", encoder, RecurrentDecoder(vocabulary, dimensions, units, depth, cell, name="decoder", **options)
    )


@register(
    "attention_encoder_decoder",
    task="translation",
    source="Bahdanau et al. 2015, arXiv:1409.0473; Luong et al. 2015, arXiv:1508.04025; the notes, attention",
    streams=False,
    example={**EXAMPLE, "units": 10},
    variants=(
        {**EXAMPLE, "units": 10, "depth": 2, "cell": "lstm", "tied": True, "feeding": True},
        {**EXAMPLE, "units": 10, "score": "additive", "coverage": True},
        {**EXAMPLE, "units": 10, "local": "monotonic", "window": 4, "bidirectional": False},
        {**EXAMPLE, "units": 10, "local": "predictive", "window": 4},
    ),
)
def attention_encoder_decoder(
    *,
    source_vocabulary=1000,
    vocabulary=1000,
    dimensions=128,
    units=256,
    depth=1,
    cell="gru",
    bidirectional=True,
    score="general",
    local=None,
    window=None,
    coverage=False,
    feeding=False,
    dropout=0.0,
    tied=False,
    scheduled_sampling=0.0,
    seed=0,
):
    """A translator whose decoder looks at all of the source, by attention, at each step.

    source: (batch, time) int32, target: (batch, time) int32. logits: (batch, time, vocabulary) float32.
    cell: 'gru' or 'lstm'. score, local, window, coverage: of zoo.layers.attention.Attention. feeding: what came of output and context
    also goes into the next step, which trains more slowly, one step after the other. The others: as encoder_decoder's.
    """
    first = 1000 * seed
    encoder = _recurrent_encoder(source_vocabulary, dimensions, units, depth, cell, bidirectional, dropout, first)
    attention = Attention(score, local=local, window=window, coverage=coverage, seed=first + 700, name="attention")
    options = {"dropout": dropout, "tied": tied, "scheduled_sampling": scheduled_sampling, "seed": first + 500}
    decoder = RecurrentDecoder(vocabulary, dimensions, units, depth, cell, attention, feeding, name="decoder", **options)
    return _model("attention_encoder_decoder", encoder, decoder)


@register(
    "convolutional_encoder_decoder",
    task="translation",
    source="Gehring et al. 2017, arXiv:1705.03122",
    streams=False,
    example={**EXAMPLE, "depth": 2},
)
def convolutional_encoder_decoder(
    *,
    source_vocabulary=1000,
    vocabulary=1000,
    dimensions=256,
    depth=4,
    kernel_size=3,
    dropout=0.0,
    tied=False,
    scheduled_sampling=0.0,
    seed=0,
):
    """A translator of convolutions with gated linear units, each layer of the decoder with attention of its own.

    source: (batch, time) int32, target: (batch, time) int32. logits: (batch, time, vocabulary) float32.
    kernel_size: an odd number of places. The others: as encoder_decoder's.
    """
    check_sizes(least=2, source_vocabulary=source_vocabulary)
    check_sizes(dimensions=dimensions, depth=depth, kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise InputError(f"`kernel_size` is {kernel_size}; expected an odd number.")
    first = 1000 * seed
    source = keras.Input((None,), dtype="int32", name="source")
    start = RandomUniform(-0.1, 0.1, seed=first)
    x = layers.Embedding(source_vocabulary, dimensions, embeddings_initializer=start, name="embedding")(source)
    x = layers.Dropout(dropout, seed=first + 1, name="dropout")(SinusoidalPositions(name="positions")(x))
    there = ops.cast(ops.not_equal(source, 0), x.dtype)[:, :, None]
    for index in range(1, depth + 1):
        y = layers.Dropout(dropout, seed=first + 10 * index + 1, name=f"dropout_{index}")(x * there)
        weights = GlorotUniform(first + 10 * index)
        y = layers.Conv1D(2 * dimensions, kernel_size, padding="same", kernel_initializer=weights, name=f"convolution_{index}")(y)
        values, gates = ops.split(y, 2, axis=-1)
        x = layers.Rescaling(0.5**0.5, name=f"scaled_{index}")(x + values * ops.sigmoid(gates))
    encoder = keras.Model(source, {"outputs": x, "mask": ops.not_equal(source, 0)}, name="encoder")
    options = {"dropout": dropout, "tied": tied, "scheduled_sampling": scheduled_sampling, "seed": first + 500}
    decoder = ConvolutionalDecoder(vocabulary, dimensions, depth, kernel_size, name="decoder", **options)
    return _model("convolutional_encoder_decoder", encoder, decoder)


@register(
    "transformer",
    task="translation",
    source="Vaswani et al. 2017, arXiv:1706.03762; pre-norm: Xiong et al. 2020, arXiv:2002.04745",
    streams=False,
    example={**EXAMPLE, "depth": 2, "heads": 2},
    variants=({**EXAMPLE, "depth": 1, "heads": 1, "tied": False, "window": 4},),
)
def transformer(
    *,
    source_vocabulary=1000,
    vocabulary=1000,
    dimensions=256,
    depth=3,
    heads=4,
    window=512,
    dropout=0.0,
    tied=True,
    scheduled_sampling=0.0,
    seed=0,
):
    """A small Transformer: pre-norm blocks, sinusoidal positions in the encoder, rotated ones in the decoder.

    source: (batch, time) int32, target: (batch, time) int32. logits: (batch, time, vocabulary) float32.
    window: how many target tokens a layer of the decoder sees. The others: as encoder_decoder's.
    """
    check_sizes(least=2, source_vocabulary=source_vocabulary)
    check_sizes(dimensions=dimensions, depth=depth, heads=heads)
    first = 1000 * seed
    source = keras.Input((None,), dtype="int32", name="source")
    mask = ops.not_equal(source, 0)
    start = RandomNormal(0.0, dimensions**-0.5, seed=first)
    x = layers.Embedding(source_vocabulary, dimensions, embeddings_initializer=start, name="embedding")(source)
    x = SinusoidalPositions(name="positions")(layers.Rescaling(dimensions**0.5, name="scaled")(x))
    x = layers.Dropout(dropout, seed=first + 1, name="dropout")(x)
    for index in range(1, depth + 1):
        seed = first + 10 * index
        attention = MultiHeadAttention(heads, seed=seed, name=f"attention_{index}")
        x = transformer_block(x, lambda y, attention=attention: attention(y, y, mask=mask), index, dropout, seed + 3)
    x = layers.LayerNormalization(name="norm")(x)
    encoder = keras.Model(source, {"outputs": x, "mask": mask}, name="encoder")
    options = {"dropout": dropout, "tied": tied, "scheduled_sampling": scheduled_sampling, "seed": first + 500}
    return _model(
        "transformer", encoder, TransformerDecoder(vocabulary, dimensions, depth, heads, window, name="decoder", **options)
    )
