"""Recurrent layers against the notes' equations: outputs, backpropagation through time, clipping. On any Keras backend."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from tests.oracles import recurrent
from tests.zoo.derivatives import gradients
from zoo.errors import InputError
from zoo.layers.recurrent import CoupledLSTMCell, JordanCell, MinimalGatedCell, PeepholeLSTMCell, SimplifiedGRUCell

BATCH, TIME, INPUTS, UNITS = 3, 6, 4, 5


def gates(letters, w):
    """Keras's kernel, recurrent kernel and bias from the notes' weights, in that order of gates."""
    return [
        np.concatenate([w[f"W{g}x"].T for g in letters], axis=1),
        np.concatenate([w[f"W{g}a"].T for g in letters], axis=1),
        np.concatenate([w[f"b{g}"] for g in letters]),
    ]


def turned(w):
    """Keras keeps the old state where its update gate is open, the notes the new one: 1 - sigmoid(z) = sigmoid(-z)."""
    return {name: -value if name[1] == "u" else value for name, value in w.items()}


def reset_after(w):
    kernel, recurrent_kernel, bias = gates("urc", turned(w))
    return [kernel, recurrent_kernel, np.stack([bias, np.concatenate([0 * w["bu"], 0 * w["br"], w["bh"]])])]


def rnn_of(cell):
    return lambda: layers.RNN(cell(), return_sequences=True)


# name -> (layer, the notes' forward and backward pass, gates, further weights and their shapes, the notes' weights as the layer's)
CELLS = {
    "vanilla": (
        lambda: layers.SimpleRNN(UNITS, return_sequences=True),
        recurrent.rnn,
        recurrent.rnn_bptt,
        "a",
        {},
        lambda w: gates("a", w),
    ),
    "relu": (
        lambda: layers.SimpleRNN(UNITS, activation="relu", return_sequences=True),
        lambda x, w: recurrent.rnn(x, w, recurrent.relu),
        lambda x, w, da: recurrent.rnn_bptt(x, w, da, recurrent.relu),
        "a",
        {},
        lambda w: gates("a", w),
    ),
    "simplified GRU": (
        rnn_of(lambda: SimplifiedGRUCell(UNITS)),
        recurrent.simplified_gru,
        recurrent.simplified_gru_bptt,
        "uc",
        {},
        lambda w: gates("uc", w),
    ),
    "GRU": (
        lambda: layers.GRU(UNITS, reset_after=False, return_sequences=True),
        recurrent.gru,
        recurrent.gru_bptt,
        "urc",
        {},
        lambda w: gates("urc", turned(w)),
    ),
    "GRU, reset after": (
        lambda: layers.GRU(UNITS, return_sequences=True),
        recurrent.gru_reset_after,
        recurrent.gru_reset_after_bptt,
        "urc",
        {"bh": (UNITS,)},
        reset_after,
    ),
    "minimal gated": (
        rnn_of(lambda: MinimalGatedCell(UNITS)),
        recurrent.minimal_gated,
        recurrent.minimal_gated_bptt,
        "fc",
        {},
        lambda w: gates("fc", w),
    ),
    "LSTM": (
        lambda: layers.LSTM(UNITS, return_sequences=True),
        recurrent.lstm,
        recurrent.lstm_bptt,
        "ufco",
        {},
        lambda w: gates("ufco", w),
    ),
    "peephole LSTM": (
        rnn_of(lambda: PeepholeLSTMCell(UNITS)),
        recurrent.lstm,
        recurrent.lstm_bptt,
        "ufco",
        {"pu": (UNITS,), "pf": (UNITS,), "po": (UNITS,)},
        lambda w: [*gates("ufco", w), np.stack([w["pu"], w["pf"], w["po"]])],
    ),
    "coupled LSTM": (
        rnn_of(lambda: CoupledLSTMCell(UNITS)),
        recurrent.lstm,
        recurrent.lstm_bptt,
        "fco",
        {},
        lambda w: gates("fco", w),
    ),
    "Jordan": (
        rnn_of(lambda: JordanCell(7, UNITS)),
        recurrent.jordan,
        recurrent.jordan_bptt,
        "",
        {"Whx": (7, INPUTS), "Why": (7, UNITS), "bh": (7,), "Wyh": (UNITS, 7), "by": (UNITS,)},
        lambda w: [w["Whx"].T, w["Why"].T, w["bh"], w["Wyh"].T, w["by"]],
    ),
}


def notes_weights(letters, further, random):
    shapes = {}
    for gate in letters:
        shapes.update({f"W{gate}a": (UNITS, UNITS), f"W{gate}x": (UNITS, INPUTS), f"b{gate}": (UNITS,)})
    return {name: random.normal(size=shape) * 0.7 for name, shape in {**shapes, **further}.items()}


def case(name, seed):
    make, forward, backward, letters, further, as_keras = CELLS[name]
    random = np.random.default_rng(seed)
    x, w = random.normal(size=(BATCH, TIME, INPUTS)), notes_weights(letters, further, random)
    da = random.normal(size=(BATCH, TIME, UNITS))
    return make, forward, backward, as_keras, x, w, da


@pytest.mark.parametrize("name", CELLS)
class TestEveryCell:
    def test_the_layer_is_the_notes_equations_forwards_and_back_through_time(self, name):
        make, forward, backward, as_keras, x, w, da = case(name, 0)
        layer = make()
        layer.build((None, None, INPUTS))
        layer.set_weights(as_keras(w))
        np.testing.assert_allclose(layer(x.astype("float32")), forward(x, w), atol=1e-5)
        of_weights, of_x = gradients(layer, x.astype("float32"), da.astype("float32"))
        dx, dw = backward(x, w, da)
        np.testing.assert_allclose(of_x, dx, atol=1e-4, rtol=1e-4)
        for found, expected in zip(of_weights, as_keras(dw), strict=True):
            if expected.shape[0] == 2 and expected.ndim == 2:  # the reset-after form's input biases act as its recurrent ones do
                expected[1, : 2 * UNITS] = expected[0, : 2 * UNITS]
            np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)

    def test_backpropagation_through_time_is_the_slope(self, name):
        _, forward, backward, _, x, w, da = case(name, 1)
        dx, dw = backward(x, w, da)
        for array, gradient in ((x, dx), *((w[key], dw[key]) for key in w)):
            direction = np.random.default_rng(2).normal(size=array.shape)
            values = []
            for step in (1e-5, -1e-5):
                array += step * direction
                values.append(np.sum(forward(x, w) * da))
                array -= step * direction
            assert (values[0] - values[1]) / 2e-5 == pytest.approx(np.sum(gradient * direction), rel=1e-5, abs=1e-7)

    def test_padding_is_passed_over(self, name):
        make, forward, _, as_keras, x, w, _ = case(name, 3)
        layer = make()
        layer.build((None, None, INPUTS))
        layer.set_weights(as_keras(w))
        mask = np.ones((BATCH, TIME), bool)
        mask[0, 2:4] = mask[1, :3] = False
        found = np.asarray(layer(x.astype("float32"), mask=keras.ops.convert_to_tensor(mask)))
        for row in range(BATCH):
            expected = forward(x[row : row + 1, mask[row]], w)[0]
            np.testing.assert_allclose(found[row, mask[row]], expected, atol=1e-5)

    def test_saves_and_loads_with_its_weights(self, name, tmp_path):
        layer, inputs = CELLS[name][0](), keras.Input((None, INPUTS), name="frames")
        model = keras.Model(inputs, layer(inputs))
        model.save(tmp_path / "model.keras")
        x = case(name, 4)[4].astype("float32")
        np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)(x), model(x), atol=1e-6)


def test_a_bidirectional_layer_is_two_of_the_notes_networks():
    make, forward, _, as_keras, x, w, _ = case("GRU", 5)
    other = case("GRU", 6)[5]
    there, back = forward(x, w), forward(x[:, ::-1], other)[:, ::-1]
    for mode, expected in (
        ("concat", np.concatenate([there, back], -1)),
        ("sum", there + back),
        ("ave", (there + back) / 2),
        ("mul", there * back),
    ):
        layer = layers.Bidirectional(make(), merge_mode=mode)
        layer.build((None, None, INPUTS))
        layer.set_weights([*as_keras(w), *as_keras(other)])
        np.testing.assert_allclose(layer(x.astype("float32")), expected, atol=1e-5)


def test_the_softmax_loss_goes_back_as_p_minus_y():
    random = np.random.default_rng(0)
    a, y = random.normal(size=(BATCH, TIME, UNITS)), random.integers(0, 7, (BATCH, TIME))
    w = {"Wya": random.normal(size=(7, UNITS)), "by": random.normal(size=7)}
    layer = layers.Dense(7)
    layer.build((None, None, UNITS))
    layer.set_weights([w["Wya"].T, w["by"]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss(y, layer(a))) == pytest.approx(recurrent.cross_entropy(a, w, y), rel=1e-5)
    da, dw = recurrent.cross_entropy_back(a, w, y)
    for array, gradient in ((a, da), (w["Wya"], dw["Wya"]), (w["by"], dw["by"])):
        direction = random.normal(size=array.shape)
        values = []
        for step in (1e-5, -1e-5):
            array += step * direction
            values.append(recurrent.cross_entropy(a, w, y))
            array -= step * direction
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(np.sum(gradient * direction), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.floats(0.01, 10.0))
def test_kerass_clipping_is_the_notes(seed, limit):
    random = np.random.default_rng(seed)
    given_gradients = [random.normal(size=shape).astype("float32") * 10 ** random.uniform(-2, 2) for shape in ((3, 4), (5,))]
    variables = [keras.Variable(np.zeros(g.shape, "float32")) for g in given_gradients]
    for option, clip in (
        ("clipvalue", recurrent.clip_by_value),
        ("clipnorm", recurrent.clip_by_norm),
        ("global_clipnorm", recurrent.clip_by_global_norm),
    ):
        for variable in variables:
            variable.assign(np.zeros(variable.shape))
        optimizer = keras.optimizers.SGD(1.0, **{option: limit})
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in given_gradients], variables)
        for variable, expected in zip(variables, clip(given_gradients, limit)):
            np.testing.assert_allclose(-np.asarray(variable), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", [SimplifiedGRUCell, MinimalGatedCell, PeepholeLSTMCell, CoupledLSTMCell])
def test_a_wrong_size_is_refused(cell):
    with pytest.raises(InputError, match="`units` is 0; expected an integer of at least 1"):
        cell(0)


def test_the_forget_gate_starts_open():
    for cell, gate in ((PeepholeLSTMCell(2), 1), (CoupledLSTMCell(2), 0)):
        cell.build((None, 3))
        blocks = np.asarray(cell.bias).reshape(-1, 2)
        assert (blocks[gate] == 1).all() and np.delete(blocks, gate, axis=0).max() == 0
