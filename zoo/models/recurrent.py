"""The notes' recurrent networks by themselves: an output for every frame (many-to-many), deep, one way or both."""

import keras
from keras import layers
from keras.initializers import GlorotUniform, Identity, Orthogonal

from zoo.errors import InputError, check_sizes
from zoo.layers.recurrent import CoupledLSTMCell, JordanCell, MinimalGatedCell, PeepholeLSTMCell, SimplifiedGRUCell
from zoo.registry import register

# by name: what makes a layer of `units` from its seed
_KERAS = {
    "rnn": lambda **a: layers.SimpleRNN(**a),
    "irnn": lambda **a: layers.SimpleRNN(**{**a, "activation": "relu", "recurrent_initializer": Identity()}),
    "gru": lambda **a: layers.GRU(**a, reset_after=False),
    "gru_reset_after": lambda **a: layers.GRU(**a),
    "lstm": lambda **a: layers.LSTM(**a),
}
_OWN = {
    "simplified_gru": SimplifiedGRUCell,
    "minimal_gated": MinimalGatedCell,
    "peephole_lstm": PeepholeLSTMCell,
    "coupled_lstm": CoupledLSTMCell,
}
CELLS = (*_KERAS, *_OWN, "jordan")
MERGES = ("concat", "sum", "ave", "mul")
EXAMPLE = {"features": 4, "outputs": 3, "units": 8}


def _layer(cell, units, seed, name):
    if cell == "jordan":
        return layers.RNN(JordanCell(units, units, seed=seed), return_sequences=True, name=name)
    weights = {"kernel_initializer": GlorotUniform(seed), "recurrent_initializer": Orthogonal(seed=seed + 1)}
    if cell in _KERAS:
        return _KERAS[cell](units=units, return_sequences=True, name=name, **weights)
    return layers.RNN(_OWN[cell](units, **weights), return_sequences=True, name=name)


def _network(name, make, x, inputs, depth, outputs, residual, layer_norm, dropout, first):
    """`depth` layers from make(index) and a score a frame."""
    for index in range(1, depth + 1):
        y = make(index)(x)
        y = layers.SpatialDropout1D(dropout, seed=first + 10 * index + 4, name=f"dropout_{index}")(y)
        x = layers.Add(name=f"residual_{index}")([x, y]) if residual and x.shape[-1] == y.shape[-1] else y
        x = layers.LayerNormalization(name=f"norm_{index}")(x) if layer_norm else x
    scores = layers.Dense(outputs, kernel_initializer=GlorotUniform(first + 1), dtype="float32", name="outputs")(x)
    return keras.Model(inputs, {"outputs": scores}, name=name)


def _check(cell, **sizes):
    if cell not in CELLS:
        raise InputError(f"`cell` is {cell!r}; expected one of {', '.join(CELLS)}.")
    check_sizes(**sizes)


@register(
    "recurrent_network",
    task="sequence_labelling",
    source="Elman 1990; the notes, recurrent networks, GRU, LSTM and variants; deep: Graves et al. 2013, arXiv:1303.5778",
    streams=True,
    example=EXAMPLE,
    variants=(
        *({**EXAMPLE, "cell": cell} for cell in CELLS if cell != "gru"),
        {**EXAMPLE, "depth": 3, "residual": True, "layer_norm": True, "dropout": 0.1},
    ),
)
def recurrent_network(
    *, features=16, outputs=2, cell="gru", units=64, depth=1, residual=False, layer_norm=False, dropout=0.0, seed=0
):
    """Recurrent layers of any of the notes' cells and a linear output at every frame.

    frames: (batch, time, features) float32. outputs: (batch, time, outputs) float32, logits or values.
    cell: 'rnn' (tanh), 'irnn' (ReLU from the identity), 'simplified_gru', 'gru' (reset before the product), 'gru_reset_after',
    'minimal_gated', 'lstm', 'peephole_lstm', 'coupled_lstm', 'jordan'. dropout: locked (variational: the same units at every step).
    residual: adds a layer's input to its output where their widths are the same.
    """
    _check(cell, features=features, outputs=outputs, units=units, depth=depth)
    frames = keras.Input((None, features), name="frames")
    first = 1000 * seed

    def make(index):
        return _layer(cell, units, first + 10 * index, f"recurrent_{index}")

    return _network("recurrent_network", make, frames, frames, depth, outputs, residual, layer_norm, dropout, first)


@register(
    "bidirectional_recurrent_network",
    task="sequence_labelling",
    source="Schuster & Paliwal 1997; the notes, bidirectional networks",
    streams=False,
    causal=False,
    example=EXAMPLE,
    variants=(
        *({**EXAMPLE, "merge_mode": mode, "cell": "lstm"} for mode in MERGES if mode != "concat"),
        {**EXAMPLE, "depth": 2, "residual": True, "layer_norm": True, "dropout": 0.1},
    ),
)
def bidirectional_recurrent_network(
    *,
    features=16,
    outputs=2,
    cell="gru",
    units=64,
    depth=1,
    merge_mode="concat",
    residual=False,
    layer_norm=False,
    dropout=0.0,
    seed=0,
):
    """The same, read forwards and backwards: every output sees the whole sequence, so it needs the end and does not stream.

    frames: (batch, time, features) float32; a frame of zeros is padding. outputs: (batch, time, outputs) float32.
    merge_mode: 'concat', 'sum', 'ave' or 'mul'. The other arguments: as recurrent_network's.
    """
    _check(cell, features=features, outputs=outputs, units=units, depth=depth)
    if merge_mode not in MERGES:
        raise InputError(f"`merge_mode` is {merge_mode!r}; expected one of {', '.join(MERGES)}.")
    frames = keras.Input((None, features), name="frames")
    first = 1000 * seed

    def make(index):
        start = first + 10 * index
        forward = _layer(cell, units, start, f"forward_{index}")
        config = {**_layer(cell, units, start + 5, f"backward_{index}").get_config(), "go_backwards": True}
        backward = type(forward).from_config(config)
        return layers.Bidirectional(forward, merge_mode, backward_layer=backward, name=f"recurrent_{index}")

    x = layers.Masking(name="padding")(frames)
    return _network("bidirectional_recurrent_network", make, x, frames, depth, outputs, residual, layer_norm, dropout, first)
