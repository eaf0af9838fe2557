"""Streamed equals offline, for every registered model that declares it, in any chunking."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.zoo.streams import assert_streams_as_a_whole
from tests.zoo.test_models import CASES, example
from tflite.streaming import to_step_model
from zoo.errors import InputError

STREAMING = [name for name, (entry, _) in CASES.items() if entry.streams]
_built = {}


@pytest.mark.parametrize("name", STREAMING)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), time=st.integers(3, 20))
def test_every_streaming_model_streams_in_any_chunking(name, seed, time):
    if name not in _built:
        _built[name] = example(name)[0]
    stride = (
        8 if CASES[name][0].task in ("speech_encoder", "speech_recognition", "trigger_word") else 1
    )  # a multiple of their strides
    _, x = example(name, batch=1, time=time * stride, seed=seed)
    assert_streams_as_a_whole(_built[name], x, [stride, 2 * stride, 3 * stride], seed)


def test_the_course_model_streams_with_causal_padding():
    model = zoo.build("course_trigger_word", num_bands=9, filters=8, kernel_size=5, stride=2, units=8, padding="causal")
    assert_streams_as_a_whole(model, np.random.default_rng(0).normal(size=(1, 40, 9)).astype("float32"), [2, 4])


def sequential_model(*stack, shape=(None, 4)):
    x = inputs = keras.Input(shape, name="frames")
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, {"score": x})


def test_dilated_stacked_nested_and_elementwise_parts_stream():
    inner = sequential_model(keras.layers.Conv1D(4, 3, padding="causal", dilation_rate=2), keras.layers.LayerNormalization())
    frames = keras.Input((None, 4), name="frames")
    cells = keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.GRUCell(4)], return_sequences=True)
    x = cells(inner(frames)["score"])
    x = keras.ops.tanh(x + frames)
    x = keras.layers.TimeDistributed(keras.layers.Dense(2))(x)
    assert_streams_as_a_whole(
        keras.Model(frames, {"score": x}), np.random.default_rng(0).normal(size=(1, 20, 4)).astype("float32"), [1, 2, 3]
    )


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.Conv1D(4, 3, padding="same", name="wide"), "'wide' .Conv1D. cannot stream: its padding is 'same'"),
        (
            keras.layers.Conv1D(4, 3, strides=3, padding="causal", name="wide"),
            "'wide' .* its stride is 3, which does not divide a step of 4",
        ),
        (
            keras.layers.GRU(4, go_backwards=True, return_sequences=True, name="back"),
            "'back' .GRU. cannot stream: it reads backwards",
        ),
        (keras.layers.GRU(4, name="last"), "'last' .GRU. cannot stream: it reads backwards, or gives its last output"),
        (
            keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True), name="both"),
            "'both' .Bidirectional. cannot stream",
        ),
        (keras.layers.LayerNormalization(axis=1, name="norm"), "'norm' .* its axis is"),
        (keras.layers.GlobalAveragePooling1D(name="pool"), "'pool' .GlobalAveragePooling1D. cannot stream"),
        (keras.layers.Reshape((-1, 8), name="pairs"), "'pairs' .Reshape. cannot stream: it makes .* of frames of shape"),
    ],
)
def test_a_layer_that_cannot_stream_is_named(layer, reason):
    with pytest.raises(InputError, match=reason):
        shape = (8, 4) if "norm" in layer.name else (None, 4)
        to_step_model(sequential_model(layer, shape=shape), 4)


@pytest.mark.parametrize(
    ("pool", "options", "reason"),
    [
        ((3, 1), {}, "its stride is 3, which does not divide a step of 4"),
        ((2, 1), {"strides": 1}, "its windows overlap or are padded"),
        ((2, 1), {"padding": "same"}, "its windows overlap or are padded"),
    ],
)
def test_poolings_stream_where_steps_hold_whole_windows(pool, options, reason):
    def pooled(layer):
        frames = keras.Input((None, 3, 2), name="frames")
        return keras.Model(frames, {"score": layer(frames)})

    with pytest.raises(InputError, match=reason):
        to_step_model(pooled(keras.layers.MaxPooling2D(pool, **options)), 4)
    x = np.random.default_rng(0).normal(size=(1, 24, 3, 2)).astype("float32")
    assert_streams_as_a_whole(pooled(keras.layers.MaxPooling2D((2, 3))), x, [2, 4, 6])


def test_pooling_over_time_alone_streams():
    frames = keras.Input((None, 3), name="frames")
    model = keras.Model(frames, {"score": keras.layers.MaxPooling1D(2)(frames)})
    with pytest.raises(InputError, match="does not divide a step of 3"):
        to_step_model(model, 3)
    x = np.random.default_rng(0).normal(size=(1, 24, 3)).astype("float32")
    assert_streams_as_a_whole(model, x, [2, 4, 6])


def test_inputs_of_different_rank_are_refused():
    frames = keras.Input((None, 2), name="frames")
    wide = keras.layers.Reshape((-1, 2, 2))(keras.layers.Dense(4)(frames))
    with pytest.raises(InputError, match="axes of different number"):
        to_step_model(keras.Model(frames, {"score": wide + keras.layers.Dense(2)(frames)}), 2)


def test_a_layer_used_twice_is_refused():
    conv, frames = keras.layers.Conv1D(4, 3, padding="causal", name="twin"), keras.Input((None, 4), name="frames")
    with pytest.raises(InputError, match="'twin' .* used twice"):
        to_step_model(keras.Model(frames, {"score": conv(conv(frames))}))


def test_something_else_than_a_functional_model_is_refused():
    with pytest.raises(InputError, match="`model` is a Dense; expected a functional"):
        to_step_model(keras.layers.Dense(3))


def test_a_recurrent_layer_that_is_given_its_first_state_is_refused():
    frames = keras.Input((None, 4), name="frames")
    start = keras.layers.Dense(3)(frames)[:, 0]
    gru = keras.layers.GRU(3, return_sequences=True, name="told")
    with pytest.raises(InputError, match="cannot stream"):
        to_step_model(keras.Model(frames, {"score": gru(frames, initial_state=start)}))
