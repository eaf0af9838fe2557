"""Language models: the probability of the next token at every position."""

import keras
from keras import layers
from keras.initializers import GlorotUniform, Identity, Orthogonal, RandomUniform

from zoo.errors import InputError, check_sizes
from zoo.layers.attention import CausalSelfAttention
from zoo.layers.regularisation import TiedEmbedding, WeightDropLSTMCell, WeightDropRNN
from zoo.layers.temporal import FrameStack
from zoo.layers.through_time import GRU, LSTM
from zoo.registry import register

EXAMPLE = {"vocabulary": 11, "dimensions": 6, "units": 8}
OPTIONS = {"vocabulary": 11, "dimensions": 16, "units": 16, "depth": 2, "dropout": 0.05, "tied": True, "residual": True}
OPTIONS = {**OPTIONS, "layer_norm": True, "locked_dropout": True, "embedding_dropout": 0.05}
EMBEDDING = 0.05  # half the width of the uniform distribution that embeddings start from; AWD-LSTM's is twice that


def _check(vocabulary, **sizes):
    check_sizes(least=2, vocabulary=vocabulary)
    check_sizes(**sizes)


def _tokens(batch_size):
    """The input; a stateful model knows its batch."""
    return keras.Input(batch_shape=(batch_size, None), dtype="int32", name="tokens")


def _logits(x, embedding, tied, vocabulary, seed):
    """Logits of the next token, from the embedding's own matrix where that is tied."""
    if not tied:
        return layers.Dense(vocabulary, kernel_initializer=GlorotUniform(seed), dtype="float32", name="logits")(x)
    if x.shape[-1] != embedding.output_dim:
        x = layers.Dense(embedding.output_dim, kernel_initializer=GlorotUniform(seed), name="to_embedding")(x)
    return layers.Identity(dtype="float32", name="logits")(embedding(x, reverse=True))


def _recurrent(name, layer, vocabulary, dimensions, units, depth, dropout, seed, options, **own):
    """Embedding, `depth` recurrent layers, logits. options: see gru_language_model. own: further arguments of the layers."""
    tied, residual, layer_norm, locked_dropout, embedding_dropout, mask_padding, stateful_batch = options
    _check(vocabulary, dimensions=dimensions, units=units, depth=depth)
    first = 1000 * seed
    tokens = _tokens(stateful_batch)
    initializer = RandomUniform(-EMBEDDING, EMBEDDING, seed=first)
    shared = {"mask_zero": mask_padding, "embeddings_initializer": initializer, "name": "embedding"}
    if tied or embedding_dropout:
        embedding = TiedEmbedding(vocabulary, dimensions, dropout=embedding_dropout, seed=first + 2, **shared)
    else:
        embedding = layers.Embedding(vocabulary, dimensions, **shared)
    x = embedding(tokens)
    drop = layers.SpatialDropout1D if locked_dropout else layers.Dropout
    for index in range(1, depth + 1):
        start = first + 10 * index
        arguments = {"kernel_initializer": GlorotUniform(start), "recurrent_initializer": Orthogonal(seed=start + 1), **own}
        y = layer(units, return_sequences=True, stateful=bool(stateful_batch), name=f"recurrent_{index}", **arguments)(x)
        y = drop(dropout, seed=start + 2, name=f"dropout_{index}")(y)
        x = layers.Add(name=f"residual_{index}")([x, y]) if residual and x.shape[-1] == units else y
        x = layers.LayerNormalization(name=f"norm_{index}")(x) if layer_norm else x
    return keras.Model(tokens, {"logits": _logits(x, embedding, tied, vocabulary, first + 1)}, name=name)


@register(
    "rnn_language_model",
    task="language_model",
    source="Mikolov et al. 2010, Interspeech; the notes, language models; relu: Le et al. 2015, arXiv:1504.00941",
    streams=True,
    example=EXAMPLE,
    variants=({**EXAMPLE, "units": 16, "activation": "relu"}, OPTIONS),
)
def rnn_language_model(
    *,
    vocabulary=29,
    dimensions=32,
    units=128,
    depth=1,
    dropout=0.0,
    activation="tanh",
    tied=False,
    residual=False,
    layer_norm=False,
    locked_dropout=False,
    embedding_dropout=0.0,
    mask_padding=True,
    stateful_batch=None,
    seed=0,
):
    """A language model of vanilla recurrent layers.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    activation: 'tanh', or 'relu', which starts from the identity. The other arguments: as gru_language_model's.
    """
    if activation not in ("tanh", "relu"):
        raise InputError(f"`activation` is {activation!r}; expected 'tanh' or 'relu'.")
    own = {"activation": activation, **({"recurrent_initializer": Identity()} if activation == "relu" else {})}
    options = (tied, residual, layer_norm, locked_dropout, embedding_dropout, mask_padding, stateful_batch)
    return _recurrent("rnn_language_model", layers.SimpleRNN, vocabulary, dimensions, units, depth, dropout, seed, options, **own)


@register(
    "gru_language_model",
    task="language_model",
    source="Cho et al. 2014, arXiv:1406.1078; the notes, GRU",
    streams=True,
    example=EXAMPLE,
    variants=({**EXAMPLE, "reset_after": False}, OPTIONS),
)
def gru_language_model(
    *,
    vocabulary=29,
    dimensions=32,
    units=128,
    depth=1,
    dropout=0.0,
    reset_after=True,
    tied=False,
    residual=False,
    layer_norm=False,
    locked_dropout=False,
    embedding_dropout=0.0,
    mask_padding=True,
    stateful_batch=None,
    seed=0,
):
    """A language model of gated recurrent units.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    reset_after: False for the notes' order, the reset gate before the product. tied: the logits come from the embedding's matrix.
    residual: adds a layer's input to its output where their widths are the same. layer_norm: after each layer.
    locked_dropout: drops the same units at every step. embedding_dropout: the share of words that are dropped in a training step.
    mask_padding: False for text without padding, which is a little faster. stateful_batch: a batch size makes the model carry its
    states from batch to batch (zoo.truncated_bptt).
    """
    options = (tied, residual, layer_norm, locked_dropout, embedding_dropout, mask_padding, stateful_batch)
    return _recurrent(
        "gru_language_model", GRU, vocabulary, dimensions, units, depth, dropout, seed, options, reset_after=reset_after
    )


@register(
    "lstm_language_model",
    task="language_model",
    source="Hochreiter & Schmidhuber 1997; the notes, LSTM",
    streams=True,
    example=EXAMPLE,
    variants=(OPTIONS,),
)
def lstm_language_model(
    *,
    vocabulary=29,
    dimensions=32,
    units=128,
    depth=1,
    dropout=0.0,
    tied=False,
    residual=False,
    layer_norm=False,
    locked_dropout=False,
    embedding_dropout=0.0,
    mask_padding=True,
    stateful_batch=None,
    seed=0,
):
    """A language model of long short-term memory.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    The arguments are gru_language_model's.
    """
    options = (tied, residual, layer_norm, locked_dropout, embedding_dropout, mask_padding, stateful_batch)
    return _recurrent("lstm_language_model", LSTM, vocabulary, dimensions, units, depth, dropout, seed, options)


@register(
    "awd_lstm_language_model",
    task="language_model",
    source="Merity et al. 2018, arXiv:1708.02182",
    streams=True,
    example={"vocabulary": 11, "dimensions": 16, "units": 16, "depth": 2, "weight_drop": 0.05, "dropout": 0.05},
)
def awd_lstm_language_model(
    *,
    vocabulary=10_000,
    dimensions=400,
    units=1150,
    depth=3,
    dropout=0.4,
    embedding_dropout=0.1,
    weight_drop=0.5,
    mask_padding=True,
    stateful_batch=None,
    seed=0,
):
    """LSTM layers with weight drop, locked dropout, embedding dropout and tied weights; the last layer is as wide as the embedding.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    dropout: of the embeddings and between layers. weight_drop: of recurrent weights. Averaged weights are an optimizer's matter:
    `use_ema=True` of any in Keras. mask_padding, stateful_batch: as gru_language_model's.
    """
    _check(vocabulary, dimensions=dimensions, units=units, depth=depth)
    first = 1000 * seed
    tokens = _tokens(stateful_batch)
    embedding = TiedEmbedding(
        vocabulary,
        dimensions,
        dropout=embedding_dropout,
        seed=first + 2,
        mask_zero=mask_padding,
        embeddings_initializer=RandomUniform(-2 * EMBEDDING, 2 * EMBEDDING, seed=first),
        name="embedding",
    )
    x = layers.SpatialDropout1D(dropout, seed=first + 3, name="dropout_0")(embedding(tokens))
    for index in range(1, depth + 1):
        start = first + 10 * index
        cell = WeightDropLSTMCell(
            dimensions if index == depth else units,
            weight_drop=weight_drop,
            seed=start + 3,
            kernel_initializer=GlorotUniform(start),
            recurrent_initializer=Orthogonal(seed=start + 1),
        )
        x = WeightDropRNN(cell, return_sequences=True, stateful=bool(stateful_batch), name=f"recurrent_{index}")(x)
        x = layers.SpatialDropout1D(dropout, seed=start + 2, name=f"dropout_{index}")(x)
    return keras.Model(tokens, {"logits": _logits(x, embedding, True, vocabulary, first + 1)}, name="awd_lstm_language_model")


@register(
    "neural_probabilistic_language_model",
    task="language_model",
    source="Bengio et al. 2003, JMLR 3; the notes, language models with a fixed window",
    streams=True,
    example={"vocabulary": 11, "dimensions": 6, "units": 12, "context": 3},
)
def neural_probabilistic_language_model(
    *, vocabulary=29, dimensions=30, units=100, context=5, direct=True, dropout=0.0, mask_padding=True, seed=0
):
    """The embeddings of the last `context` tokens side by side, a tanh layer, logits: between n-grams and recurrent models.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    direct: connections from the embeddings to the logits past the hidden layer. Before a text's start, embeddings are zeros.
    """
    _check(vocabulary, dimensions=dimensions, units=units, context=context)
    first = 1000 * seed
    tokens = _tokens(None)
    x = layers.Embedding(
        vocabulary,
        dimensions,
        mask_zero=mask_padding,
        embeddings_initializer=RandomUniform(-EMBEDDING, EMBEDDING, seed=first),
        name="embedding",
    )(tokens)
    x = FrameStack(context, name="context")(x)
    hidden = layers.Dense(units, "tanh", kernel_initializer=GlorotUniform(first + 1), name="hidden")(x)
    hidden = layers.Dropout(dropout, seed=first + 2, name="dropout")(hidden)
    logits = layers.Dense(vocabulary, kernel_initializer=GlorotUniform(first + 3), dtype="float32", name="from_hidden")(hidden)
    if direct:
        past = layers.Dense(
            vocabulary, use_bias=False, kernel_initializer=GlorotUniform(first + 4), dtype="float32", name="direct"
        )
        logits = layers.Add(dtype="float32", name="logits")([logits, past(x)])
    return keras.Model(tokens, {"logits": logits}, name="neural_probabilistic_language_model")


@register(
    "transformer_language_model",
    task="language_model",
    source="Radford et al. 2019 (GPT-2) with rotary positions and a sliding window: Su et al. 2021, Beltagy et al. 2020",
    streams=True,
    example={"vocabulary": 11, "dimensions": 8, "depth": 2, "heads": 2, "window": 6},
)
def transformer_language_model(
    *, vocabulary=29, dimensions=128, depth=4, heads=4, window=64, dropout=0.0, tied=True, mask_padding=True, seed=0
):
    """A small decoder: pre-norm blocks of causal self-attention and a feed-forward layer four times as wide.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    window: how many tokens a layer sees, itself included; it streams with the keys and values of those before.
    """
    _check(vocabulary, dimensions=dimensions, depth=depth)
    first = 1000 * seed
    tokens = _tokens(None)
    embedding = TiedEmbedding(
        vocabulary,
        dimensions,
        mask_zero=mask_padding,
        embeddings_initializer=keras.initializers.RandomNormal(0.0, 0.02, seed=first),
        name="embedding",
    )
    x = layers.Dropout(dropout, seed=first + 2, name="dropout")(embedding(tokens))
    for index in range(1, depth + 1):
        start = first + 10 * index
        attention = CausalSelfAttention(heads, window, seed=start, name=f"attention_{index}")
        x = transformer_block(x, attention, index, dropout, start + 4)
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(tokens, {"logits": _logits(x, embedding, tied, vocabulary, first + 1)}, name="transformer_language_model")


def transformer_block(x, attend, index, dropout, seed):
    """Attention and a feed-forward layer four times as wide, each normalised before and added to what it was given.

    x: (batch, time, dimensions). attend: from the normalised x to as much. index: in the layers' names. seed: of the first of four.
    """
    size = x.shape[-1]
    y = attend(layers.LayerNormalization(name=f"attention_norm_{index}")(x))
    x = layers.Add(name=f"attended_{index}")([x, layers.Dropout(dropout, seed=seed, name=f"attention_dropout_{index}")(y)])
    y = layers.LayerNormalization(name=f"wide_norm_{index}")(x)
    y = layers.Dense(4 * size, "gelu", kernel_initializer=GlorotUniform(seed + 1), name=f"wide_{index}")(y)
    y = layers.Dense(size, kernel_initializer=GlorotUniform(seed + 2), name=f"narrow_{index}")(y)
    return layers.Add(name=f"block_{index}")([x, layers.Dropout(dropout, seed=seed + 3, name=f"wide_dropout_{index}")(y)])
