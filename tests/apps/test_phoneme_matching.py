"""The phoneme matching of the benchmark against every path there is."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.phoneme_matching import FLOOR, batches, match, said


def collapsed(path):
    return [symbol for symbol, _ in itertools.groupby(path) if symbol]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_the_best_path_is_the_best_of_all_that_say_the_word(seed, steps, word):
    logits = np.random.default_rng(seed).normal(0, 2, (steps, 3))
    behind = np.maximum(logits - logits.max(axis=1, keepdims=True), -FLOOR)
    found = match(logits, word)
    for end in range(1, steps + 1):
        scores = [
            sum(behind[end - len(path) + i, symbol] for i, symbol in enumerate(path))
            for length in range(1, end + 1)
            for path in itertools.product(range(3), repeat=length)
            # it starts and ends with a phoneme: blanks around it are no part of the word
            if path[0] and path[-1] and collapsed(path) == word
        ]
        assert np.isclose(found[end - 1], max(scores, default=-np.inf)), (end, found)


def test_what_is_too_long_for_its_time_is_left_out_and_the_rest_padded_with_blanks():
    symbols = ["a", "b"]
    frames = np.ones((600, 96), np.float32)
    examples = [
        (frames, ["a", "b", "a"]),
        (frames[:590], ["b"]),
        (frames, ["b"]),
        (frames[:590], ["a"]),
        (frames[:1], ["a", "b"]),
    ]
    x, y = next(batches(examples, symbols))
    assert x.shape[1:] == (600, 96) and {tuple(row) for row in y.tolist()} == {(2, 0, 0), (1, 0, 0), (1, 2, 1)}
    assert not x[:, 590:].all()


def test_spellings_of_one_sound_are_one():
    assert said("Computer!") == ["k", "ə", "m", "p", "j", "uː", "t", "ɚ"] == said("computer")
