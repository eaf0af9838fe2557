"""One harness over every registered model: a builder is tested by being registered."""

import keras
import numpy as np
import pytest

import zoo
from tflite.streaming import to_step_model
from zoo.errors import InputError

TIME = 24


def _label(entry, arguments):
    """A builder's name, and what its variant changes."""
    changed = [f"{key}={value}" for key, value in arguments.items() if entry.example.get(key) != value]
    return " ".join([entry.name, *changed])


CASES = {
    _label(entry, arguments): (entry, arguments) for entry in zoo.list_models() for arguments in (entry.example, *entry.variants)
}
NAMES = list(CASES)
# learning rate, epochs and clipping of those that learn a batch by heart more slowly: a ReLU from the identity, whose gradients
# explode unless they are clipped, and weights that are dropped
SLOWER = {
    "rnn_language_model units=16 activation=relu": (0.02, 180, 1.0),
    "awd_lstm_language_model": (0.03, 180, None),
    "attention_encoder_decoder depth=2 cell=lstm tied=True feeding=True": (0.03, 180, 1.0),
}


def example(name, batch=2, time=TIME, seed=0, weights=None):
    """A model of a case and inputs that fit it: (model, inputs), tokens or numbers, or a dictionary of source and target tokens.

    seed: of the inputs; weights: the model's.
    """
    entry, arguments = CASES[name]
    model = zoo.build(entry.name, **arguments, **({} if weights is None else {"seed": weights}))
    random = np.random.default_rng(seed)
    if entry.task == "translation":
        sizes = {"source": arguments["source_vocabulary"], "target": arguments["vocabulary"]}
        return model, {side: random.integers(1, size, (batch, time)).astype("int32") for side, size in sizes.items()}
    (tensor,) = model.inputs
    if tensor.dtype == "int32":
        return model, random.integers(1, arguments["vocabulary"], (batch, time)).astype("int32")
    return model, random.normal(size=(batch, time, *tensor.shape[2:])).astype("float32")


def longer(x, by):
    """Inputs that go on with others; of source and target, the target."""
    if isinstance(x, dict):
        return {**x, "target": longer(x["target"], by["target"])}
    return np.concatenate([x, by], axis=1)


def padded(x, places=8):
    """Inputs with zeros at the end."""
    return keras.tree.map_structure(lambda x: np.pad(x, [(0, 0), (0, places)] + [(0, 0)] * (x.ndim - 2)), x)


def output(model, x, training=False):
    (result,) = model(x, training=training).values()
    return np.asarray(result, "float32")


@pytest.mark.parametrize("name", NAMES)
class TestEveryModel:
    def test_builds_with_named_inputs_outputs_and_seeded_weights(self, name):
        model, x = example(name)
        again, _ = example(name)
        assert all(not tensor.name.startswith("keras_tensor") for tensor in model.inputs)
        assert isinstance(model.output, dict) and not model.compiled
        assert np.isfinite(output(model, x)).all()
        for a, b in zip(model.get_weights(), again.get_weights()):
            np.testing.assert_array_equal(a, b)
        other, _ = example(name, weights=1)
        assert any((a != b).any() for a, b in zip(model.get_weights(), other.get_weights()))

    def test_survives_saving_and_its_config(self, name, tmp_path):
        model, x = example(name)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_allclose(output(loaded, x), output(model, x), atol=1e-6)
        rebuilt = keras.Model.from_config(model.get_config())
        rebuilt.set_weights(model.get_weights())
        np.testing.assert_allclose(output(rebuilt, x), output(model, x), atol=1e-6)

    def test_what_follows_does_not_change_what_came_before_unless_it_says_so(self, name):
        model, x = example(name)
        short = output(model, x)
        further = output(model, longer(x, example(name, time=8, seed=1)[1]))
        same = np.allclose(further[:, : short.shape[1]], short, atol=1e-5)
        assert same == CASES[name][0].causal

    def test_padding_does_not_change_a_result(self, name):
        model, x = example(name)
        expected = output(model, x)
        np.testing.assert_allclose(output(model, padded(x))[:, : expected.shape[1]], expected, atol=1e-5)

    def test_learns_one_batch_with_finite_gradients(self, name):
        model, x = example(name)
        (key,), scores = model.output.keys(), output(model, x)
        random = np.random.default_rng(1)
        if CASES[name][0].task in ("language_model", "translation"):
            y = random.integers(1, scores.shape[-1], scores.shape[:2])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        else:
            # every sequence all ones or all zeros: a batch that dropout and a short view can learn
            y = np.broadcast_to(np.array([0.0, 1.0])[:, None, None], scores.shape)
            loss = keras.losses.BinaryCrossentropy() if key == "score" else keras.losses.MeanSquaredError()
            x = x + np.array([-1.0, 1.0], "float32")[:, None, None]
        rate, epochs, clip = SLOWER.get(name, (0.03, 60, None))
        model.compile(keras.optimizers.Adam(rate, clipnorm=clip), loss={key: loss})
        # else TensorFlow traces the step twice, once to make the optimizer's variables
        model.optimizer.build(model.trainable_variables)
        losses = [float(model.train_on_batch(x, {key: y})) for _ in range(epochs)]
        # tokens by heart: dropout, where a variant has it, is noise that the last loss would show
        learnt = model.evaluate(x, {key: y}, verbose=0) if "dropout" in name else losses[-1]
        assert np.isfinite(losses).all() and learnt < 0.3 * losses[0]

    def test_runs_in_mixed_precision(self, name):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model, x = example(name)
            scores = model(x)
        finally:
            keras.config.set_dtype_policy(before)
        (scores,) = scores.values()
        assert keras.backend.standardize_dtype(scores.dtype) == "float32" and np.isfinite(np.asarray(scores)).all()

    def test_streams_or_says_which_layer_does_not(self, name):
        (entry, _), (model, _) = CASES[name], example(name)
        if entry.streams:
            to_step_model(model, 8)
        else:
            with pytest.raises(InputError, match="layer '.*' .* cannot stream"):
                to_step_model(model, 8)


@pytest.mark.parametrize("name", [entry.name for entry in zoo.list_models()])
def test_every_model_is_described(name):
    text = zoo.describe(name)
    assert "(batch, time" in text and "source: " in text and "weights: " in text
