"""Attention against its definition in plain NumPy; that it streams is the harness's."""

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.layers.attention import CausalSelfAttention


def rotated(vector, position):
    half = len(vector) // 2
    angles = position * 10000.0 ** (-np.arange(half) / half)
    turned = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag])


def oracle(x, kernel, output_kernel, heads, window):
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
        np.testing.assert_allclose(found[row], oracle(x[row], kernel, output_kernel, heads, window), atol=1e-5)


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="`window` is 0"):
        CausalSelfAttention(2, 0)
    with pytest.raises(InputError, match="`heads` is 3 for 16 dimensions"):
        CausalSelfAttention(3, 4)(np.zeros((1, 2, 16), "float32"))
