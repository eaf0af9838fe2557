"""Losses against their definitions in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import InputError
from zoo.losses.detection import DetectionCrossentropy


def oracle(truth, score, hard, weight):
    """The loss, frame by frame."""
    words = [
        [(-np.log(p) if y == 1 else -np.log(1 - p), y) for y, p in zip(truth[..., k].ravel(), score[..., k].ravel()) if y >= 0]
        for k in range(truth.shape[-1])
    ]
    loss = sum(value for each in words for value, _ in each) / max(sum(map(len, words)), 1)
    for each in words if hard else ():
        false = sorted((value for value, y in each if y == 0), reverse=True)
        true = [value for value, y in each if y == 1]
        loss += weight * (sum(false[:hard]) / hard + sum(true) / max(len(true), 1)) / len(words)
    return loss


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), hard=st.integers(0, 8))
def test_the_detection_loss_is_its_definition(seed, hard):
    random = np.random.default_rng(seed)
    truth = random.integers(-1, 2, (2, 5, 2)).astype("float32")
    score = random.uniform(0.01, 0.99, (2, 5, 2)).astype("float32")
    found = DetectionCrossentropy(hard, 0.3)(truth, score)
    assert float(found) == pytest.approx(oracle(truth, score, hard, 0.3), rel=1e-4)


def test_a_word_that_is_never_told_apart_takes_nothing_from_the_others():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, (2, 30, 2)).astype("float32")
    score = random.uniform(0.01, 0.3, (2, 30, 2)).astype("float32")
    score[..., 1] = 0.99  # all its false frames are worse than any of the other's
    alone = [float(DetectionCrossentropy(5)(truth[..., [k]], score[..., [k]])) for k in (0, 1)]
    assert float(DetectionCrossentropy(5)(truth, score)) == pytest.approx(np.mean(alone), rel=1e-4)


def test_frames_that_count_neither_way_have_no_gradient():
    import tensorflow as tf

    truth, score = np.array([[[1.0], [-1.0], [0.0]]], "float32"), tf.Variable(np.full((1, 3, 1), 0.4, "float32"))
    with tf.GradientTape() as tape:
        loss = DetectionCrossentropy(1)(truth, score)
    gradient = np.asarray(tape.gradient(loss, score)).ravel()
    assert gradient[0] < 0 and gradient[1] == 0 and gradient[2] > 0


def test_it_survives_saving_and_refuses_nonsense():
    loss = DetectionCrossentropy(7, 0.2)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.hard, again.hard_weight) == (7, 0.2)
    with pytest.raises(InputError, match="`hard`, `hard_weight` are -1"):
        DetectionCrossentropy(-1)
