"""Greedy and beam search against exhaustive search in plain NumPy; each constraint, on random models and on real decoders."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.zoo.translators import TRANSLATORS
from zoo.decoding.beam import Constraints, beam_search, greedy_search
from zoo.errors import InputError

VOCABULARY, PLACES = 4, 5  # padding, the end, and two words


def toy(seed, vocabulary=VOCABULARY, sources=2):
    """A model whose next token depends on the source, the position and the last two tokens: (step, state, its table)."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(sources, 8, vocabulary, vocabulary, vocabulary)).astype("float32") * 2
    weights = random.random((sources, 8, 3)).astype("float32")

    def step(tokens, state):
        where = tf.stack([state["source"], state["position"], state["before"], tokens], axis=1)
        look = tf.gather_nd(weights, where[:, :2])
        moved = {**state, "position": state["position"] + 1, "before": tokens, "weights": look}
        return tf.gather_nd(table, where), moved

    zeros = tf.zeros([sources], tf.int32)
    state = {"source": tf.range(sources), "position": zeros, "before": zeros + 1, "weights": tf.zeros([sources, 3])}
    return step, state, table, weights


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def rate(table, source, text):
    """The log probability of a text, which begins after two boundaries."""
    past = [1, 1, *text]
    return sum(log_softmax(table[source, t, past[t], past[t + 1]])[token] for t, token in enumerate(text))


def every_text(limit, vocabulary=VOCABULARY):
    """All texts that end by then."""
    words = range(2, vocabulary)
    return [(*middle, 1) for length in range(limit) for middle in itertools.product(words, repeat=length)]


def texts(tokens):
    """Without padding."""
    return [tuple(int(token) for token in row if token) for row in np.asarray(tokens).reshape(-1, tokens.shape[-1])]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.7, 1.0]), beta=st.sampled_from([0.0, 0.3]))
def test_a_beam_that_holds_everything_finds_what_exhaustive_search_finds(seed, alpha, beta):
    step, state, table, weights = toy(seed)
    found = beam_search(step, state, 2, 32, 4, Constraints(PLACES), length_penalty=alpha, coverage_penalty=beta)
    for source in range(2):

        def score(text, source=source):
            covered = np.log(np.minimum(1.0, weights[source, : len(text)].sum(axis=0))).sum()
            return rate(table, source, text) / len(text) ** alpha + beta * covered

        best = sorted(every_text(PLACES), key=score, reverse=True)[:4]
        assert texts(found["tokens"][source]) == best
        np.testing.assert_allclose(found["score"][source], [score(text) for text in best], rtol=1e-4)
        np.testing.assert_allclose(found["log_probability"][source], [rate(table, source, text) for text in best], rtol=1e-4)


CONSTRAINTS = {
    "shortest": (Constraints(PLACES, min_length=4), lambda text: len(text) >= 4),
    "banned": (Constraints(PLACES, banned=(2,)), lambda text: 2 not in text),
    "required": (Constraints(PLACES, required=(3, 2)), lambda text: {2, 3} <= set(text)),
    "no word twice": (Constraints(PLACES, no_repeat_ngram=1), lambda text: len(set(text)) == len(text)),
    "no pair twice": (
        Constraints(PLACES + 2, no_repeat_ngram=2),
        lambda text: len(set(zip(text[:-1], text[1:-1]))) == max(0, len(text) - 2),
    ),
}


@pytest.mark.parametrize("name", list(CONSTRAINTS))
@pytest.mark.parametrize("seed", range(3))
def test_a_constrained_search_finds_the_best_text_that_keeps_to_it(name, seed):
    constraints, kept = CONSTRAINTS[name]
    step, state, table, _ = toy(seed)
    found = beam_search(step, state, 2, 64, 3, constraints)
    for source in range(2):
        allowed = [text for text in every_text(constraints.max_length) if kept(text)]
        best = sorted(allowed, key=lambda text: rate(table, source, text), reverse=True)[:3]
        assert texts(found["tokens"][source]) == best
    for text in texts(greedy_search(step, state, 2, constraints)["tokens"]):
        assert kept(text) and text[-1] == 1


def test_greedy_search_is_a_beam_of_one_until_its_text_ends():
    step, state, table, _ = toy(3)
    found = greedy_search(step, state, 2, Constraints(PLACES))
    for source, text in enumerate(texts(found["tokens"])):
        past = [1, 1]
        for t, token in enumerate(text):
            rates = log_softmax(table[source, t, past[-2], past[-1]])
            rates[0] = -np.inf
            assert token == (rates.argmax() if t < PLACES - 1 else 1)
            past.append(token)
        assert float(found["log_probability"][source]) == pytest.approx(rate(table, source, text), rel=1e-4)


def test_a_prefix_is_how_texts_begin():
    step, state, table, _ = toy(1)
    prefix = tf.constant([[3, 2], [3, 0]])
    found = texts(beam_search(step, state, 2, 32, 1, Constraints(PLACES), prefix=prefix)["tokens"])
    for source, start in enumerate([(3, 2), (3,)]):
        allowed = [text for text in every_text(PLACES) if text[: len(start)] == start]
        assert found[source] == max(allowed, key=lambda text: rate(table, source, text))
    for text, start in zip(texts(greedy_search(step, state, 2, Constraints(PLACES), prefix)["tokens"]), [(3, 2), (3,)]):
        assert text[: len(start)] == start


def test_groups_differ_more_than_one_beam_and_score_as_it_does():
    step, state, table, _ = toy(0, vocabulary=7)
    plain = beam_search(step, state, 2, 4, 4, Constraints(6, 2))
    apart = beam_search(step, state, 2, 4, 4, Constraints(6, 2), groups=4, diversity=50.0)
    for source in range(2):
        first = [{text[0] for text in texts(found["tokens"][source])} for found in (plain, apart)]
        assert len(first[1]) == 4 > len(first[0])
        for text, value in zip(texts(apart["tokens"][source]), apart["score"][source]):
            assert float(value) == pytest.approx(rate(table, source, text), rel=1e-4)
    np.testing.assert_array_equal(
        beam_search(step, state, 2, 4, 4, Constraints(6), groups=2, diversity=0.0)["tokens"][:, 0],
        beam_search(step, state, 2, 2, 2, Constraints(6))["tokens"][:, 0],
    )


def test_a_search_ends_once_no_open_text_can_win():
    steps = tf.Variable(0)
    sure = tf.math.log([1e-9, 0.98, 0.01, 0.01])

    def step(tokens, state):
        steps.assign_add(1)
        return tf.tile(sure[None], [tf.shape(tokens)[0], 1]), state

    found = beam_search(step, {"any": tf.zeros([3, 1])}, 3, 4, 1, Constraints(50))
    assert texts(found["tokens"]) == [(1,)] * 3 and steps.numpy() == 1
    beam_search(step, {"any": tf.zeros([3, 1])}, 3, 4, 4, Constraints(50))
    assert 1 < steps.numpy() < 10


@pytest.mark.parametrize("name", list(TRANSLATORS))
def test_every_decoder_is_searched_in_a_graph_and_scored_alike_by_teacher_forcing(name):
    builder, arguments = TRANSLATORS[name]
    model = zoo.build(builder, **arguments)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    source = np.array([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [5, 0, 0, 0, 0]], "int32")

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def search(source):
        state = decoder.initial_state(encoder(source))
        batch = tf.shape(source)[0]
        found = beam_search(decoder.step, state, batch, 3, 2, Constraints(8, min_length=3), length_penalty=0.6)
        return found, greedy_search(decoder.step, state, batch, Constraints(8, min_length=3))

    found, greedy = search(source)
    rows = np.concatenate([np.asarray(found["tokens"]).reshape(-1, 8), np.asarray(greedy["tokens"])])
    sources = np.concatenate([np.repeat(source, 2, axis=0), source])
    target = np.concatenate([np.ones_like(rows[:, :1]), rows[:, :-1]], axis=1)
    rates = np.asarray(keras.ops.log_softmax(model({"source": sources, "target": target})["logits"]))
    expected = (np.take_along_axis(rates, rows[..., None], -1)[..., 0] * (rows > 0)).sum(axis=1)
    np.testing.assert_allclose(
        np.concatenate([np.ravel(found["log_probability"]), greedy["log_probability"]]), expected, rtol=1e-4
    )
    lengths = (rows[:6] > 0).sum(axis=1)
    np.testing.assert_allclose(np.ravel(found["score"]), expected[:6] / lengths**0.6, rtol=1e-4)
    # one source by itself gives the same texts
    alone, _ = search(source[1:2, :2])
    np.testing.assert_array_equal(alone["tokens"][0], found["tokens"][1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_length": 0}, "`max_length` is 0"),
        ({"max_length": 3, "min_length": 4}, "expected at least 4"),
        ({"max_length": 2, "required": (2, 3)}, "expected at least 3"),
        ({"banned": (2,), "required": (2,)}, "both banned and required"),
        ({"banned": (1,)}, "is the end"),
        ({"required": (0,)}, "expected tokens above 0"),
    ],
)
def test_constraints_that_cannot_be_kept_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Constraints(**arguments)


def test_a_text_ends_where_nothing_else_may_come():
    step, state, _, _ = toy(0)
    constraints = Constraints(8, min_length=6, no_repeat_ngram=1)
    for text in texts(greedy_search(step, state, 2, constraints)["tokens"]):
        assert sorted(text) == [1, 2, 3] and text[-1] == 1


def test_what_does_not_fit_a_vocabulary_or_a_length_is_refused():
    step, state, _, _ = toy(0)
    with pytest.raises(InputError, match="expected tokens below 4"):
        greedy_search(step, state, 2, Constraints(PLACES, required=(9,)))
    for search in (greedy_search, lambda *given, **named: beam_search(*given[:3], constraints=given[3], **named)):
        with pytest.raises(InputError, match="`prefix` has 5 tokens; expected fewer"):
            search(step, state, 2, Constraints(PLACES), prefix=np.full((2, PLACES), 2))


@pytest.mark.parametrize("name", ["attention_encoder_decoder", "convolutional_encoder_decoder", "transformer"])
def test_models_in_mixed_precision_are_searched(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = zoo.build(name, **TRANSLATORS[f"{name}0"][1])
        encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
        source = np.array([[3, 4, 5], [6, 7, 0]], "int32")
        for search in (greedy_search, lambda *given: beam_search(*given[:3], constraints=given[3])):
            found = tf.function(
                lambda search=search: search(decoder.step, decoder.initial_state(encoder(source)), 2, Constraints(6))
            )()
            assert np.isfinite(found["log_probability"]).all()
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"width": 3, "groups": 2}, "groups that divide it"),
        ({"width": 2, "best": 3}, "no more best"),
        ({"width": 0}, "`width` is 0"),
        ({"length_penalty": -1.0}, "below 0"),
        ({"length_penalty": tf.constant(-1)}, "below 0"),
        ({"coverage_penalty": 1.0}, "no attention"),
    ],
)
def test_wrong_searches_are_refused(arguments, words):
    step, state, _, _ = toy(0)
    del state["weights"]
    with pytest.raises(InputError, match=words):
        beam_search(step, state, 2, **arguments)
