"""How words sound, and which sound alike: phonemes by espeak-ng, distances by articulation.

vocabulary.txt holds the most frequent words of the data set `books` (Standard Ebooks, CC0): `python -m apps.data.pronunciation` writes it.
"""

import collections
import ctypes
import functools
import re
from pathlib import Path

import numpy as np

from apps.data.synthesis import espeak

VOCABULARY = Path(__file__).with_name("vocabulary.txt")
WORDS = 8000
USES = 4  # of a word among the near ones
GAP, FAINT_GAP = 0.7, 0.35  # of a phoneme more or less; of a faint vowel
VOWELS = {  # height, backness, rounding, length (International Phonetic Alphabet)
    "i": (1, 0, 0, 0.5),
    "iː": (1, 0, 0, 1),
    "ɪ": (0.8, 0.2, 0, 0),
    "ᵻ": (0.8, 0.4, 0, 0),
    "eɪ": (0.7, 0.1, 0, 1),
    "ɛ": (0.4, 0.1, 0, 0),
    "æ": (0.1, 0.2, 0, 0.3),
    "ə": (0.5, 0.5, 0, 0),
    "ɐ": (0.3, 0.5, 0, 0),
    "ʌ": (0.4, 0.6, 0, 0),
    "ɜː": (0.5, 0.5, 0, 1),
    "ɚ": (0.5, 0.5, 0.2, 0.3),
    "uː": (1, 1, 1, 1),
    "ʊ": (0.8, 0.8, 1, 0),
    "oʊ": (0.6, 0.9, 1, 1),
    "ɔː": (0.4, 0.9, 1, 1),
    "ɔ": (0.4, 0.9, 1, 0.3),
    "ɑː": (0, 0.9, 0, 1),
    "aɪ": (0.3, 0.4, 0, 1),
    "aʊ": (0.3, 0.6, 0.4, 1),
    "ɔɪ": (0.5, 0.6, 0.6, 1),
}
# place (lips to glottis), manner (stop, affricate, fricative, nasal, liquid, glide), voice
PLACES = {
    "p": 0,
    "b": 0,
    "m": 0,
    "w": 0.1,
    "f": 0.15,
    "v": 0.15,
    "θ": 0.3,
    "ð": 0.3,
    "t": 0.4,
    "d": 0.4,
    "s": 0.4,
    "z": 0.4,
    "n": 0.4,
    "l": 0.4,
    "ɾ": 0.4,
    "ɹ": 0.5,
    "r": 0.45,
    "ʃ": 0.6,
    "ʒ": 0.6,
    "tʃ": 0.55,
    "dʒ": 0.55,
    "j": 0.7,
    "k": 0.85,
    "ɡ": 0.85,
    "ŋ": 0.85,
    "h": 1.0,
    "ʔ": 1.0,
}
MANNERS = {
    "stop": "pbtdkɡʔɾ",
    "affricate": ("tʃ", "dʒ"),
    "fricative": "fvθðszʃʒh",
    "nasal": "mnŋ",
    "liquid": "lɹr",
    "glide": "wj",
}
VOICED = frozenset("b d ɡ v ð z ʒ dʒ m n ŋ l ɹ r w j ɾ".split())
NEAR = (("stop", "affricate"), ("affricate", "fricative"), ("liquid", "glide"))


@functools.cache
def phonemes(text, accent="en-us"):
    """The phonemes of a text as espeak-ng says it, a tuple of IPA symbols without stress."""
    library = espeak()[0]
    library.espeak_SetVoiceByName(accent.encode())
    rest, found = ctypes.c_char_p(text.encode("utf8")), []
    while rest.value:
        said = library.espeak_TextToPhonemes(ctypes.byref(rest), 1, 0x02 | (ord("_") << 8)).decode("utf8")
        found += [symbol for symbol in re.split(r"[_\s]+", said) if symbol]
    return tuple(part for symbol in found for part in _split(symbol.strip("ˈˌ")))


def _split(symbol):
    """Vowels with an r or another vowel in them as two."""
    for tail in ("ɹ", "ɚ", "ə", "l", "̩"):
        if len(symbol) > 1 and symbol.endswith(tail) and symbol[: -len(tail)] in VOWELS:
            return symbol[: -len(tail)], tail
    return (symbol,) if symbol else ()


@functools.cache
def difference(one, other):
    """How different two phonemes are, 0 to 1."""
    if one == other:
        return 0.0
    if one in VOWELS and other in VOWELS:
        weights = (0.5, 0.35, 0.1, 0.15)
        return 0.1 + 0.9 * sum(w * abs(a - b) for w, a, b in zip(weights, VOWELS[one], VOWELS[other]))
    if one in PLACES and other in PLACES:
        manners = [next(name for name, members in MANNERS.items() if symbol in members) for symbol in (one, other)]
        manner = 0.0 if manners[0] == manners[1] else 0.25 if tuple(manners) in NEAR or tuple(manners[::-1]) in NEAR else 0.5
        return min(1.0, 0.05 + manner + 0.4 * abs(PLACES[one] - PLACES[other]) + 0.1 * ((one in VOICED) != (other in VOICED)))
    return 1.0


def distance(said, wanted):
    """How far the nearest stretch of what is said is from what is wanted, a phoneme of it: 0 where it is in it.

    said, wanted: tuples of phonemes. Sellers' algorithm (1980): what stands before and after the stretch is free.
    """
    row = np.zeros(len(said) + 1)
    for symbol in wanted:
        gap = FAINT_GAP if symbol in ("ə", "ᵻ", "ɚ", "ɐ") else GAP
        new = np.empty_like(row)
        new[0] = row[0] + gap
        for i, heard in enumerate(said, 1):
            new[i] = min(row[i] + gap, new[i - 1] + GAP, row[i - 1] + difference(heard, symbol))
        row = new
    return float(row.min()) / max(len(wanted), 1)


@functools.cache
def vocabulary():
    """The most frequent English words first."""
    return VOCABULARY.read_text("utf8").split()


def homophones(phrase, words):
    """Those of some words that are said as a phrase is, itself among them if it is one."""
    wanted = phonemes(phrase)
    return [word for word in words if wanted and phonemes(word) == wanted]


def near(phrase, count, least=0.04, most=0.45):
    """The `count` words and pairs of words that sound most like a phrase without holding it: (text, distance) each, nearest first.

    least: below this distance a text counts as the phrase itself, and is left out. most: above it, as something else.
    """
    wanted = phonemes(phrase)
    if not wanted:
        raise ValueError(f"`phrase` is {phrase!r}, which espeak-ng does not say; expected words.")
    words = {word: phonemes(word) for word in vocabulary()}
    found = {word: distance(said, wanted) for word, said in words.items()}
    # a pair says its beginning at the end of its first word and the rest at the start of its second
    for cut in range(1, len(wanted)):
        heads = _best(words, lambda said, part=wanted[:cut]: distance(said[-len(part) - 1 :], part))
        tails = _best(words, lambda said, part=wanted[cut:]: distance(said[: len(part) + 1], part))
        for head in heads:
            for tail in tails:
                found[f"{head} {tail}"] = distance(words[head] + words[tail], wanted)
    uses, chosen = collections.Counter(), []
    for value, text in sorted((value, text) for text, value in found.items() if least <= value <= most):
        # no word too often, so that they differ
        if len(chosen) < count and max(uses[word] for word in text.split()) < USES:
            uses.update(text.split())
            chosen.append((text, value))
    return chosen


def _best(words, far, count=24):
    return sorted((word for word in words if len(words[word]) > 1), key=lambda word: far(words[word]))[:count]


def write_vocabulary():
    """Counts the words of the books and writes vocabulary.txt."""
    from apps.data.audio import Archive
    from apps.data.sources import fetch

    archive, counts = Archive(fetch("books")[0]), collections.Counter()
    for member in archive.members:
        if member.endswith(".txt") and "LICENSE" not in member:
            counts.update(re.findall(r"[a-z]+(?:'[a-z]+)?", archive.open(member).read().decode("utf8").lower()))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
    VOCABULARY.write_text("\n".join(frequent) + "\n", "utf8")


if __name__ == "__main__":
    write_vocabulary()
