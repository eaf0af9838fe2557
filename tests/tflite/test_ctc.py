"""CTC decoders against all paths one by one, and against a prefix beam search that is obviously right."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import ctc as oracle
from tflite.runtime import InputError
from tflite.runtime.ctc import STARTS, GreedySearch, LastFrames, PrefixBeamSearch
from tflite.runtime.recognizer import Utterances
from zoo.decoding.ngram import NGramModel

SYMBOLS = ["<blank>", " ", "a", "b"]
TEXTS = [["a", "ab"], ["ab", "b", "a"], ["ba"], ["ab", "ab"]]


def rates(seed, frames=6, symbols=4, spread=1.5):
    logits = np.random.default_rng(seed).normal(size=(frames, symbols)) * spread
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def cut(array, seed):
    """An array in chunks of any size, empty ones too."""
    places = np.sort(np.random.default_rng(seed).integers(0, len(array) + 1, 3))
    return np.split(array, places)


def heard(search, chunks, **options):
    for chunk in chunks:
        search.push(chunk)
    return search.best(**options)


@given(st.integers(0, 10_000), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_wide_beam_finds_what_all_paths_say(seed, blank):
    frames = rates(seed, 5)
    every = oracle.probabilities(frames, blank)
    found = heard(PrefixBeamSearch(SYMBOLS, blank=blank, boundary=None, width=1000, least=-np.inf), cut(frames, seed), count=1000)
    assert {one.labels: pytest.approx(np.exp(one.log_probability)) for one in found} == every
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@given(st.integers(0, 10_000), st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_a_narrow_beam_keeps_what_the_plain_one_keeps(seed, width):
    frames = rates(seed, 20)
    expected = oracle.prefix_beam(frames, width)
    found = heard(PrefixBeamSearch(SYMBOLS, boundary=None, width=width, least=-np.inf), cut(frames, seed), count=width)
    assert [one.labels for one in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([one.log_probability for one in found], [rate for _, rate in expected])


def text_of(labels, symbols=SYMBOLS):
    return "".join(symbols[label] for label in labels)


@given(st.integers(0, 10_000), st.integers(2, 10))
@settings(max_examples=25, deadline=None)
def test_a_language_model_a_bonus_and_hot_words_weigh_as_they_say(seed, width):
    frames, model = rates(seed, 12), NGramModel.estimate(TEXTS, 2)
    weight, unknown, bonus, hot = 0.7, -1.5, 0.3, 2.0

    def extra(labels, final=False):
        *words, partial = text_of(labels).split(" ")
        words = [word for word in words if word]
        if final and partial:
            words, partial = [*words, partial], ""
        total = bonus * len(words) + hot * sum(word == "ab" for word in words)
        total += weight * model.log_probabilities(words, end=final).sum() if words or final else 0.0
        total += weight * unknown * sum(word not in model for word in words)
        total += weight * unknown * (not any(word.startswith(partial) for word in ("a", "ab", "b", "ba")))
        return total + hot * {"a": 0.5, "ab": 1.0}.get(partial, 0.0)

    options = {
        "language_model": model,
        "weight": weight,
        "unknown": unknown,
        "word_bonus": bonus,
        "hot_words": ["ab"],
        "hot_weight": hot,
    }
    found = heard(PrefixBeamSearch(SYMBOLS, width=width, least=-np.inf, **options), cut(frames, seed), count=width)
    expected = [(labels, rate + extra(labels, final=True)) for labels, rate in oracle.prefix_beam(frames, width, extra=extra)]
    expected.sort(key=lambda one: -one[1])
    assert [one.labels for one in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([one.score for one in found], [score for _, score in expected])


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_with_a_lexicon_the_best_is_the_best_of_its_words(seed):
    frames, lexicon = rates(seed, 6), {"ab", "b", "ba"}

    def known(labels):
        text = text_of(labels)
        return text == "" or all(word in lexicon for word in text.removesuffix(" ").split(" "))

    every = {labels: rate for labels, rate in oracle.probabilities(frames).items() if known(labels)}
    found = heard(PrefixBeamSearch(SYMBOLS, width=2000, least=-np.inf, lexicon=lexicon), [frames], count=2000)
    assert {one.labels: pytest.approx(np.exp(one.log_probability)) for one in found} == every


def spoken(text, symbols, hold=3):
    """Log probabilities that say a text: each symbol for some frames, a blank between."""
    index, path = {symbol: i for i, symbol in enumerate(symbols)}, [0, 0]
    for character in text:
        path += [index[character]] * hold + [0]
    frames = np.full((len(path), len(symbols)), 0.01)
    frames[np.arange(len(path)), path] = 1 - 0.01 * (len(symbols) - 1)
    return np.log(frames)


@pytest.mark.parametrize("search", [GreedySearch(SYMBOLS, frame_s=0.04), PrefixBeamSearch(SYMBOLS, frame_s=0.04, width=8)])
def test_tokens_and_words_have_times_and_confidences(search):
    frames = spoken("ab b", SYMBOLS)
    (found,) = heard(search, cut(frames, 0))
    assert found.text == "ab b" and [token.text for token in found.tokens] == ["a", "b", " ", "b"]
    assert [(round(t.start_s / 0.04), round(t.end_s / 0.04)) for t in found.tokens] == [(2, 5), (6, 9), (10, 13), (14, 17)]
    assert [(w.text, round(w.start_s / 0.04), round(w.end_s / 0.04)) for w in found.words] == [("ab", 2, 9), ("b", 14, 17)]
    assert all(span.confidence == pytest.approx(0.97) for span in (*found.tokens, *found.words))
    search.reset()
    assert search.best()[0].labels == ()
    search.push(frames)
    assert search.best()[0] == found


def test_greedy_decoding_merges_and_drops_blanks():
    frames = rates(3, 30)
    assert heard(GreedySearch(SYMBOLS, boundary=None), cut(frames, 1))[0].labels == oracle.collapse(frames.argmax(axis=1))


def test_subwords_begin_words_by_their_mark():
    symbols = ["", f"{STARTS}a", "b", f"{STARTS}b"]
    frames = np.log(np.full((4, 4), 0.05) + 0.8 * np.eye(4)[[1, 2, 0, 3]])
    model = NGramModel.estimate(TEXTS, 2)
    for options in ({}, {"language_model": model}, {"lexicon": ["ab", "b"]}, {"hot_words": ["ab"]}):
        (found,) = heard(PrefixBeamSearch(symbols, boundary=STARTS, **options), [frames])
        assert found.text == "ab b" and [word.text for word in found.words] == ["ab", "b"]
    (found,) = heard(PrefixBeamSearch(symbols, boundary=STARTS, lexicon=["ab"]), [frames])
    assert found.text == "ab"


def test_a_language_model_decides_between_what_sounds_alike():
    frames = np.log(np.array([[0.02, 0.02, 0.95, 0.01], [0.03, 0.01, 0.48, 0.48], [0.95, 0.02, 0.02, 0.01]]))
    frames -= np.logaddexp.reduce(frames, axis=1, keepdims=True)
    assert heard(PrefixBeamSearch(SYMBOLS), [frames])[0].text == "a"
    model = NGramModel.estimate([["ab"]] * 20, 1)
    assert heard(PrefixBeamSearch(SYMBOLS, language_model=model, weight=2.0), [frames])[0].text == "ab"
    assert heard(PrefixBeamSearch(SYMBOLS, hot_words=["ab"]), [frames])[0].text == "ab"


def test_unlikely_symbols_and_prefixes_are_left_out_where_wanted():
    frames = spoken("ab ba", SYMBOLS)
    pruned = PrefixBeamSearch(SYMBOLS, least=-1.0, margin=2.0)
    assert heard(pruned, [frames])[0].text == "ab ba" and len(pruned.best(count=99)) == 1


@pytest.mark.parametrize(
    "array, words",
    [
        (
            np.full((2, 4), 0.25),
            r"are probabilities: a frame's exponentials add up to 5.14; expected 1. Pass the logarithm of a softmax",
        ),
        (np.zeros((2, 4)), "are no log probabilities: a frame's exponentials add up to 4;"),
        (np.full((2, 4), 2e3), "add up to inf"),
        (np.zeros((2, 3)), r"have shape \(2, 3\); expected \(frames, 4\)"),
        (np.full((1, 4), np.nan), "hold NaN"),
    ],
)
def test_what_is_no_log_probability_is_refused(array, words):
    for search in (GreedySearch(SYMBOLS), PrefixBeamSearch(SYMBOLS)):
        with pytest.raises(InputError, match=words):
            search.push(array)


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="`blank` is 4 of 4 symbols"):
        GreedySearch(SYMBOLS, blank=4)
    with pytest.raises(InputError, match="`width` is 0"):
        PrefixBeamSearch(SYMBOLS, width=0)
    with pytest.raises(InputError, match="`boundary` is '_'; expected"):
        PrefixBeamSearch(SYMBOLS, boundary="_")
    with pytest.raises(InputError, match="`lexicon` is the text 'ab'; expected a list of words"):
        PrefixBeamSearch(SYMBOLS, lexicon="ab")
    with pytest.raises(InputError, match="'a b' is among the words; expected words without spaces"):
        PrefixBeamSearch(SYMBOLS, hot_words=["a b"])


def test_a_classifier_says_what_is_likeliest_over_the_last_half():
    rates = np.log([[0.1, 0.8, 0.1]] * 3 + [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3]])
    search = LastFrames(["", "yes", "no"], frame_s=0.5)
    assert search.best()[0].text == ""
    search.push(rates[:2])
    search.push(rates[2:])
    (found,) = search.best()
    assert found.text == "no" and (found.words[0].start_s, found.words[0].end_s) == (1.5, 3.0)
    search.reset()
    search.push(np.log([[0.9, 0.05, 0.05]] * 2))
    assert search.best()[0].labels == ()


def path_of(path, symbols=3):
    """Log probabilities of a path of symbols."""
    rates = np.full((len(path), symbols), np.log(0.01))
    rates[np.arange(len(path)), path] = np.log(1 - 0.01 * (symbols - 1))
    return rates


SAYS = {"symbols": ["", "a", "b"], "word_boundary": "symbol", "decoding": {"method": "greedy", "width": 4}, "endpoint_s": 0.3}


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 7), st.sampled_from(["greedy", "beam"]))
@settings(max_examples=60, deadline=None)
def test_utterances_end_after_so_many_blanks_in_any_chunks(path, size, method):
    decoder = Utterances(SAYS, 0.1, method)
    rates, found = path_of(path), []
    for start in range(0, len(path), size):
        found += decoder.push(rates[start : start + size])
    found += decoder.finish()
    expected = [part for part in re.split("000+", "".join(map(str, path))) if part.strip("0")]
    texts = [" ".join("-ab"[int(c)] for c, _ in itertools.groupby(part) if c != "0") for part in expected]
    assert [one.text for one in found] == texts
    times = [(word.start_s, word.end_s) for one in found for word in one.words]
    if method == "beam":
        assert times == sorted(times) and all(start < end <= 0.1 * len(path) + 1e-9 for start, end in times)
    else:
        runs = re.finditer("1+|2+", "".join(map(str, path)))
        np.testing.assert_allclose(times, [(0.1 * run.start(), 0.1 * run.end()) for run in runs] or np.empty((0,)))


def test_a_stream_of_hours_is_heard_piece_by_piece():
    """Nothing grows with the length: the search begins anew after each pause."""
    decoder = Utterances(SAYS, 0.1, "beam")
    rates, found = path_of([0, 1, 1, 0, 2] + [0] * 5), []
    for _ in range(100):
        found += decoder.push(rates)
        assert decoder._search._frames < 10
    assert [one.text for one in found] == ["a b"] * 100
    starts = [one.words[0].start_s for one in found]
    np.testing.assert_allclose(np.diff(starts), 1.0)


def test_options_of_beam_search_are_refused_for_greedy_decoding():
    with pytest.raises(InputError, match="`width` is given with the method 'greedy'"):
        Utterances(SAYS, 0.1, width=3)
