"""Recurrent language models: the probability of the next token at every position."""

import keras
from keras import layers
from keras.initializers import GlorotUniform, Orthogonal, RandomUniform

from zoo.errors import InputError
from zoo.registry import register

EXAMPLE = {"vocabulary": 11, "dimensions": 6, "units": 8}


def _language_model(name, layer, vocabulary, dimensions, units, depth, dropout, seed):
    """Embedding, `depth` recurrent layers, logits. Token 0 is padding and is masked."""
    for argument, size, least in (
        ("vocabulary", vocabulary, 2),
        ("dimensions", dimensions, 1),
        ("units", units, 1),
        ("depth", depth, 1),
    ):
        if not isinstance(size, int) or size < least:
            raise InputError(f"`{argument}` is {size!r}; expected an integer of at least {least}.")
    first = 1000 * seed
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(
        vocabulary, dimensions, mask_zero=True, embeddings_initializer=RandomUniform(-0.05, 0.05, seed=first), name="embedding"
    )(tokens)
    for index in range(1, depth + 1):
        start = first + 10 * index
        x = layer(
            units,
            return_sequences=True,
            kernel_initializer=GlorotUniform(start),
            recurrent_initializer=Orthogonal(seed=start + 1),
            name=f"recurrent_{index}",
        )(x)
        x = layers.Dropout(dropout, seed=start + 2, name=f"dropout_{index}")(x)
    logits = layers.Dense(vocabulary, kernel_initializer=GlorotUniform(first + 1), dtype="float32", name="logits")(x)
    return keras.Model(tokens, {"logits": logits}, name=name)


@register(
    "rnn_language_model",
    task="language_model",
    source="Mikolov et al. 2010, Interspeech; the notes, language models",
    streams=True,
    example=EXAMPLE,
)
def rnn_language_model(*, vocabulary=29, dimensions=32, units=128, depth=1, dropout=0.0, seed=0):
    """A language model of vanilla (tanh) recurrent layers.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    """
    return _language_model("rnn_language_model", layers.SimpleRNN, vocabulary, dimensions, units, depth, dropout, seed)


@register(
    "gru_language_model",
    task="language_model",
    source="Cho et al. 2014, arXiv:1406.1078; the notes, GRU",
    streams=True,
    example=EXAMPLE,
)
def gru_language_model(*, vocabulary=29, dimensions=32, units=128, depth=1, dropout=0.0, seed=0):
    """A language model of gated recurrent units.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    """
    return _language_model("gru_language_model", layers.GRU, vocabulary, dimensions, units, depth, dropout, seed)


@register(
    "lstm_language_model",
    task="language_model",
    source="Hochreiter & Schmidhuber 1997; the notes, LSTM",
    streams=True,
    example=EXAMPLE,
)
def lstm_language_model(*, vocabulary=29, dimensions=32, units=128, depth=1, dropout=0.0, seed=0):
    """A language model of long short-term memory.

    tokens: (batch, time) int32, 0 is padding. logits: (batch, time, vocabulary) float32, of the token that follows.
    """
    return _language_model("lstm_language_model", layers.LSTM, vocabulary, dimensions, units, depth, dropout, seed)
