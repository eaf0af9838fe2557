"""The counter-based generator and the sampler: one definition, two implementations."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.runtime import randomness, sampling
from zoo.decoding import sampling as graph


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [  # the authors' known answers (Random123, kat_vectors)
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_authors_answers(key, counter, expected):
    assert tuple(randomness.threefry2x32(key, np.array(counter, np.uint32))) == expected
    found = graph.threefry2x32([tf.constant(k, tf.uint32) for k in key], tf.constant(counter, tf.uint32))
    assert tuple(found.numpy()) == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), stream=st.integers(0, 2**31 - 1), counter=st.integers(0, 2**31 - 1))
def test_graph_and_numpy_draw_the_same(seed, stream, counter):
    assert graph.uniforms(seed, tf.constant([stream]), counter).numpy()[0] == randomness.uniforms(seed, stream, counter, 1)[0]


def test_uniforms_are_uniform_and_a_plain_function_of_the_counter():
    values = randomness.uniforms(1, 2, 0, 100_000)
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.005 and abs(values.var() - 1 / 12) < 0.002
    np.testing.assert_array_equal(randomness.uniforms(1, 2, 500, 10), values[500:510])
    stream = randomness.Stream(1, 2)
    drawn = [stream.uniform(), *stream.array(3), stream.uniform()]
    np.testing.assert_array_equal(np.float32(drawn), values[:5])


# TensorFlow flushes subnormal numbers to zero, NumPy does not
LOGITS = st.lists(st.floats(-8, 8, width=32, allow_subnormal=False), min_size=3, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    logits=LOGITS,
    uniform=st.floats(0, 0.9990234375, width=32),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 3.0]),
    top_k=st.integers(0, 5),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_graph_and_numpy_choose_the_same_token(logits, uniform, temperature, top_k, top_p):
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    expected = sampling.sample_token(np.float32(logits), uniform, **options)
    found = graph.sample_token(tf.constant([logits], tf.float32), tf.constant([uniform], tf.float32), **options).numpy()[0]
    if found != expected:  # the two sums may round apart exactly at a boundary: between two tokens, or at top_p
        moved = [
            sampling.sample_token(
                np.float32(logits), min(max(uniform + a, 0), 0.9999999), temperature, top_k, min(top_p + b, 1.0)
            )
            for a in (-1e-5, 0.0, 1e-5)
            for b in (-1e-6, 0.0, 1e-6)
        ]
        assert found in moved
    assert expected != sampling.PADDING


def frequencies(logits, **options):
    draws = [sampling.sample_token(np.float32(logits), u, **options) for u in randomness.uniforms(0, 0, 0, 20_000)]
    return np.bincount(draws, minlength=len(logits)) / len(draws)


def test_tokens_come_as_often_as_they_should():
    logits = np.array([5.0, 0.0, 1.0, 2.0, -1.0])
    weights = np.exp(logits[1:]) / np.exp(logits[1:]).sum()
    np.testing.assert_allclose(frequencies(logits)[1:], weights, atol=0.01)
    sharper = np.exp(logits[1:] / 0.5) / np.exp(logits[1:] / 0.5).sum()
    np.testing.assert_allclose(frequencies(logits, temperature=0.5)[1:], sharper, atol=0.01)


def test_top_k_and_top_p_leave_the_rest_out():
    logits = np.array([9.0, 0.0, 1.0, 2.0, -1.0])
    assert np.flatnonzero(frequencies(logits, top_k=2)).tolist() == [2, 3]
    assert np.flatnonzero(frequencies(logits, top_k=1)).tolist() == [3]
    assert np.flatnonzero(frequencies(logits, top_p=0.5)).tolist() == [3]  # 0.64 of the probability is at 3
    assert np.flatnonzero(frequencies(logits, top_p=0.8)).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.0}, "`temperature` is 0.0"),
        ({"temperature": float("nan")}, "`temperature` is nan"),
        ({"temperature": -1.0}, "`temperature` is -1.0"),
        ({"top_k": -1}, "`top_k` is -1"),
        ({"top_p": 0.0}, "`top_p` is 0.0"),
        ({"top_p": 1.5}, "`top_p` is 1.5"),
        ({"typical_p": 0.0}, "`typical_p` is 0.0"),
        ({"repetition_penalty": 0.5}, "`repetition_penalty` is 0.5"),
        ({"no_repeat": -1}, "`no_repeat` is -1"),
        ({"contrastive": 0.6}, "`top_k` is 0; expected at least 2 for contrastive search"),
        ({"contrastive": 1.0, "top_k": 4}, "`contrastive` is 1.0"),
        ({"stop": ("",)}, "`stop` has an empty string"),
    ],
)
def test_wrong_sampling_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        sampling.Sampling(**options)
