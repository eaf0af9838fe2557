"""Interpolated modified Kneser-Ney with dictionaries, as Chen & Goodman (1998) write it."""

import collections


def kneser_ney(sentences, order, discounts):
    """probability(context, word) of sentences, lists of words. discounts: a function from a list of counts to (D1, D2, D3+)."""
    padded = [["<s>", *sentence, "</s>"] for sentence in sentences]
    vocabulary = {word for sentence in padded for word in sentence} - {"<s>"} | {"<unk>"}
    counts = []
    for n in range(1, order + 1):
        found = collections.Counter()
        for sentence in padded:
            for i in range(n - 1, len(sentence)):
                found[tuple(sentence[i - n + 1 : i + 1])] += 1
        counts.append(found)
    adjusted = []
    for n in range(1, order + 1):
        if n == order:
            adjusted.append(dict(counts[n - 1]))
        else:
            left = collections.Counter(gram[1:] for gram in counts[n])
            adjusted.append({gram: counts[n - 1][gram] if gram[0] == "<s>" else left[gram] for gram in counts[n - 1]})
    adjusted[0].pop(("<s>",))
    steps = [discounts([c for c in table.values() if c > 0]) for table in adjusted]

    def probability(context, word):
        n = len(context) + 1
        below = 1.0 / len(vocabulary) if n == 1 else probability(context[1:], word)
        table = adjusted[n - 1]
        following = {gram[-1]: c for gram, c in table.items() if gram[:-1] == tuple(context) and c > 0}
        if not following:
            return below
        total, d = sum(following.values()), steps[n - 1]
        weight = sum(d[min(c, 3) - 1] for c in following.values()) / total
        c = following.get(word, 0)
        return (c - d[min(c, 3) - 1] if c else 0.0) / total + weight * below

    return probability, vocabulary
