"""BLEU, as the notes have it, with two slips of theirs mended.

Modified precision p<n>: the share of a translation's n-grams that are in the reference, each counted at most as often as it is there.
BLEU = BP exp(mean of log p<n>, n = 1..4); the notes write exp of the mean of p<n>. BP = 1 where the translations are longer than their
references in all, else exp(1 - reference length / translation length); the notes have the two lengths the other way around.
"""

import math
from collections import Counter


def ngrams(tokens, size):
    """How often each run of `size` tokens comes."""
    return Counter(tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1))


def modified_precision(translations, references, size):
    """(n-grams that are in the references, n-grams) over all pairs. Both: lists of lists of tokens."""
    matched = total = 0
    for translation, reference in zip(translations, references, strict=True):
        found = ngrams(translation, size)
        matched += (found & ngrams(reference, size)).total()
        total += found.total()
    return matched, total


def brevity_penalty(translation_length, reference_length):
    """What translations that are shorter than their references in all are multiplied by."""
    if translation_length > reference_length:
        return 1.0
    return math.exp(1.0 - reference_length / translation_length) if translation_length else 0.0


def bleu(translations, references, order=4):
    """BLEU of a corpus, 0 to 100, a reference each; 0 where some n-gram order has no match at all (sacrebleu: smoothing 'none').

    translations, references: lists of lists of tokens, cut as the figure's signature says. Source: Papineni et al. 2002; the notes, BLEU.
    """
    counts = [modified_precision(translations, references, size) for size in range(1, order + 1)]
    if any(matched == 0 for matched, _ in counts):
        return 0.0
    mean = sum(math.log(matched / total) for matched, total in counts) / order
    return 100.0 * brevity_penalty(sum(map(len, translations)), sum(map(len, references))) * math.exp(mean)
