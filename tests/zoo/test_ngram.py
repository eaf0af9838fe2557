"""N-gram models: Kneser-Ney against a dictionary's, sums, ARPA files."""

import gzip

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.oracles.ngram import kneser_ney
from zoo.decoding.ngram import FALLBACK, NGramModel, discounts
from zoo.errors import InputError

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), min_size=0, max_size=8), min_size=1, max_size=12).filter(any)


def test_discounts_are_chen_and_goodmans():
    counts = np.array([1] * 50 + [2] * 20 + [3] * 10 + [4] * 6)
    y = 50 / 90
    assert discounts(counts) == pytest.approx((1 - 2 * y * 20 / 50, 2 - 3 * y * 10 / 20, 3 - 4 * y * 6 / 10))
    assert discounts(np.array([1, 1, 2])) == FALLBACK


@example(sentences=[["a"]], order=4, unseen=[])
@settings(max_examples=60, deadline=None)
@given(sentences=SENTENCES, order=st.integers(1, 4), unseen=st.lists(st.sampled_from("abcde"), max_size=7))
def test_it_is_kneser_neys_and_every_context_sums_to_one(sentences, order, unseen):
    model = NGramModel.estimate(sentences, order)
    probability, vocabulary = kneser_ney(sentences, order, lambda counts: discounts(np.array(counts)))
    assert set(model.vocabulary) == vocabulary | {"<s>"}
    assert "<unk>" not in model and all((word in model) == (word in vocabulary) for word in "abcde")
    for text in (sentences[0], unseen):
        known = [word if word in vocabulary else "<unk>" for word in text]
        words = ["<s>", *known, "</s>"]
        expected = [np.log(probability(words[max(0, i - order + 1) : i], words[i])) for i in range(1, len(words))]
        np.testing.assert_allclose(model.log_probabilities(text), expected, rtol=1e-9)
        state, found = model.start(), []
        for word in text:
            rate, state = model.advance(state, word)
            found.append(rate)
        np.testing.assert_allclose([*found, model.finish(state)], expected, rtol=1e-9)
        following = model.next_log_probabilities(text)
        assert np.exp(following).sum() == pytest.approx(1.0)
        assert following[model.vocabulary.index("</s>")] == pytest.approx(expected[-1])


@example(sentences=[["a"]], order=4, unseen=[])
@settings(max_examples=20, deadline=None)
@given(sentences=SENTENCES, order=st.integers(1, 3), unseen=st.lists(st.sampled_from("abcde"), max_size=7))
def test_an_arpa_file_says_the_same(sentences, order, unseen, tmp_path_factory):
    model, path = NGramModel.estimate(sentences, order), tmp_path_factory.mktemp("arpa") / "model.arpa"
    model.write_arpa(path)
    read = NGramModel.read_arpa(path)
    assert read.counts == model.counts
    for text in (*sentences[:2], unseen):
        np.testing.assert_allclose(read.log_probabilities(text), model.log_probabilities(text), atol=1e-5)


def all_contexts(model):
    """{context: {word: probability}} of every context that the model has n-grams after, and of every shorter one."""
    size, found, names = len(model.vocabulary), {(): None}, {0: ()}
    for level in model._levels[:-1]:
        names = {i: (*names[key // size], model.vocabulary[key % size]) for i, key in enumerate(level.keys.tolist())}
        found |= dict.fromkeys(names.values())
    return {context: after(model, context) for context in found if "</s>" not in context}


def after(model, context):
    """{word: probability} after words that may begin with <s>, by the definition of backing off."""
    size, place = len(model.vocabulary), np.array([0])
    for level, word in zip(model._levels, context):
        place = level.find(place, np.array([model.vocabulary.index(word)]), size)
    lower = after(model, context[1:]) if context else None
    if not context or place[0] < 0:
        return lower or {word: float(np.exp(p)) for word, p in zip(model.vocabulary, model._levels[0].log_probability)}
    backoff = np.exp(model._levels[len(context) - 1].log_backoff[place[0]])
    found = {word: float(backoff * p) for word, p in lower.items()}
    level = model._levels[len(context)]
    for key, p in zip(level.keys.tolist(), level.log_probability):
        if key // size == place[0]:
            found[model.vocabulary[key % size]] = float(np.exp(p))
    return found


@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES, order=st.integers(2, 4), threshold=st.sampled_from([0.0, 1e-3, 1e-2, 0.1, 10.0]))
def test_a_pruned_model_is_smaller_and_sums_to_one(sentences, order, threshold):
    model = NGramModel.estimate(sentences, order)
    pruned = model.pruned(threshold)
    assert pruned.vocabulary == model.vocabulary and all(a <= b for a, b in zip(pruned.counts, model.counts))
    for context, following in all_contexts(pruned).items():
        assert sum(following.values()) == pytest.approx(1.0), context
    if threshold == 10.0:
        assert pruned.counts[-1] == 0
    assert pruned.pruned(0.0).counts == pruned.counts


# a context whose n-grams leave nothing to others
@example(sentences=[list(text) for text in ("bbccaca", "a", "aaaaaca", "baccacc")])
@settings(max_examples=20, deadline=None)
@given(sentences=SENTENCES)
def test_what_is_pruned_is_what_costs_little(sentences):
    """The perplexity's rise is that of the definition: the divergence of the two models' words after that context, weighted by how often it is there."""
    model = NGramModel.estimate(sentences, 2)
    size, before = len(model.vocabulary), all_contexts(model)
    costs = {}
    for key in model._levels[1].keys.tolist():
        context = model.vocabulary[key // size]
        own, lower = before[(context,)], before[()]
        kept = [
            model.vocabulary[other % size]
            for other in model._levels[1].keys.tolist()
            if other // size == key // size and other != key
        ]
        backoff = (1 - sum(own[w] for w in kept)) / (1 - sum(lower[w] for w in kept))
        divergence = sum(p * np.log(p / (own[w] if w in kept else backoff * lower[w])) for w, p in own.items() if p > 0)
        costs[key] = float(np.expm1(lower["</s>" if context == "<s>" else context] * divergence))
    for cost in sorted(costs.values())[:: max(1, len(costs) // 5)]:
        pruned = model.pruned(cost * 1.001 + 1e-12)
        left = set(pruned._levels[1].keys.tolist())
        assert left == {key for key, found in costs.items() if found >= cost * 1.001 + 1e-12}


def test_damaged_arpa_files_are_refused(tmp_path):
    path = tmp_path / "a.arpa.gz"
    NGramModel.estimate([["a", "b"]], 2).write_arpa(path)
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\xff" * 20 + content[40:])
    with pytest.raises(InputError, match="is no ARPA file"):
        NGramModel.read_arpa(path)
    path = tmp_path / "b.arpa"
    path.write_text("\\data\\\n\\1-grams:\nnan\ta\n\n\\end\\\n")
    with pytest.raises(InputError, match="no number"):
        NGramModel.read_arpa(path)


PRUNED = """\\data\\
ngram 1=4
ngram 2=2
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.6\t</s>
-0.4\ta\t-0.3

\\2-grams:
-0.2\t<s> a\t-0.1
-0.7\ta a

\\3-grams:
-0.05\t<s> a a

\\end\\
"""


def test_a_pruned_arpa_file_backs_off_as_the_format_says(tmp_path):
    with gzip.open(tmp_path / "small.arpa.gz", "wt") as file:
        file.write(PRUNED)
    model = NGramModel.read_arpa(tmp_path / "small.arpa.gz")
    # a | <s>; a | <s> a; a | a a (no backoff there); zebra | a a -> a; </s> after an unknown word
    expected = np.array([-0.2, -0.05, -0.7, -0.3 - 1.0, -0.6])
    np.testing.assert_allclose(model.log_probabilities(["a", "a", "a", "zebra"]) / np.log(10), expected, atol=1e-6)


def test_longer_contexts_help_on_text_that_has_them():
    text = list("abcabdabcabd" * 20)
    rates = [-np.mean(NGramModel.estimate([text[:160]], order).log_probabilities(text[160:], end=False)) for order in (1, 2, 4)]
    assert rates[0] > rates[1] > rates[2]


def test_a_fixed_vocabulary_makes_the_rest_unknown_and_counts_it():
    model = NGramModel.estimate([["a", "b", "z"], ["a", "z"]], 2, vocabulary=["a", "b"])
    assert model.vocabulary == ("<s>", "</s>", "<unk>", "a", "b")
    assert np.exp(model.log_probabilities(["a", "q"])[1]) > 0.2  # z twice after a and b


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no .end."),
        ("\\1-grams:\n-1 a b c d\n\\end\\\n", "line 2 has 5 fields"),
        ("\\2-grams:\n\\end\\\n", "orders do not follow"),
        ("\\1-grams:\n-1 a\n\\2-grams:\n-1 b a\n\\end\\\n", "has 'b a' without 'b'"),
    ],
)
def test_a_broken_arpa_file_is_refused(tmp_path, content, words):
    (tmp_path / "x.arpa").write_text(content)
    with pytest.raises(InputError, match=words):
        NGramModel.read_arpa(tmp_path / "x.arpa")


def test_wrong_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="`order` is 0"):
        NGramModel.estimate(["ab"], 0)
    with pytest.raises(InputError, match="hold no word"):
        NGramModel.estimate([[]], 2)
    with pytest.raises(InputError, match="'<s>' is among the words"):
        NGramModel.estimate([["<s>"]], 2)
    with pytest.raises(InputError, match="without white space"):
        NGramModel.estimate(["a b"], 2).write_arpa(tmp_path / "x.arpa")
    with pytest.raises(InputError, match="does not exist"):
        NGramModel.read_arpa(tmp_path / "none.arpa")
