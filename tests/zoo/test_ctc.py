"""The CTC loss against every path one by one, the recursions in NumPy, and the backends' own."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tests.oracles import ctc as oracle
from tests.zoo.derivatives import losses_and_gradient
from zoo.errors import InputError
from zoo.layers.ctc import CTCLayer
from zoo.losses.ctc import CTC, check_feasible, ctc_loss, frames_needed


def rates_of(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def clips(seed, batch=5, time=12, labels=4, symbols=5, blank=0, spread=2.0):
    """Logits, labels (repeats among them) and lengths that fit."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(batch, time, symbols)).astype("float32") * spread
    others = [symbol for symbol in range(symbols) if symbol != blank]
    wanted = random.choice(others, (batch, labels)).astype("int32")
    label_lengths = random.integers(0, labels + 1, batch).astype("int32")
    needed = np.asarray(frames_needed(wanted, label_lengths))
    frame_lengths = random.integers(np.maximum(needed, 1), time + 1).astype("int32")
    return wanted, logits, label_lengths, frame_lengths


@given(st.integers(0, 10_000), st.integers(0, 2))
@settings(max_examples=3, deadline=None)  # of eight clips each; every call is compiled anew on JAX
def test_the_loss_is_that_of_all_paths_one_by_one(seed, blank):
    wanted, logits, label_lengths, frame_lengths = clips(seed, batch=8, time=6, labels=3, symbols=3, blank=blank)
    found = np.asarray(ctc_loss(wanted, logits, label_lengths, frame_lengths, blank))
    for i in range(8):
        said = tuple(wanted[i, : label_lengths[i]])
        every = oracle.probabilities(rates_of(logits[i, : frame_lengths[i]]), blank)
        assert sum(every.values()) == pytest.approx(1)
        assert found[i] == pytest.approx(-np.log(every[said]), abs=1e-5)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 3.0, 2000.0]))
@settings(max_examples=4, deadline=None)
def test_loss_and_gradient_are_the_recursions_for_any_lengths_and_logits(seed, spread):
    wanted, logits, label_lengths, frame_lengths = clips(seed, batch=16, time=30, labels=8, symbols=7, spread=spread)
    losses, found = losses_and_gradient(lambda x: ctc_loss(wanted, x, label_lengths, frame_lengths), logits)
    assert np.isfinite(found).all()
    for i, (labels, time) in enumerate(zip(label_lengths, frame_lengths)):
        said, heard = list(wanted[i, :labels]), np.asarray(logits[i, :time], np.float64)
        assert losses[i] == pytest.approx(oracle.loss(rates_of(heard), said), rel=1e-5, abs=1e-4)
        np.testing.assert_allclose(found[i, :time], oracle.loss_gradient(heard, said), atol=2e-4)
        assert (found[i, time:] == 0).all()


def test_the_gradient_is_that_of_finite_differences():
    wanted, logits, label_lengths, frame_lengths = clips(1, batch=1)
    said, heard = list(wanted[0, : label_lengths[0]]), logits[0, : frame_lengths[0]].astype(np.float64)
    gradient, step = oracle.loss_gradient(heard, said), 1e-6
    for place in np.ndindex(heard.shape):
        more, less = heard.copy(), heard.copy()
        more[place] += step
        less[place] -= step
        slope = (oracle.loss(rates_of(more), said) - oracle.loss(rates_of(less), said)) / (2 * step)
        assert slope == pytest.approx(gradient[place], abs=1e-6)


def test_it_is_what_the_backend_computes():
    wanted, logits, label_lengths, frame_lengths = clips(2, batch=16, time=80, labels=20, symbols=30)
    label_lengths = np.maximum(label_lengths, 1)
    frame_lengths = np.maximum(frame_lengths, 60).astype("int32")
    theirs = ops.ctc_loss(wanted, logits, label_lengths, frame_lengths, mask_index=0)
    np.testing.assert_allclose(ctc_loss(wanted, logits, label_lengths, frame_lengths), theirs, rtol=1e-4)


def test_logits_without_any_chance_have_a_finite_gradient():
    logits = np.full((1, 6, 3), -1e30, "float32")
    logits[..., 2] = 0.0
    losses, found = losses_and_gradient(lambda x: ctc_loss([[1, 1]], x, [2], [6]), logits)
    assert losses[0] > 1e29 and np.isfinite(found).all()


def test_labels_that_do_not_fit_are_named_or_count_nowhere():
    wanted = np.array([[1, 1, 1], [1, 2, 1], [2, 2, -1]])
    logits = np.zeros((3, 4, 3), "float32")
    assert np.asarray(frames_needed(wanted, [3, 3, 2])).tolist() == [5, 3, 3]
    assert np.isinf(np.asarray(ctc_loss(wanted, logits, [3, 3, 2], [4, 4, 4]))).tolist() == [True, False, False]
    with pytest.raises(InputError, match=r"clip 0 \(4 frames for labels that need 5\); expected"):
        check_feasible(wanted, [3, 3, 2], [4, 4, 4])
    fits = CTC()(wanted[1:], logits[1:])
    np.testing.assert_allclose(CTC(infeasible="mask")(wanted, logits), fits, rtol=1e-6)
    losses, found = losses_and_gradient(lambda x: CTC(infeasible="mask", reduction="none")(wanted, x), logits)
    assert losses[0] == 0 and (found[0] == 0).all() and (found[1:] != 0).any()
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(InputError, match="do not fit"):
            CTC()(wanted, logits)


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="`infeasible` is 'ignore'; expected one of 'error', 'mask'"):
        CTC(infeasible="ignore")
    with pytest.raises(InputError, match="`blank` is -1"):
        CTC(blank=-1)


def masked_model(symbols=4, features=3):
    frames = keras.Input((None, features), name="frames")
    x = keras.layers.Masking()(frames)
    x = keras.layers.Dense(16, "tanh", kernel_initializer=keras.initializers.GlorotUniform(0))(x)
    return keras.Model(
        frames, {"logits": keras.layers.Dense(symbols, kernel_initializer=keras.initializers.GlorotUniform(1), name="logits")(x)}
    )


def test_a_model_fits_with_its_mask_and_padding_changes_nothing():
    random = np.random.default_rng(0)
    frames = random.normal(size=(4, 9, 3)).astype("float32")
    frames[1, 6:] = 0
    labels = np.array([[1, 2, 3], [1, -1, -1], [2, 2, -1], [3, 1, 2]])
    model = masked_model()
    model.compile(keras.optimizers.Adam(0.05), loss={"logits": CTC()})
    alone = model.evaluate(frames, {"logits": labels}, verbose=0)
    padded = np.pad(frames, ((0, 0), (0, 5), (0, 0)))
    longer = np.pad(labels, ((0, 0), (0, 2)), constant_values=-1)
    assert model.evaluate(padded, {"logits": longer}, verbose=0) == pytest.approx(alone, rel=1e-5)
    model.fit(np.tile(padded, (60, 1, 1)), {"logits": np.tile(longer, (60, 1))}, batch_size=4, shuffle=False, verbose=0)
    assert model.evaluate(padded, {"logits": longer}, verbose=0) < 0.3 * alone
    loaded = keras.losses.deserialize(keras.losses.serialize(CTC(blank=2, infeasible="mask")))
    assert (loaded.blank, loaded.infeasible) == (2, "mask")


def test_a_step_that_cannot_fit_says_so():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a compiled step of another backend cannot raise")
    model = masked_model()
    model.compile("sgd", loss={"logits": CTC()})
    with pytest.raises(Exception, match="labels do not fit into their frames"):
        model.train_on_batch(np.ones((1, 2, 3), "float32"), {"logits": np.array([[1, 1, 1]])})


def test_the_layer_adds_the_same_loss():
    wanted, logits, label_lengths, frame_lengths = clips(3)
    layer = CTCLayer()
    np.testing.assert_array_equal(layer(logits, wanted, label_lengths, frame_lengths), logits)
    expected = np.mean(np.asarray(ctc_loss(wanted, logits, label_lengths, frame_lengths)))
    np.testing.assert_allclose(layer.losses[0], expected, rtol=1e-6)
    assert CTCLayer.from_config(CTCLayer(blank=3).get_config()).loss.blank == 3


def test_weights_and_ragged_labels():
    wanted, logits, *_ = clips(4, labels=2)
    each = np.asarray(CTC(reduction="none")(wanted, logits))
    weights = np.array([1.0, 0, 2, 0, 1])
    np.testing.assert_allclose(CTC()(wanted, logits, weights), np.sum(each * weights) / 5, rtol=1e-5)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        ragged = tf.ragged.constant([[1, 2], [3], [], [4, 4], [1]], dtype=tf.int32)
        np.testing.assert_allclose(CTC()(ragged, logits), CTC()(ragged.to_tensor(-1), logits))
