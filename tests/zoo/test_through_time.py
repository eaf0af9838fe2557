"""LSTM and GRU with their way back written out, against Keras's own: outputs, states, gradients, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.layers import through_time

BATCH, TIME, INPUTS, UNITS = 3, 6, 4, 5
KINDS = ("LSTM", "GRU")


def both(kind, random, **arguments):
    """Keras's layer and ours with the same weights."""
    pair = [getattr(module, kind)(UNITS, **arguments) for module in (keras.layers, through_time)]
    for layer in pair:
        layer.build((BATCH, TIME, INPUTS))
    for mine, theirs in zip(pair[1].weights, pair[0].weights):
        theirs.assign(random.normal(size=theirs.shape))
        mine.assign(theirs)
    return pair


def outputs_and_gradients(layer, x, mask, states):
    """Every output of a training step, and the gradients of a sum of them all."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, INPUTS))])  # neither batch nor time is known
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            found = tf.nest.flatten(layer(x, mask=mask, training=True, initial_state=states or None))
            loss = tf.add_n([(1.0 + place) * tf.reduce_sum(tf.sin(value)) for place, value in enumerate(found)])
        return found, tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables), *states])

    return [np.asarray(value) for value in tf.nest.flatten(step(x))]


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    masked=st.booleans(),
    started=st.booleans(),
    seed=st.integers(0, 1000),
    arguments=st.fixed_dictionaries(
        {name: st.booleans() for name in ("go_backwards", "return_sequences", "return_state", "zero_output_for_mask")}
    ),
)
def test_equals_keras(kind, masked, started, seed, arguments):
    random = np.random.default_rng(seed)
    pair = both(kind, random, **arguments)
    x = tf.constant(random.normal(size=(BATCH, TIME, INPUTS)), "float32")
    mask = tf.constant(random.random((BATCH, TIME)) < 0.6) if masked else None
    states = [tf.constant(random.normal(size=(BATCH, UNITS)), "float32") for _ in pair[0].state_size] if started else []
    expected, found = (outputs_and_gradients(layer, x, mask, states) for layer in pair)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments", [{"dropout": 0.2}, {"activation": "relu"}, {"use_bias": False}, {"unroll": True}, {}])
def test_is_kerass_layer_where_the_written_out_way_does_not_apply(kind, arguments, monkeypatch):
    """Only the last case, plain training, comes to the written-out passes."""
    came = []
    monkeypatch.setattr(through_time, "_run", lambda *given: came.append(given) or 1 / 0)
    layer = getattr(through_time, kind)(UNITS, **arguments)
    x = np.zeros((BATCH, TIME, INPUTS), "float32")
    layer(x, training=False)
    if arguments:
        layer(x, training=True)
    else:
        with pytest.raises(ZeroDivisionError):
            layer(x, training=True)
    assert len(came) == (not arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_its_states_from_batch_to_batch(kind):
    random = np.random.default_rng(0)
    pair = both(kind, random, stateful=True, return_sequences=True)
    for _ in range(2):
        x = random.normal(size=(BATCH, TIME, INPUTS)).astype("float32")
        expected, found = (np.asarray(layer(x, training=True)) for layer in pair)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_reads_the_files_of_kerass_layer_and_is_saved(kind, tmp_path):
    inputs = keras.Input((None, INPUTS))
    theirs, ours = (
        keras.Model(inputs, keras.layers.Bidirectional(getattr(module, kind)(UNITS))(inputs))
        for module in (keras.layers, through_time)
    )
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    ours.save(tmp_path / "ours.keras")
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS))
    again = keras.models.load_model(tmp_path / "ours.keras")
    assert isinstance(again.layers[1].forward_layer, getattr(through_time, kind))
    np.testing.assert_allclose(again(x), theirs(x), atol=1e-6)


@pytest.mark.parametrize("name", ["lstm_language_model", "gru_language_model"])
def test_a_language_model_trains_as_with_kerass_layers(name, monkeypatch):
    """Three steps on padded text leave the same weights."""
    tokens = np.random.default_rng(0).integers(1, 11, (4, 9))
    tokens[1, 5:] = 0

    def trained():
        model = zoo.build(name, vocabulary=11, dimensions=6, units=8, depth=2)
        model.compile("adam", loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
        for _ in range(3):
            model.train_on_batch(tokens[:, :-1], {"logits": tokens[:, 1:]})
        return model.get_weights()

    ours = trained()
    monkeypatch.setattr(through_time, "_applies", lambda *_: False)
    for a, b in zip(ours, trained(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
