"""Viterbi alignment against all paths one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import ctc as oracle
from zoo.decoding.alignment import align
from zoo.errors import InputError


def clips(seed, blank, batch=4, time=8, labels=3, symbols=4):
    """Log probabilities, labels and lengths that fit."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(batch, time, symbols)) * 2
    rates = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    wanted = random.choice([symbol for symbol in range(symbols) if symbol != blank], (batch, labels))
    return rates, wanted, random.integers(1, labels + 1, batch), random.integers(2 * labels, time + 1, batch)


@given(st.integers(0, 10_000), st.sampled_from([None, 0, 2]))
@settings(max_examples=30, deadline=None)
def test_the_path_is_the_likeliest_of_all(seed, blank):
    rates, wanted, label_lengths, frame_lengths = clips(seed, blank)
    for i, found in enumerate(align(rates, wanted, label_lengths, frame_lengths, blank=blank)):
        heard, said = rates[i, : frame_lengths[i]], wanted[i, : label_lengths[i]]
        score, places = oracle.best_path(heard, said, blank)
        assert found.score == pytest.approx(score)
        if blank is not None or (np.diff(said) != 0).all():  # without blanks, two that are the same may change anywhere
            assert found.path.tolist() == [place if blank is None else place // 2 if place % 2 else -1 for place in places]
        symbols = [blank if place < 0 else said[place] for place in found.path]
        assert found.score == pytest.approx(sum(heard[t, symbol] for t, symbol in enumerate(symbols)))
        for place, (start, end) in enumerate(found.spans):
            assert np.flatnonzero(found.path == place).tolist() == list(range(start, end)) and end > start
            assert found.confidences[place] == pytest.approx(np.exp(heard[start:end, said[place]]).mean())


def test_padding_changes_nothing_and_nothing_said_is_all_blank():
    rates, wanted, label_lengths, frame_lengths = clips(1, 0)
    label_lengths[0] = 0
    found = align(rates, wanted, label_lengths, frame_lengths)
    padded = align(np.pad(rates, ((0, 0), (0, 3), (0, 0))), np.pad(wanted, ((0, 0), (0, 2))), label_lengths, frame_lengths)
    assert (found[0].path == -1).all() and found[0].spans.shape == (0, 2)
    for one, other in zip(found, padded):
        assert one.score == other.score
        np.testing.assert_array_equal(one.path, other.path)


def test_what_does_not_fit_is_named():
    rates = np.zeros((2, 3, 3))
    with pytest.raises(InputError, match=r"clip 1 \(3 frames for labels that need 4\)"):
        align(rates, [[1, 2, 1], [1, 1, 2]])
    with pytest.raises(InputError, match="clip 0 has 4 labels and 3 frames; expected one label at least, and a frame for each"):
        align(rates, [[1, 2, 1, 2]] * 2, blank=None)
    with pytest.raises(InputError, match=r"have shapes \(3, 3\), \(1, 2\); expected \(batch, time, symbols\), \(batch, labels\)"):
        align(np.zeros((3, 3)), [[1, 2]])
