"""Attention against its definition in plain NumPy; that it streams is the harness's."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import attention as oracles
from tests.zoo.derivatives import gradients
from zoo.errors import InputError
from zoo.layers.attention import Attention, CausalSelfAttention, MultiHeadAttention

QUERIES, TIME = 3, 5


def rotated(vector, position):
    half = len(vector) // 2
    angles = position * 10000.0 ** (-np.arange(half) / half)
    turned = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag])


def causal(x, kernel, output_kernel, heads, window):
    """One sequence, position by position and head by head."""
    size = x.shape[1] // heads
    queries, keys, values = np.split(x @ kernel, 3, axis=1)
    out = np.zeros_like(x, dtype=float)
    for t in range(len(x)):
        seen = range(max(0, t - window + 1), t + 1)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query = rotated(queries[t, part], t)
            scores = np.array([query @ rotated(keys[s, part], s) for s in seen]) / np.sqrt(size)
            shares = np.exp(scores - scores.max())
            out[t, part] = shares / shares.sum() @ values[list(seen), part]
    return out @ output_kernel


@pytest.mark.parametrize(("heads", "window"), [(1, 20), (2, 4), (4, 1)])
def test_it_is_its_definition(heads, window):
    x = np.random.default_rng(0).normal(size=(2, 11, 16)).astype("float32")
    layer = CausalSelfAttention(heads, window, seed=0)
    found = layer(x)
    kernel, output_kernel = layer.get_weights()
    for row in range(2):
        np.testing.assert_allclose(found[row], causal(x[row], kernel, output_kernel, heads, window), atol=1e-5)


@pytest.mark.parametrize("window", [1, 4])
def test_a_step_with_what_came_before_is_a_part_of_the_whole(window):
    x = np.random.default_rng(0).normal(size=(2, 7, 8)).astype("float32")
    layer = CausalSelfAttention(2, window, seed=0)
    expected, keys, values = layer(x), x[:, :0], x[:, :0]
    for t in range(7):
        found, keys, values = layer.extend(x[:, t : t + 1], keys, values)
        np.testing.assert_allclose(found[:, 0], expected[:, t], atol=1e-5)
        assert keys.shape[1] == values.shape[1] == min(t + 1, window)


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="`window` is 0"):
        CausalSelfAttention(2, 0)
    with pytest.raises(InputError, match="`heads` is 3 for 16 dimensions"):
        CausalSelfAttention(3, 4)(np.zeros((1, 2, 16), "float32"))


def drawn(layer, query, memory, seed=0):
    """Builds a layer with random weights; returns them by name."""
    random = np.random.default_rng(seed)
    layer.build(query, memory)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return {weight.name: np.asarray(weight, "float64") for weight in layer.weights}


def example(size=4, places=4, seed=0):
    """Queries, a memory, and a mask that hides some places of the first text and all of the second."""
    random = np.random.default_rng(seed)
    query, memory = random.normal(size=(2, QUERIES, size)), random.normal(size=(2, TIME, places))
    mask = np.array([[True, True, False, True, False], [False] * TIME])
    return query.astype("float32"), memory.astype("float32"), mask


@pytest.mark.parametrize("kind", ["additive", "dot", "scaled_dot", "general"])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_notes_forwards_and_backwards(kind, masked):
    places = 4 if "dot" in kind else 6
    query, memory, mask = example(places=places)
    layer = Attention(kind, units=7 if kind == "additive" else None)
    w = drawn(layer, query.shape, memory.shape)
    shown = mask if masked else np.ones_like(mask)
    context, weights = layer(query, memory, mask=mask if masked else None, return_weights=True)
    expected = [[oracles.attention(kind, q, memory[row], w, shown[row]) for q in query[row]] for row in range(2)]
    np.testing.assert_allclose(context, [[c for c, _ in row] for row in expected], atol=1e-5)
    np.testing.assert_allclose(weights, [[a for _, a in row] for row in expected], atol=1e-5)

    chosen = np.random.default_rng(1).normal(size=context.shape).astype("float32")
    inputs = [keras.Input(batch_shape=query.shape), keras.Input(batch_shape=memory.shape)]
    model = keras.Model(inputs, layer(*inputs, mask=keras.ops.convert_to_tensor(mask) if masked else None))
    of_weights, (of_query, of_memory) = gradients(model, [query, memory], chosen)
    dw, dm = {name: np.zeros_like(value) for name, value in w.items()}, np.zeros_like(memory, "float64")
    for row in range(2):
        for t, q in enumerate(query[row]):
            dq, of_places, more = oracles.attention_back(kind, q, memory[row], w, shown[row], chosen[row, t])
            np.testing.assert_allclose(of_query[row, t], dq, atol=1e-4)
            dm[row] += of_places
            dw = {name: dw[name] + more[name] for name in dw}
    np.testing.assert_allclose(of_memory, dm, atol=1e-4)
    for found, weight in zip(of_weights, layer.trainable_weights, strict=True):
        np.testing.assert_allclose(found, dw[weight.name], atol=1e-4)


def test_concat_is_additive_with_its_two_matrices_on_top_of_each_other():
    """Luong writes W [q; m], Bahdanau Wq q + Wm m."""
    query, memory, _ = example()
    layer = Attention("concat", units=7)
    w = drawn(layer, query.shape, memory.shape)
    both = np.concatenate([w["query_kernel"], w["memory_kernel"]])
    e = [w["scores_kernel"][:, 0] @ np.tanh(np.concatenate([query[0, 0], place]) @ both + w["bias"]) for place in memory[0]]
    weights = layer(query, memory, return_weights=True)[1]
    np.testing.assert_allclose(weights[0, 0], np.exp(e) / np.exp(e).sum(), atol=1e-5)


def test_coverage_is_a_term_of_the_sum():
    query, memory, mask = example()
    layer = Attention("additive", units=7, coverage=True)
    w = drawn(layer, query.shape, memory.shape)
    covered = np.random.default_rng(2).random((2, TIME)).astype("float32")
    found = layer(query[:, :1], memory, mask=mask, covered=covered)
    expected, _ = oracles.attention("additive", query[0, 0], memory[0], w, mask[0], covered[0])
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(layer(query, memory), layer(query, memory, covered=np.zeros((2, TIME), "float32")))


@pytest.mark.parametrize("positions", [None, [[4, 0, 2], [0, 0, 0]]])
def test_a_monotonic_window_moves_with_the_query(positions):
    query, memory, _ = example()
    layer = Attention("dot", local="monotonic", window=1)
    weights = np.asarray(
        layer(query, memory, positions=None if positions is None else np.array(positions), return_weights=True)[1]
    )
    for t in range(QUERIES):
        centre = t if positions is None else positions[0][t]
        shown = np.abs(np.arange(TIME) - centre) <= 1
        np.testing.assert_allclose(weights[0, t], oracles.attention("dot", query[0, t], memory[0], {}, shown)[1], atol=1e-5)


def test_a_predicted_window_lies_within_the_source():
    query, memory, mask = example()
    layer = Attention("general", units=3, local="predictive", window=2)
    w = drawn(layer, query.shape, memory.shape)
    weights = np.asarray(layer(query, memory, mask=mask, return_weights=True)[1])
    for t in range(QUERIES):
        centre = oracles.position(query[0, t], mask[0].sum(), w)
        distance = np.arange(TIME) - centre
        alpha = oracles.attention("general", query[0, t], memory[0], w, mask[0] & (np.abs(distance) <= 2))[1]
        np.testing.assert_allclose(weights[0, t], alpha * np.exp(-(distance**2) / (2 * 1.0**2)), atol=1e-5)
    assert not weights[1].any()


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_equal_the_notes_and_kerass_layer(heads):
    query, memory, mask = example(size=8, places=6)
    layer = MultiHeadAttention(heads)
    w = drawn(layer, query.shape, memory.shape)
    outputs, weights = layer(query, memory, mask=mask, return_weights=True)
    for row in range(2):
        expected = oracles.multi_head(query[row].astype("float64"), memory[row], *w.values(), heads, mask[row])
        np.testing.assert_allclose(outputs[row], expected[0], atol=1e-4)
        np.testing.assert_allclose(weights[row], expected[1], atol=1e-5)
    theirs = keras.layers.MultiHeadAttention(heads, 8 // heads, use_bias=False)
    theirs.build(query.shape, memory.shape)
    key, value = np.split(w["memory_kernel"], 2, axis=1)
    shaped = [kernel.reshape(len(kernel), heads, -1) for kernel in (w["query_kernel"], key, value)]
    theirs.set_weights([*shaped, w["output_kernel"].reshape(heads, -1, 8)])
    # where nothing may be looked at, Keras looks everywhere alike
    np.testing.assert_allclose(outputs[0], theirs(query, memory, attention_mask=mask[:, None])[0], atol=1e-4)


LAYERS = {
    "additive": lambda: Attention("additive", seed=0),
    "dot": lambda: Attention("dot", seed=0),
    "general": lambda: Attention("general", seed=0),
    "predictive": lambda: Attention("general", local="predictive", window=2, seed=0),
    "monotonic": lambda: Attention("general", local="monotonic", window=2, seed=0),
    "heads": lambda: MultiHeadAttention(2, seed=0),
}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(list(LAYERS)), padding=st.integers(1, 6), scale=st.sampled_from([1.0, 100.0]), seed=st.integers(0, 99)
)
def test_a_padded_source_never_changes_a_result(name, padding, scale, seed):
    random = np.random.default_rng(seed)
    query, memory = (scale * random.normal(size=(1, 4, 6)).astype("float32") for _ in range(2))
    rest = 10 * scale * random.normal(size=(1, padding, 6)).astype("float32")
    layer = LAYERS[name]()
    expected = layer(query, memory, mask=np.ones((1, 4), bool))
    found = layer(query, np.concatenate([memory, rest], axis=1), mask=np.arange(4 + padding)[None] < 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_source_that_is_all_padding_gives_finite_results_and_gradients(name):
    query, memory, mask = example(size=6, places=6)
    layer, inputs = LAYERS[name](), [keras.Input(batch_shape=query.shape), keras.Input(batch_shape=memory.shape)]
    model = keras.Model(inputs, layer(*inputs, mask=keras.ops.convert_to_tensor(mask)))
    of_weights, of_inputs = gradients(model, [query, memory], np.ones((2, QUERIES, 6), "float32"))
    assert not np.asarray(model([query, memory]))[1].any()
    assert all(np.isfinite(g).all() for g in [*of_weights, *of_inputs])


@pytest.mark.parametrize("name", list(LAYERS))
def test_survives_its_config(name):
    query, memory, _ = example(size=6, places=6)
    layer = LAYERS[name]()
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(layer(query, memory), again(query, memory))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"score": "cosine"}, "`score` is 'cosine'"),
        ({"local": "global", "window": 2}, "`local` is 'global'"),
        ({"local": "monotonic"}, "expected both or neither"),
        ({"window": 2}, "expected both or neither"),
        ({"score": "dot", "coverage": True}, "expected 'additive'"),
        ({"units": 0}, "`units` is 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Attention(**arguments)


def test_sizes_that_do_not_fit_are_refused():
    query, memory, _ = example(size=4, places=6)
    with pytest.raises(InputError, match="'dot' of 4 and 6 numbers"):
        Attention("dot")(query, memory)
    with pytest.raises(InputError, match="`heads` is 3 for 4 dimensions"):
        MultiHeadAttention(3)(query, memory)
