"""Truncated backpropagation through time: the state goes on, the gradient ends."""

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import InputError
from zoo.truncated_bptt import CarriedState, stateful_layers, windows

TOKENS = np.random.default_rng(0).integers(1, 7, 4 * 24 + 1)
LOSS = {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}


def language_model(name="lstm_language_model", **options):
    return zoo.build(name, vocabulary=7, dimensions=4, units=6, mask_padding=False, **options)


@pytest.mark.parametrize("name", ["rnn_language_model", "gru_language_model", "lstm_language_model"])
def test_windows_with_carried_states_say_what_the_whole_text_says(name):
    whole, carried = language_model(name, depth=2), language_model(name, depth=2, stateful_batch=4)
    x, y = windows(TOKENS, batch_size=4, length=6)
    logits = np.concatenate([carried.predict_on_batch(x[start : start + 4])["logits"] for start in range(0, 16, 4)], axis=1)
    streams = TOKENS[:-1].reshape(4, 24)
    np.testing.assert_allclose(logits, whole(streams)["logits"], atol=1e-5)
    np.testing.assert_array_equal(np.concatenate(np.split(y, 4), axis=1), TOKENS[1:].reshape(4, 24))


def trained(model, x, y, rows, **options):
    model.compile(keras.optimizers.SGD(0.5), loss=LOSS)
    model.fit(x, {"logits": y}, batch_size=rows, shuffle=False, verbose=0, callbacks=[CarriedState()], **options)
    return model.get_weights()


def test_a_window_that_covers_the_text_is_full_backpropagation_and_a_shorter_one_is_not():
    streams, following = TOKENS[:-1].reshape(4, 24), TOKENS[1:].reshape(4, 24)
    plain = language_model()
    plain.compile(keras.optimizers.SGD(0.5), loss=LOSS)
    plain.fit(streams, {"logits": following}, batch_size=4, epochs=3, verbose=0)
    covered = trained(language_model(stateful_batch=4), *windows(TOKENS, batch_size=4, length=24), 4, epochs=3)
    for found, expected in zip(covered, plain.get_weights()):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    cut = trained(language_model(stateful_batch=4), *windows(TOKENS, batch_size=4, length=6), 4, epochs=3)
    assert any(np.abs(found - expected).max() > 1e-4 for found, expected in zip(cut, covered))


def test_a_validation_does_not_disturb_what_training_carries():
    x, y = windows(TOKENS, batch_size=4, length=6)
    validation = (x[:4], {"logits": y[:4]})
    found = [
        trained(language_model(stateful_batch=4), x, y, 4, epochs=2, **options)
        for options in ({}, {"validation_data": validation, "validation_batch_size": 4})
    ]
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


def test_a_pass_begins_from_zero_states():
    model = language_model(stateful_batch=4)
    model.compile("sgd", loss=LOSS)
    x, _ = windows(TOKENS, batch_size=4, length=6)
    callback = CarriedState(batches=2)
    callback.set_model(model)
    (layer,) = stateful_layers(model)
    zeros = []
    for step in range(4):
        callback.on_train_batch_begin(step)
        zeros.append(not any(np.any(state) for state in layer.states))
        model.predict_on_batch(x[:4])
    assert zeros == [True, False, True, False]


def test_too_little_text_is_refused():
    with pytest.raises(InputError, match="`tokens` has the shape .5,.; expected .count,. with a count of at least 25"):
        windows(np.arange(5), batch_size=4, length=6)
