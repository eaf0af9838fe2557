"""The counter-based generator and the sampler: one definition, two implementations."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tflite.export import convert, write_device_folder
from tflite.runtime import Generator, InputError, randomness, sampling
from tflite.streaming import to_step_model
from zoo.decoding import sampling as graph

LETTERS = "abcde"


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [  # the authors' known answers (Random123, kat_vectors)
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_authors_answers(key, counter, expected):
    assert tuple(randomness.threefry2x32(key, np.array(counter, np.uint32))) == expected
    found = graph.threefry2x32([tf.constant(k, tf.uint32) for k in key], tf.constant(counter, tf.uint32))
    assert tuple(found.numpy()) == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), stream=st.integers(0, 2**31 - 1), counter=st.integers(0, 2**31 - 1))
def test_graph_and_numpy_draw_the_same(seed, stream, counter):
    found = graph.exponentials(seed, tf.constant([stream, 7]), counter + tf.range(3), 5).numpy()
    np.testing.assert_allclose(found[:, 0], randomness.exponentials(seed, stream, counter, 3, 5), rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], randomness.exponentials(seed, 7, counter, 3, 5), rtol=1e-14)


def test_waits_are_exponential_and_a_plain_function_of_their_place():
    waits = randomness.exponentials(1, 2, 0, 500, 200)
    assert waits.min() > 0 and abs(waits.mean() - 1) < 0.02 and abs(np.mean(waits > 2) - np.exp(-2)) < 0.005
    np.testing.assert_array_equal(randomness.exponentials(1, 2, 300, 3, 50), waits[300:303, :50])


def test_uniforms_are_uniform_and_a_plain_function_of_the_counter():
    values = randomness.uniforms(1, 2, 0, 100_000)
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.005 and abs(values.var() - 1 / 12) < 0.002
    np.testing.assert_array_equal(randomness.uniforms(1, 2, 500, 10), values[500:510])
    stream = randomness.Stream(1, 2)
    drawn = [stream.uniform(), *stream.array(3), stream.uniform()]
    np.testing.assert_array_equal(np.float32(drawn), values[:5])


# TensorFlow flushes subnormal numbers to zero, NumPy does not
LOGITS = st.lists(st.floats(-8, 8, width=32, allow_subnormal=False), min_size=3, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    logits=LOGITS,
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 3.0]),
    top_k=st.integers(0, 5),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_graph_and_numpy_choose_the_same_token(logits, seed, temperature, top_k, top_p):
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    waits = randomness.exponentials(seed, 0, 0, 1, len(logits))
    expected = sampling.sample_token(np.float32(logits), waits[0], **options)
    found = graph.sample_token(tf.constant([logits], tf.float32), tf.constant(waits), **options).numpy()[0]
    if found != expected:  # the sum of probabilities may round apart exactly at top_p
        moved = [
            sampling.sample_token(np.float32(logits), waits[0], temperature, top_k, min(top_p + b, 1.0)) for b in (-1e-6, 1e-6)
        ]
        assert found in moved
    assert expected != sampling.PADDING


def test_a_large_vocabulary_is_drawn_from_the_same_where_logits_differ_by_rounding():
    """Summing up probabilities would not do: with 20,000 tokens a draw in a few hundred falls between two sums."""
    rng = np.random.default_rng(0)
    logits = (3 * rng.standard_normal((300, 20_000))).astype(np.float32)
    waits = np.concatenate([randomness.exponentials(0, 1, start, 50, 20_000) for start in range(0, 300, 50)])
    other = logits + rng.uniform(-1e-5, 1e-5, logits.shape).astype(np.float32)
    found = graph.sample_token(tf.constant(other), tf.constant(waits)).numpy()
    assert found.tolist() == [sampling.sample_token(*row) for row in zip(logits, waits)]


def frequencies(logits, **options):
    waits = randomness.exponentials(0, 0, 0, 20_000, len(logits))
    draws = [sampling.sample_token(np.float32(logits), wait, **options) for wait in waits]
    return np.bincount(draws, minlength=len(logits)) / len(draws)


def test_tokens_come_as_often_as_they_should():
    logits = np.array([5.0, 0.0, 1.0, 2.0, -1.0])
    weights = np.exp(logits[1:]) / np.exp(logits[1:]).sum()
    np.testing.assert_allclose(frequencies(logits)[1:], weights, atol=0.01)
    sharper = np.exp(logits[1:] / 0.5) / np.exp(logits[1:] / 0.5).sum()
    np.testing.assert_allclose(frequencies(logits, temperature=0.5)[1:], sharper, atol=0.01)


def test_top_k_and_top_p_leave_the_rest_out():
    logits = np.array([9.0, 0.0, 1.0, 2.0, -1.0])
    assert np.flatnonzero(frequencies(logits, top_k=2)).tolist() == [2, 3]
    assert np.flatnonzero(frequencies(logits, top_k=1)).tolist() == [3]
    assert np.flatnonzero(frequencies(logits, top_p=0.5)).tolist() == [3]  # 0.64 of the probability is at 3
    assert np.flatnonzero(frequencies(logits, top_p=0.8)).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.0}, "`temperature` is 0.0"),
        ({"temperature": float("nan")}, "`temperature` is nan"),
        ({"temperature": -1.0}, "`temperature` is -1.0"),
        ({"top_k": -1}, "`top_k` is -1"),
        ({"top_p": 0.0}, "`top_p` is 0.0"),
        ({"top_p": 1.5}, "`top_p` is 1.5"),
        ({"typical_p": 0.0}, "`typical_p` is 0.0"),
        ({"repetition_penalty": 0.5}, "`repetition_penalty` is 0.5"),
        ({"no_repeat": -1}, "`no_repeat` is -1"),
        ({"contrastive": 0.6}, "`top_k` is 0; expected at least 2 for contrastive search"),
        ({"contrastive": 1.0, "top_k": 4}, "`contrastive` is 1.0"),
        ({"stop": ("",)}, "`stop` has an empty string"),
        ({"stop": "b"}, "`stop` is the text 'b'; expected a list"),
        ({"temperature": 1e39}, "`temperature` is 1e.39"),
        ({"top_p": 1e-46}, "`top_p` is 1e-46"),
    ],
)
def test_wrong_sampling_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        sampling.Sampling(**options)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """(a Generator of an untrained model of five letters, that model)."""
    folder = tmp_path_factory.mktemp("letters") / "device"
    model = zoo.build("gru_language_model", vocabulary=7, dimensions=4, units=12, seed=3)
    model.set_weights([5 * weight for weight in model.get_weights()])  # far from uniform
    step, states = to_step_model(model)
    vocabulary = ["<padding>", "<boundary>", *LETTERS]
    write_device_folder(
        folder,
        step,
        states,
        float_file=convert(step),
        int8_file=convert(step, int8_weights=True),
        notices={"NOTICE.md": "none"},
        description={"kind": "generator", "name": "letters", "vocabulary": vocabulary, "max_length": 12},
        readme="letters",
    )
    return Generator(folder), model


def texts(writer, count=60, **options):
    return [writer[0].sample(seed=5, index=index, **options) for index in range(count)]


def test_banned_tokens_never_come_and_required_ones_always_do(writer):
    assert any("b" in text for text in texts(writer)) and any("d" not in text for text in texts(writer))
    assert not any("b" in text for text in texts(writer, banned=("b",)))
    found = texts(writer, required=("a", "d"), max_length=4)
    assert all("a" in text and "d" in text and len(text) <= 4 for text in found)
    assert all(sorted(text) == sorted("abcd") for text in texts(writer, required=tuple("abcd"), max_length=4))


def test_what_a_prefix_has_is_required_no_more_and_stops_nothing(writer):
    assert writer[0].sample(prefix="abc", required=("a", "b"), max_length=3) == "abc"
    assert all(text.startswith("abc") for text in texts(writer, prefix="abc", stop=("b",)))


def test_no_sequence_comes_twice(writer):
    def repeats(text, n):
        parts = [text[i : i + n] for i in range(len(text) - n + 1)]
        return len(set(parts)) < len(parts)

    assert any(repeats(text, 2) for text in texts(writer))
    for n in (1, 2, 3):
        assert not any(repeats(text, n) for text in texts(writer, no_repeat=n, prefix="ab"))


def test_repetition_costs_what_it_should(writer):
    """The log probability of what was written is multiplied; so is nothing else."""
    generator, model = writer
    logs = np.asarray(tf.nn.log_softmax(model(np.array([[1, 2, 4]]))["logits"][0, -1]), np.float64)
    logs[[2, 4]] *= 3.0
    logs[0] = -np.inf
    expected = np.exp(logs) / np.exp(logs).sum()
    drawn = [generator.sample(1, i, prefix="ac", repetition_penalty=3.0, max_length=3)[2:] for i in range(3000)]
    found = [drawn.count(text) / len(drawn) for text in ("", *LETTERS)]
    np.testing.assert_allclose(found, expected[1:], atol=0.03)


def test_typical_tokens_are_those_whose_surprise_is_nearest_to_the_entropy():
    weights = np.array([0.0, 0.5, 0.2, 0.2, 0.06, 0.04])
    with np.errstate(divide="ignore"):
        logits = np.log(weights)
    surprise = -np.log(weights[1:])
    order = 1 + np.argsort(np.abs(surprise - np.sum(weights[1:] * surprise)), kind="stable")
    for share in (0.1, 0.3, 0.5, 0.92):
        kept = order[: 1 + int(np.sum(np.cumsum(weights[order]) < share - 1e-6))]
        assert np.flatnonzero(frequencies(logits, typical_p=share)).tolist() == sorted(kept)


def test_a_text_ends_before_a_stop_string_and_none_of_it_is_shown(writer):
    whole, stopped = texts(writer), texts(writer, stop=("ab", "cc"))
    assert any("ab" in text or "cc" in text for text in whole)
    ends = [[text.find(stop) for stop in ("ab", "cc") if stop in text] for text in whole]
    assert stopped == [text[: min(places)] if places else text for text, places in zip(whole, ends)]


@pytest.mark.parametrize("prefix", ["a", "b", "cd", "ee"])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_contrastive_search_is_the_best_of_the_likeliest_by_its_own_equation(writer, prefix, share):
    generator, model = writer
    k = 3

    def after(tokens):
        logits = np.asarray(model(np.array([[1, *tokens]]))["logits"][0], np.float64)
        centred = logits - logits.mean(axis=-1, keepdims=True)
        return logits[-1], centred / np.linalg.norm(centred, axis=-1, keepdims=True)

    tokens = [LETTERS.index(letter) + 2 for letter in prefix]
    while len(tokens) < 7:
        logits, _ = after(tokens)
        logits[0] = -np.inf
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        likeliest = np.argsort(-probabilities, kind="stable")[:k]
        seen = {token: after([*tokens, int(token)])[1] for token in likeliest}
        gains = [(1 - share) * probabilities[t] - share * (seen[t][:-1] @ seen[t][-1]).max() for t in likeliest]
        token = int(likeliest[int(np.argmax(gains))])
        if token == 1:
            break
        tokens.append(token)
    expected = "".join(LETTERS[token - 2] for token in tokens)
    assert generator.sample(prefix=prefix, contrastive=share, top_k=k, max_length=7) == expected


def likelihood(model, tokens):
    logs = np.asarray(tf.nn.log_softmax(model(np.array([[1, *tokens]]))["logits"][0]), np.float64)
    return sum(logs[i, token] for i, token in enumerate(tokens))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_what_a_full_search_finds(writer, penalty):
    generator, model = writer
    whole = [letters for n in range(4) for letters in itertools.product(range(2, 7), repeat=n)]
    candidates = {}
    for letters in whole:
        tokens = letters if len(letters) == 3 else (*letters, 1)  # three tokens at most, so the longest have no end
        candidates["".join(LETTERS[t - 2] for t in letters)] = (likelihood(model, tokens), len(tokens))
    best = sorted(candidates, key=lambda text: -candidates[text][0] / candidates[text][1] ** penalty)[:5]
    found = generator.beam(width=200, max_length=3, length_penalty=penalty)
    assert len(found) == len(candidates) and all(np.isfinite(score) for _, score in found)
    found = found[:5]
    assert [text for text, _ in found] == best
    np.testing.assert_allclose([score for _, score in found], [candidates[text][0] for text in best], rtol=1e-4)
    assert generator.beam("ab", width=1, max_length=3)[0][0] == generator.sample(prefix="ab", top_k=1, max_length=3)[2:]


def test_the_cost_of_a_token_does_not_grow(writer):
    """One step of the model a token, whatever was written before."""
    generator, _ = writer
    steps = []
    counted = generator._step
    generator._step = lambda token, state: steps.append(token) or counted(token, state)
    try:
        text = generator.sample(seed=1, max_length=400, banned=("a",), required=("b",))
    finally:
        generator._step = counted
    assert len(steps) == len(text) + (len(text) < 400)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"banned": ("Z",)}, "`banned` has 'Z', which is not one of the model's 7 tokens"),
        ({"required": ("ab",)}, "`required` has 'ab', which is not one"),
        ({"banned": ("a",), "required": ("a",)}, "'a' is both banned and required"),
        ({"required": tuple("abc"), "max_length": 2}, "`required` has 3 tokens; there is room for 2"),
        ({"prefix": "abc", "max_length": 2}, "`prefix` has 3 characters; expected at most 2"),
        ({"required": ("<boundary>",)}, "`required` has '<boundary>', with which a text ends"),
        ({"max_length": 0}, "`max_length` is 0; expected at least 1"),
    ],
)
def test_what_cannot_be_written_is_refused(writer, options, words):
    with pytest.raises(InputError, match=words):
        writer[0].sample(**options)
    with pytest.raises(InputError, match="`width` is 0"):
        writer[0].beam(width=0)
