"""The notes' BLEU against sacrebleu."""

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.metrics.bleu import bleu, brevity_penalty, modified_precision

WORDS = st.lists(st.sampled_from("the cat sat on a mat".split()), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=1, max_size=5))
def test_equals_sacrebleu(pairs):
    translations, references = zip(*pairs)
    joined = [" ".join(tokens) for tokens in translations], [[" ".join(tokens) for tokens in references]]
    theirs = sacrebleu.corpus_bleu(*joined, tokenize="none", smooth_method="none", force=True)
    assert bleu(translations, references) == pytest.approx(theirs.score, abs=1e-9)


def test_the_notes_example_counts_a_word_as_often_as_the_reference_has_it():
    translation = "the the the the the the the".split()
    assert modified_precision([translation], ["the cat is on the mat".split()], 1) == (2, 7)


def test_only_what_is_short_is_punished():
    assert brevity_penalty(12, 10) == 1.0 == brevity_penalty(10, 10)
    assert brevity_penalty(5, 10) == pytest.approx(0.36788, abs=1e-5) and brevity_penalty(0, 10) == 0.0
