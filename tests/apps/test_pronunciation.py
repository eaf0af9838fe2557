"""Phonemes, distances between them, and words that sound alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.data.pronunciation import GAP, PLACES, VOWELS, difference, distance, near, phonemes, vocabulary

SYMBOLS = st.sampled_from([*VOWELS, *PLACES])
SPOKEN = st.lists(SYMBOLS, max_size=7).map(tuple)


def sellers(said, wanted):
    """The least cost over every stretch, each by the plain recursion of an edit distance."""

    def edit(a, b):
        if not a or not b:
            return GAP * len(a) + sum(0.35 if s in ("ə", "ᵻ", "ɚ", "ɐ") else GAP for s in b)
        faint = 0.35 if b[-1] in ("ə", "ᵻ", "ɚ", "ɐ") else GAP
        return min(edit(a[:-1], b) + GAP, edit(a, b[:-1]) + faint, edit(a[:-1], b[:-1]) + difference(a[-1], b[-1]))

    stretches = {said[i:j] for i in range(len(said) + 1) for j in range(i, len(said) + 1)}
    return min(edit(stretch, wanted) for stretch in stretches) / max(len(wanted), 1)


@given(SPOKEN.filter(lambda s: len(s) <= 4), SPOKEN.filter(lambda s: len(s) <= 3))
def test_a_distance_is_the_least_cost_of_any_stretch(said, wanted):
    assert distance(said, wanted) == pytest.approx(sellers(said, wanted))


@given(SPOKEN, SPOKEN, SPOKEN)
def test_what_stands_around_the_phrase_is_free(before, wanted, after):
    assert distance(before + wanted + after, wanted) == 0


@given(SYMBOLS, SYMBOLS)
def test_differences_are_symmetric_and_at_most_one(one, other):
    assert difference(one, other) == difference(other, one)
    assert (difference(one, other) == 0) == (one == other) and 0 <= difference(one, other) <= 1


def test_like_sounds_are_nearer_than_unlike_ones():
    assert difference("p", "b") < difference("p", "s") < difference("p", "iː")
    assert difference("ɪ", "iː") < difference("ɪ", "ɑː")


def test_espeak_says_words_as_people_do():
    assert phonemes("computer") == ("k", "ə", "m", "p", "j", "uː", "ɾ", "ɚ")
    assert phonemes("hard") == ("h", "ɑː", "ɹ", "d")


def test_near_words_sound_alike_differ_from_each_other_and_do_not_hold_the_phrase():
    found = near("computer", 120)
    texts = [text for text, _ in found]
    assert len(set(texts)) == 120 and [d for _, d in found] == sorted(d for _, d in found)
    assert not any("computer" in text for text in texts)
    words = [word for text in texts for word in text.split()]
    assert max(words.count(word) for word in set(words)) <= 4
    wanted = phonemes("computer")
    assert all(distance(phonemes(text), wanted) < 0.35 for text in texts[:60])


def test_the_vocabulary_is_of_words():
    words = vocabulary()
    assert len(words) == len(set(words)) == 8000 and words[0] == "the"


def test_a_phrase_that_is_not_said_is_refused():
    with pytest.raises(ValueError, match="which espeak-ng does not say"):
        near("...", 10)
