"""N-gram language models: interpolated modified Kneser-Ney estimation, scoring, ARPA files. NumPy only.

```python
from zoo.decoding.ngram import NGramModel

model = NGramModel.estimate([["the", "cat", "sat"], ["the", "dog", "sat"]], order=3)
model.log_probabilities(["the", "cat", "ran"])   # natural logarithms, of each word and of the end
model.write_arpa("animals.arpa")
```

Source: Kneser & Ney 1995; Chen & Goodman 1998 (modified, interpolated); Heafield et al. 2013 for the counts at a sentence's start.
"""

import dataclasses
import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from zoo.errors import InputError

START, END, UNKNOWN = 0, 1, 2
SPECIAL = ("<s>", "</s>", "<unk>")
FALLBACK = (0.5, 1.0, 1.5)  # discounts where a corpus is too small to estimate them (as KenLM's --discount_fallback)
LOG10 = np.log(10.0)
SEEN = 1_000_000  # words after states that are remembered at most


@dataclasses.dataclass
class _Level:
    """All n-grams of one order. keys: (prefix's place at the order below) x vocabulary + last word, sorted.

    log_probability: of the last word after the others. log_backoff: what is added when a longer n-gram is not there.
    """

    keys: np.ndarray
    log_probability: np.ndarray
    log_backoff: np.ndarray

    def find(self, prefixes, words, size):
        """The places of n-grams, -1 where there is none. prefixes: places at the order below, -1 for none."""
        wanted = prefixes * size + words
        if not len(self.keys):  # no sequence is as long as this order
            return np.full(np.shape(wanted), -1)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((prefixes >= 0) & (self.keys[places] == wanted), places, -1)


class NGramModel:
    """The probability of a word after the `order` - 1 words before it. vocabulary: the words, <s>, </s> and <unk> first."""

    def __init__(self, vocabulary, levels):
        self.vocabulary, self._levels = tuple(vocabulary), levels
        self._index = {word: i for i, word in enumerate(self.vocabulary)}
        self._seen = {}  # what `advance` found

    @property
    def order(self):
        """The longest n-grams' length."""
        return len(self._levels)

    @property
    def counts(self):
        """How many n-grams of each order the model holds."""
        return [len(level.keys) for level in self._levels]

    @classmethod
    def estimate(cls, sequences, order, vocabulary=None):
        """A model from sequences of words (any strings; of characters: a string is a sequence of them).

        vocabulary: the words that are known, others become <unk>; None: every word that occurs.
        """
        if not isinstance(order, int) or not 1 <= order <= 9:
            raise InputError(f"`order` is {order!r}; expected an integer from 1 to 9.")
        sequences = [list(sequence) for sequence in sequences]
        if not any(sequences):
            raise InputError("`sequences` hold no word; expected text to count.")
        words = sorted({word for sequence in sequences for word in sequence} if vocabulary is None else set(vocabulary))
        reserved = sorted(set(words) & set(SPECIAL[:2]))
        if reserved:
            raise InputError(f"{reserved[0]!r} is among the words; it is reserved for a sequence's start and end.")
        model = cls((*SPECIAL, *(word for word in words if word != SPECIAL[UNKNOWN])), [])
        text, starts = model._encode(sequences)
        model._levels = _kneser_ney(text, starts, order, len(model.vocabulary))
        return model

    def _encode(self, sequences):
        """All sequences in one array, each between <s> and </s>, and for every place how many words of its sequence precede it."""
        lengths = np.array([len(sequence) + 2 for sequence in sequences])
        text, position = np.empty(lengths.sum(), np.int64), 0
        for sequence, length in zip(sequences, lengths):
            text[position] = START
            text[position + 1 : position + length - 1] = [self._index.get(word, UNKNOWN) for word in sequence]
            text[position + length - 1] = END
            position += length
        return text, np.arange(len(text)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

    def log_probabilities(self, sequence, end=True):
        """The natural logarithm of each word's probability, and of the end's: (len(sequence) + end,) float64.

        Unknown words are counted as <unk>, never dropped.
        """
        return self.score([sequence], end)[0]

    def score(self, sequences, end=True):
        """`log_probabilities` of many sequences: a list of arrays."""
        sequences = [list(sequence) for sequence in sequences]
        if not sequences:
            return []
        text, preceding = self._encode(sequences)
        size, places, found = len(self.vocabulary), [], np.full(len(text), -1)
        for n, level in enumerate(self._levels, 1):
            before = np.concatenate([[-1], found[:-1]]) if n > 1 else np.zeros(len(text), np.int64)
            found = np.where(preceding >= n - 1, level.find(before, text, size), -1)
            places.append(found)
        total, done = np.zeros(len(text)), np.zeros(len(text), bool)
        for n in range(self.order, 0, -1):
            here = ~done & (places[n - 1] >= 0)
            total[here] += self._levels[n - 1].log_probability[places[n - 1][here]]
            done |= here
            if n > 1:
                context = np.concatenate([[-1], places[n - 2][:-1]])
                there = ~done & (context >= 0)
                total[there] += self._levels[n - 2].log_backoff[context[there]]
        rows = np.split(total, np.flatnonzero(preceding == 0)[1:])
        return [row[1:] if end else row[1:-1] for row in rows]

    def next_log_probabilities(self, context):
        """The natural logarithms of all words' probabilities after a context, which begins at the sequence's start.

        context: words. Returns (vocabulary,) float64; <s> has -inf.
        """
        size = len(self.vocabulary)
        words = np.array([START, *(self._index.get(word, UNKNOWN) for word in context)])
        result = self._levels[0].log_probability.copy()
        for n in range(2, self.order + 1):
            if len(words) < n - 1:
                break
            place = self._place(words[len(words) - n + 1 :])
            if place < 0:
                continue
            result += self._levels[n - 2].log_backoff[place]
            keys = self._levels[n - 1].keys
            first, last = np.searchsorted(keys, [place * size, (place + 1) * size])
            result[keys[first:last] - place * size] = self._levels[n - 1].log_probability[first:last]
        result[START] = -np.inf
        return result

    def _place(self, words):
        place = np.array([0])
        for level, word in zip(self._levels, words):
            place = level.find(place, np.array([word]), len(self.vocabulary))
        return int(place[0])

    def __contains__(self, word):
        """Whether the model knows a word."""
        return word in self._index and self._index[word] > UNKNOWN

    def start(self):
        """The state at a sequence's start, for `advance`: the places of the n-grams that end here, one of each order, -1 for none."""
        return (START, *[-1] * (self.order - 2))[: self.order - 1]

    def advance(self, state, word):
        """(the natural logarithm of a word's probability after a state, the state after it). An unknown word is <unk>.

        What searches call: its cost does not grow with the text.
        """
        return self._advance(state, self._index.get(word, UNKNOWN))

    def finish(self, state):
        """The natural logarithm of the probability that a sequence ends after a state."""
        return self._advance(state, END)[0]

    def _advance(self, state, word):
        key = (state, word)
        if key not in self._seen:
            size, places = len(self.vocabulary), []
            for prefix, level in zip((0, *state), self._levels):
                wanted = prefix * size + word
                place = int(level.keys.searchsorted(wanted)) if prefix >= 0 else len(level.keys)
                places.append(place if place < len(level.keys) and level.keys[place] == wanted else -1)
            total = 0.0
            for n in range(self.order, 0, -1):
                if places[n - 1] >= 0:
                    total += float(self._levels[n - 1].log_probability[places[n - 1]])
                    break
                if n > 1 and state[n - 2] >= 0:
                    total += float(self._levels[n - 2].log_backoff[state[n - 2]])
            if len(self._seen) >= SEEN:
                self._seen.clear()
            self._seen[key] = total, tuple(places[: self.order - 1])
        return self._seen[key]

    def pruned(self, threshold):
        """A smaller model: without each n-gram whose loss raises the perplexity by less than this share, as 1e-8 (Stolcke 1998, entropy pruning).

        The probabilities after every context still sum to 1. Words all stay, and so does what a longer n-gram that stays begins or ends with.
        """
        if not threshold >= 0:
            raise InputError(f"`threshold` is {threshold!r}; expected a number from 0 on.")
        size, levels = len(self.vocabulary), [dataclasses.replace(level) for level in self._levels]
        suffixes = self._suffixes()
        seen = [levels[0].log_probability.copy()]
        seen[0][START] = levels[0].log_probability[END]  # a sequence starts as often as it ends
        for level in levels[1:]:
            seen.append(seen[-1][level.keys // size] + level.log_probability)
        needed = np.zeros(len(levels[-1].keys), bool)
        for n in range(len(levels) - 1, 0, -1):
            level, below = levels[n], levels[n - 1]
            contexts = level.keys // size
            log_lower = below.log_probability[suffixes[n]]
            chance, lower, count = np.exp(level.log_probability), np.exp(log_lower), len(below.keys)
            # the backoff after a context that has lost this n-gram alone
            own, others = (_rest(contexts, p, count)[contexts] for p in (chance, lower))
            log_backoff = np.log((own + chance) / (others + lower))
            loss = chance * (level.log_probability - log_lower - log_backoff) + own * (np.log(own / others) - log_backoff)
            kept = needed | (np.expm1(np.exp(seen[n - 1][contexts]) * loss) >= threshold)
            rests = (_rest(contexts[kept], p[kept], count) for p in (chance, lower))
            below.log_backoff = np.log(np.divide(*rests))
            needed = np.zeros(len(below.keys), bool)
            needed[contexts[kept]] = needed[suffixes[n][kept]] = True
            places = np.cumsum(kept) - 1
            levels[n] = _Level(level.keys[kept], level.log_probability[kept], level.log_backoff[kept])
            if n + 1 < len(levels):
                above = levels[n + 1].keys
                levels[n + 1].keys = places[above // size] * size + above % size
        return NGramModel(self.vocabulary, levels)

    def _suffixes(self):
        """For each order the place of each n-gram's suffix at the order below (of words: 0)."""
        size, found = len(self.vocabulary), [np.zeros(len(self.vocabulary), np.int64)]
        for n, level in enumerate(self._levels[1:], 1):
            prefixes, words = level.keys // size, level.keys % size
            found.append(words if n == 1 else self._levels[n - 1].find(found[-1][prefixes], words, size))
            if (found[-1] < 0).any():
                raise InputError(f"the model has {n + 1}-grams without their suffixes, and cannot be pruned; estimate it again.")
        return found

    def write_arpa(self, path):
        """Writes the model as an ARPA file (compressed where the name ends in .gz)."""
        unwritable = [word for word in self.vocabulary if not word or word.split() != [word]]
        if unwritable:
            raise InputError(f"{unwritable[0]!r} is among the words; an ARPA file holds words without white space only.")
        with _open(path, "wt") as file:
            file.write("\\data\\\n" + "".join(f"ngram {n}={count}\n" for n, count in enumerate(self.counts, 1)))
            names = [""]
            for n, level in enumerate(self._levels, 1):
                size = len(self.vocabulary)
                names = [f"{names[key // size]} {self.vocabulary[key % size]}".lstrip() for key in level.keys.tolist()]
                file.write(f"\n\\{n}-grams:\n")
                log_probability = np.maximum(level.log_probability / LOG10, -99.0)
                for name, value, backoff in zip(names, log_probability.tolist(), (level.log_backoff / LOG10).tolist()):
                    file.write(f"{value:.7g}\t{name}" + (f"\t{backoff:.7g}\n" if n < self.order else "\n"))
            file.write("\n\\end\\\n")

    @classmethod
    def read_arpa(cls, path):
        """Reads an ARPA file, pruned ones included."""
        rows, order = [], 0
        try:
            with _open(path, "rt") as file:
                for number, line in enumerate(file, 1):
                    line = line.strip()
                    if line.startswith("\\") and line.endswith("-grams:"):
                        order = int(line[1:-7])
                        rows.append({})
                        if order != len(rows):
                            raise ValueError("its orders do not follow each other")
                    elif line == "\\end\\":
                        break
                    elif order and line:
                        parts = line.split()
                        backoff = float(parts[order + 1]) if len(parts) == order + 2 else 0.0
                        if len(parts) not in (order + 1, order + 2):
                            raise ValueError(f"line {number} has {len(parts)} fields")
                        value = float(parts[0])
                        if math.isnan(value) or math.isnan(backoff):
                            raise ValueError(f"line {number} has a value that is no number")
                        rows[-1][tuple(parts[1 : order + 1])] = (value, backoff)
                else:
                    raise ValueError("it has no \\end\\")
            if not rows or not rows[0]:
                raise ValueError("it has no 1-grams")
        except (ValueError, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path} is no ARPA file: {error}. Export it again.") from None
        words = sorted({word for (word,) in rows[0]} - set(SPECIAL))
        model = cls((*SPECIAL, *words), [])
        size = len(model.vocabulary)
        for special in SPECIAL:
            rows[0].setdefault((special,), (-99.0, 0.0))
        places = {(): 0}
        for table in rows:
            lost = next((gram for gram in table if gram[:-1] not in places or gram[-1] not in model._index), None)
            if lost:
                raise InputError(f"{path} has {' '.join(lost)!r} without {' '.join(lost[:-1])!r}, or with an unknown word.")
            grams = sorted(table, key=lambda gram: places[gram[:-1]] * size + model._index[gram[-1]])
            keys = np.array([places[gram[:-1]] * size + model._index[gram[-1]] for gram in grams], np.int64)
            values = np.array([table[gram] for gram in grams]).reshape(-1, 2) * LOG10
            model._levels.append(_Level(keys, values[:, 0], values[:, 1]))
            places = {gram: place for place, gram in enumerate(grams)}
        model._levels[0].log_probability[START] = -np.inf
        return model


def _open(path, mode):
    try:
        return gzip.open(path, mode, encoding="utf8") if Path(path).suffix == ".gz" else open(path, mode, encoding="utf8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected an ARPA file, or a folder to write one to.") from None


def _rest(contexts, probabilities, count):
    """What the probabilities of words after each of `count` contexts leave to the other words: 1 where there are none."""
    return np.maximum(1.0 - np.bincount(contexts, probabilities, count), 1e-12)


def discounts(counts):
    """(D1, D2, D3+) of modified Kneser-Ney from the counts of n-grams of one order (Chen & Goodman 1998, equation 26)."""
    t = [int(np.sum(counts == k)) for k in (1, 2, 3, 4)]
    if min(t) == 0:
        return FALLBACK
    y = t[0] / (t[0] + 2.0 * t[1])
    found = tuple(k - (k + 1) * y * t[k] / t[k - 1] for k in (1, 2, 3))
    return found if all(0 <= d <= k for k, d in enumerate(found, 1)) else FALLBACK


def _kneser_ney(text, preceding, order, size):
    """The levels of an interpolated model, its probabilities complete and the interpolation weights as backoffs."""
    keys, counts, suffixes = _count(text, preceding, order, size)
    levels, below = [], None
    for n in range(1, order + 1):
        adjusted = counts[n - 1]
        if n < order:  # in how many contexts it occurs; after <s> there is only one
            adjusted = np.bincount(suffixes[n], minlength=len(keys[n - 1]))
            at_start = _first_words(keys, n, size) == START
            adjusted = np.where(at_start, counts[n - 1], adjusted)
        if n == 1:
            adjusted[START] = 0
        steps = np.array([0.0, *discounts(adjusted[adjusted > 0])])
        prefixes = keys[n - 1] // size
        contexts = 1 if n == 1 else len(keys[n - 2])
        total = np.bincount(prefixes, adjusted, minlength=contexts)
        taken = np.bincount(prefixes, steps[np.minimum(adjusted, 3)], minlength=contexts)
        weight = np.divide(taken, total, out=np.ones(contexts), where=total > 0)
        lower = np.full(size, 1.0 / (size - 1)) if n == 1 else below[suffixes[n - 1]]
        share = np.divide(
            adjusted - steps[np.minimum(adjusted, 3)], total[prefixes], out=np.zeros(len(adjusted)), where=total[prefixes] > 0
        )
        below = share + weight[prefixes] * lower
        if n == 1:
            below[START] = 0.0
        else:
            levels[-1].log_backoff = np.log(weight)
        with np.errstate(divide="ignore"):
            levels.append(_Level(keys[n - 1], np.log(below), np.zeros(len(below))))
    return levels


def _count(text, preceding, order, size):
    """For each order the sorted keys of its n-grams, how often each occurs, and the place of its suffix at the order below."""
    keys, counts = [np.arange(size)], [np.bincount(text, minlength=size)]
    suffixes, places = [np.zeros(size, np.int64)], text
    for n in range(2, order + 1):
        ends = np.flatnonzero(preceding >= n - 1)
        found, inverse, count = np.unique(places[ends - 1] * size + text[ends], return_inverse=True, return_counts=True)
        prefixes, words = found // size, found % size
        suffixes.append(words if n == 2 else np.searchsorted(keys[-1], suffixes[-1][prefixes] * size + words))
        keys.append(found)
        counts.append(count)
        places = np.full(len(text), -1)
        places[ends] = inverse
    return keys, counts, suffixes


def _first_words(keys, n, size):
    """The first word of each n-gram of order n."""
    words = keys[n - 1]
    for below in range(n - 1, 0, -1):
        words = keys[below - 1][words // size]
    return words % size
