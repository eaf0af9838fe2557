"""Long streams pass a network in pieces."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from apps.trigger_word import evaluation
from apps.trigger_word.calibration import GRID, curves
from apps.trigger_word.features import in_pieces
from tflite.runtime import WordRule

SCORE_S = 0.5  # pieces of 115 scores after 24, so that the test is fast


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(0)
    built = {}
    for name, options in (("tcn_trigger_word", {"blocks": 1}), ("conv_gru_trigger_word", {"units": 8, "channels": 8})):
        model = zoo.build(name, num_mels=4, **options)
        built[name] = tf.function(lambda x, model=model: model(x, training=False)["score"], reduce_retracing=True)
    return built


@settings(max_examples=25, deadline=None)
@given(scores=st.integers(1, 700), rest=st.integers(0, 1))
def test_pieces_say_what_the_whole_stream_says(networks, scores, rest):
    stream = np.random.default_rng(scores).normal(size=(2 * scores + rest, 4)).astype(np.float16)
    run = networks["tcn_trigger_word"]
    whole = np.asarray(run(stream[None].astype(np.float32)))[0]
    np.testing.assert_allclose(in_pieces(run, stream, 2, SCORE_S, 12.0, 3), whole[:scores], atol=1e-5)


def test_a_recurrent_network_has_forgotten_what_was_before_a_piece(networks):
    stream = np.random.default_rng(1).normal(size=(4 * 500, 4)).astype(np.float32)
    run = networks["conv_gru_trigger_word"]
    np.testing.assert_allclose(in_pieces(run, stream, 4, SCORE_S, 12.0, 3), np.asarray(run(stream[None]))[0], atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(rate=st.sampled_from((0.0, 40.0, 400.0, 1e6)), seed=st.integers(0, 20))
def test_a_curve_ends_where_no_wanted_rate_is(rate, seed):
    draw = np.random.default_rng(seed)
    words = evaluation.SoundStream(np.zeros(16000 * 60, np.float32), tuple((0, 2.0 + 5 * i, 3.0 + 5 * i) for i in range(10)))
    other = evaluation.SoundStream(np.zeros(16000 * 300, np.float32))
    held_out = [{"clean": (stream, draw.normal(size=(round(20 * stream.hours * 3600), 1)) * 3)} for stream in (words, other)]
    given_as = keras.Input((None, 1))
    hidden = keras.Model(given_as, keras.layers.Identity()(given_as))
    (points,) = curves(hidden, np.eye(1), np.zeros(1), held_out, 0.05, rate)
    alone = [{"clean": (part["clean"][0], part["clean"][1].astype(np.float32))} for part in held_out]
    whole = []
    for threshold in GRID:
        rules = [WordRule("word", threshold, rearm_below=threshold - np.log(3.0))]
        whole.append({**evaluation.count_at(rules, 0.05, *alone), "threshold": float(threshold)})
    assert evaluation.at_rate(points, rate) == evaluation.at_rate(whole, rate)
