"""Decoders: teacher forcing and stepping give the same logits; attention, scheduled sampling and losses as they are defined."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.oracles import attention as oracles
from tests.zoo.translators import TRANSLATORS
from zoo.errors import InputError
from zoo.layers.decoders import RecurrentDecoder
from zoo.losses.sequence import TokenCrossentropy


def example(name, **changes):
    builder, arguments = TRANSLATORS[name]
    random = np.random.default_rng(0)
    source, target = random.integers(1, 11, (3, 7)), random.integers(1, 12, (3, 9))
    source[1, 4:] = 0
    return zoo.build(builder, **{**arguments, **changes}), source.astype("int32"), target.astype("int32")


@pytest.mark.parametrize("name", list(TRANSLATORS))
def test_stepping_gives_the_logits_and_weights_of_teacher_forcing(name):
    model, source, target = example(name)
    decoder, memory = model.get_layer("decoder"), model.get_layer("encoder")(source)
    whole, weights = decoder.decode(target, memory)
    state = decoder.initial_state(memory)
    for t in range(target.shape[1]):
        logits, state = decoder.step(target[:, t], state)
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)
        if weights is not None:
            np.testing.assert_allclose(state["weights"], weights[:, t], atol=1e-5)
            total = np.asarray(state["weights"]).sum(axis=1)
            assert (total < 1 + 1e-5).all() and not np.asarray(state["weights"])[1, 4:].any()


@pytest.mark.parametrize("name", ["attention_encoder_decoder2", "convolutional_encoder_decoder0", "transformer0", "transformer1"])
def test_a_state_with_room_for_all_tokens_keeps_its_shapes(name):
    model, source, target = example(name)
    decoder, memory = model.get_layer("decoder"), model.get_layer("encoder")(source)
    whole, _ = decoder.decode(target, memory)
    state = decoder.initial_state(memory, room=target.shape[1])
    shapes = {name: tensor.shape for name, tensor in state.items() if name != "memory"}
    for t in range(target.shape[1]):
        logits, state = decoder.step(target[:, t], state)
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)
        assert {name: tensor.shape for name, tensor in state.items() if name != "memory"} == shapes


@pytest.mark.parametrize("name", list(TRANSLATORS))
def test_a_source_that_is_all_padding_gives_finite_logits(name):
    model, source, target = example(name)
    assert np.isfinite(model({"source": 0 * source, "target": target})["logits"]).all()


def test_a_step_with_attention_is_the_notes_equations():
    """A GRU step, general attention on its output, tanh of both, logits."""
    model, source, target = example("attention_encoder_decoder0")
    decoder, memory = model.get_layer("decoder"), model.get_layer("encoder")(source)
    logits, state = decoder.step(target[:, 0], decoder.initial_state(memory))
    w = {weight.name: np.asarray(weight) for weight in decoder.attention.weights}
    for row in range(3):
        query = np.asarray(state["1_h"])[row]
        places = np.asarray(memory["outputs"])[row]
        context, alpha = oracles.attention("general", query, places, w, source[row] > 0)
        made = np.tanh(np.concatenate([query, context]) @ decoder.combine.kernel + np.asarray(decoder.combine.bias))
        np.testing.assert_allclose(state["weights"][row], alpha, atol=1e-5)
        np.testing.assert_allclose(logits[row], made @ decoder.to_logits.kernel + np.asarray(decoder.to_logits.bias), atol=1e-5)


@pytest.mark.parametrize("name", list(TRANSLATORS))
def test_scheduled_sampling_replaces_tokens_in_training_only(name):
    model, source, target = example(name, scheduled_sampling=0.9)
    plain, *_ = example(name)
    inputs = {"source": source, "target": target}
    np.testing.assert_array_equal(model(inputs)["logits"], plain(inputs)["logits"])
    trained = np.asarray(model(inputs, training=True)["logits"])
    np.testing.assert_allclose(trained[:, 0], plain(inputs)["logits"][:, 0], atol=1e-5)
    assert (np.abs(trained - np.asarray(plain(inputs)["logits"]))[:, 1:] > 1e-4).any()


def test_tied_logits_are_made_with_the_embedding():
    model, *_ = example("transformer0")
    decoder = model.get_layer("decoder")
    assert decoder.to_logits is None
    assert sum(weight.shape == (12, 8) for weight in decoder.weights) == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_token_crossentropy_counts_what_is_not_padding(smoothing):
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(2, 4, 5)).astype("float32"), np.array([[1, 2, 0, 0], [3, 4, 4, 0]])
    rates = np.asarray(ops.log_softmax(logits), "float64")
    expected = []
    for row, column in zip(*np.nonzero(truth)):
        wanted = np.full(5, smoothing / 5)
        wanted[truth[row, column]] += 1 - smoothing
        expected.append(-(wanted * rates[row, column]).sum())
    assert float(TokenCrossentropy(smoothing)(truth, logits)) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(TokenCrossentropy(smoothing)(0 * truth, logits)) == 0.0
    weighted = TokenCrossentropy(smoothing)(truth, logits, sample_weight=np.array([[1.0], [0.0]]))
    assert float(weighted) == pytest.approx(sum(expected[:2]) / len(expected), rel=1e-5)
    again = TokenCrossentropy.from_config(TokenCrossentropy(smoothing).get_config())
    assert again.smoothing == smoothing


def test_a_translator_learns_to_turn_a_text_around():
    """The whole way in anyone's own fit: after a few hundred steps, the greedy text is the source backwards."""
    from zoo.decoding.beam import Constraints, greedy_search

    random = np.random.default_rng(0)
    source = random.integers(2, 8, (2000, 5)).astype("int32")
    target = np.concatenate([np.ones((2000, 1), "int32"), source[:, ::-1], np.ones((2000, 1), "int32")], axis=1)
    model = zoo.build("attention_encoder_decoder", source_vocabulary=8, vocabulary=8, dimensions=16, units=32)
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), loss={"logits": TokenCrossentropy()})
    model.fit({"source": source, "target": target[:, :-1]}, {"logits": target[:, 1:]}, batch_size=50, epochs=6, verbose=0)
    fresh = random.integers(2, 8, (50, 5)).astype("int32")
    decoder = model.get_layer("decoder")
    found = greedy_search(decoder.step, decoder.initial_state(model.get_layer("encoder")(fresh)), 50, Constraints(6))
    assert (np.asarray(found["tokens"])[:, :5] == fresh[:, ::-1]).all(axis=1).mean() > 0.9


@pytest.mark.parametrize(
    ("builder", "arguments", "words"),
    [
        ("encoder_decoder", {"cell": "mlp"}, "`cell` is 'mlp'"),
        ("encoder_decoder", {"vocabulary": 1}, "`vocabulary` is 1"),
        ("encoder_decoder", {"source_vocabulary": 1}, "`source_vocabulary` is 1"),
        ("attention_encoder_decoder", {"score": "x"}, "`score` is 'x'"),
        ("convolutional_encoder_decoder", {"kernel_size": 4}, "expected an odd number"),
        ("transformer", {"heads": 3}, "`heads` is 3"),
        ("transformer", {"window": 1}, "`window` is 1"),
    ],
)
def test_wrong_arguments_are_refused(builder, arguments, words):
    with pytest.raises(InputError, match=words):
        zoo.build(builder, **arguments)


def test_feeding_needs_attention():
    with pytest.raises(InputError, match="expected an attention layer"):
        RecurrentDecoder(10, 4, 4, feeding=True)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_wrong_smoothing_is_refused(smoothing):
    with pytest.raises(InputError, match="`smoothing` is"):
        TokenCrossentropy(smoothing)
