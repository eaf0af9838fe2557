"""From symbols at each frame to labels and words, in NumPy: greedy, and prefix beam search with a language model, hot words and a lexicon.

Source: Graves et al. 2006 (best path); Hannun et al. 2014, arXiv:1408.2873 (prefix beam search); the notes, greedy decoding with merging.

```python
from tflite.runtime.ctc import PrefixBeamSearch

search = PrefixBeamSearch(["", " ", "a", "b"], language_model=model)   # the blank's name is not read
for log_probabilities in chunks:   # (frames, symbols), of any length
    search.push(log_probabilities)
print(search.best()[0].text)
```
"""

import dataclasses

import numpy as np

from .errors import InputError
from .text import SPACE as STARTS  # before the symbols that begin a word, as SentencePiece has it

SPACE = " "  # a symbol of its own between words
IMPOSSIBLE = -1e4  # the logarithm of a probability of zero, so that sums stay numbers
SWEEP = 256  # frames between two times that prefixes are forgotten


@dataclasses.dataclass(frozen=True)
class Span:
    """A symbol or a word, when it was said, in seconds, and how sure: the probability of its symbol where that is highest, of its surest to
    least sure symbols the last."""

    text: str
    start_s: float
    end_s: float
    confidence: float

    def rounded(self):
        """The fields as JSON has them, times to a millisecond."""
        times = {"start_s": round(self.start_s, 3), "end_s": round(self.end_s, 3)}
        return {"text": self.text, **times, "confidence": round(self.confidence, 4)}


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """What may have been said. labels: symbols' indices. score: log_probability, and what language model, hot words and bonus add.

    log_probability: of all kept paths that say it; of greedy decoding: of its one path. tokens, words: `Span`s.
    """

    labels: tuple
    text: str
    score: float
    log_probability: float
    tokens: tuple
    words: tuple


class _Alphabet:
    """What symbols mean. boundary: SPACE, STARTS, or None, where each symbol is a word."""

    def __init__(self, symbols, blank, boundary, frame_s):
        self.symbols, self.blank, self.boundary, self.frame_s = list(symbols), blank, boundary, frame_s
        if not 0 <= blank < len(self.symbols):
            raise InputError(f"`blank` is {blank} of {len(self.symbols)} symbols; expected the index of one.")
        if boundary not in (None, SPACE, STARTS):
            raise InputError(f"`boundary` is {boundary!r}; expected {SPACE!r}, {STARTS!r} or None.")
        # whether a symbol ends the word before it, and what of it belongs to a word
        self.ends = np.array([boundary is None or s.startswith(boundary) for s in self.symbols])
        self.rest = [s if boundary is None else s.replace(boundary, "") for s in self.symbols]

    def check(self, log_probabilities):
        """The array as float64; InputError for anything but natural logarithms of probabilities."""
        rates = np.asarray(log_probabilities, np.float64)
        if rates.ndim != 2 or rates.shape[1] != len(self.symbols):
            raise InputError(f"`log_probabilities` have shape {rates.shape}; expected (frames, {len(self.symbols)}).")
        if not len(rates):
            return rates
        if np.isnan(rates).any():
            raise InputError("`log_probabilities` hold NaN; expected numbers of at most 0.")
        with np.errstate(over="ignore"):
            sums = np.exp(rates).sum(axis=1)
        worst = sums[np.argmax(np.abs(sums - 1))]
        if not abs(worst - 1) < 0.01:
            kind = (
                "probabilities" if (rates >= 0).all() and np.allclose(rates.sum(axis=1), 1, atol=0.01) else "no log probabilities"
            )
            raise InputError(
                f"`log_probabilities` are {kind}: a frame's exponentials add up to {worst:.3g}; expected 1. Pass the logarithm of a softmax."
            )
        return np.maximum(rates, IMPOSSIBLE)

    def text(self, labels):
        """The text of labels."""
        names = [self.symbols[label] for label in labels]
        return " ".join(names) if self.boundary is None else "".join(names).replace(STARTS, " ").strip()

    def hypothesis(self, spans, score, log_probability):
        """spans: (symbol, first frame, frame after the last, log probability at its height) of each label."""
        tokens = [
            Span(self.symbols[symbol], start * self.frame_s, end * self.frame_s, float(np.exp(peak)))
            for symbol, start, end, peak in spans
        ]
        labels = tuple(symbol for symbol, *_ in spans)
        return Hypothesis(
            labels, self.text(labels), float(score), float(log_probability), tuple(tokens), words_of(tokens, self.boundary)
        )


def words_of(tokens, boundary):
    """The words that symbols make: a tuple of Spans. tokens: Spans of symbols, in order. boundary: as PrefixBeamSearch has it."""
    words, parts = [], []
    for token in tokens:
        if parts and (boundary is None or token.text.startswith(boundary)):
            words.append(_joined(parts))
            parts = []
        text = token.text if boundary is None else token.text.replace(boundary, "")
        if text:
            parts.append(dataclasses.replace(token, text=text))
    return (*words, _joined(parts)) if parts else tuple(words)


def _joined(parts):
    text = "".join(part.text for part in parts)
    return Span(text, parts[0].start_s, parts[-1].end_s, min(part.confidence for part in parts))


class GreedySearch:
    """The likeliest symbol at each frame, repeats merged and blanks dropped. Arguments as PrefixBeamSearch has them."""

    def __init__(self, symbols, *, blank=0, boundary=SPACE, frame_s=1.0):
        self._alphabet = _Alphabet(symbols, blank, boundary, frame_s)
        self.reset()

    def reset(self):
        """Begins anew."""
        self._spans, self._last, self._frames, self._total = [], None, 0, 0.0

    def push(self, log_probabilities):
        """Reads further frames: (frames, symbols) natural logarithms of probabilities."""
        for frame in self._alphabet.check(log_probabilities):
            symbol = int(np.argmax(frame))
            self._total += frame[symbol]
            if symbol != self._alphabet.blank:
                if symbol == self._last:
                    _, start, _, peak = self._spans[-1]
                    self._spans[-1] = (symbol, start, self._frames + 1, max(peak, frame[symbol]))
                else:
                    self._spans.append((symbol, self._frames, self._frames + 1, frame[symbol]))
            self._last = symbol
            self._frames += 1

    def best(self, count=1, final=True):
        """[Hypothesis], the one."""
        return [self._alphabet.hypothesis(self._spans, self._total, self._total)]


class LastFrames:
    """The symbol that is likeliest over a clip's last half, for networks that were taught one word a clip and where it ends: the notes' isolated
    words. The blank says that there was none. Arguments as PrefixBeamSearch has them."""

    def __init__(self, symbols, *, blank=0, boundary=None, frame_s=1.0):
        self._alphabet = _Alphabet(symbols, blank, boundary, frame_s)
        self.reset()

    def reset(self):
        """Begins anew."""
        self._frames = []

    def push(self, log_probabilities):
        """Reads further frames: (frames, symbols) natural logarithms of probabilities."""
        self._frames += list(self._alphabet.check(log_probabilities))

    def best(self, count=1, final=True):
        """[Hypothesis], the one."""
        if not self._frames:
            return [self._alphabet.hypothesis([], 0.0, 0.0)]
        first = len(self._frames) // 2
        means = np.mean(self._frames[first:], axis=0)
        symbol = int(np.argmax(means))
        spans = [] if symbol == self._alphabet.blank else [(symbol, first, len(self._frames), means[symbol])]
        return [self._alphabet.hypothesis(spans, means[symbol], means[symbol])]


class _Prefix:
    """A node of the tree of prefixes: what language model, hot words and word bonus say of it does not depend on the frames."""

    __slots__ = ("parent", "symbol", "partial", "state", "bonus", "completed")

    def __init__(self, parent, symbol, partial, state, bonus):
        self.parent, self.symbol, self.completed = parent, symbol, None
        self.partial, self.state, self.bonus = partial, state, bonus


class PrefixBeamSearch:
    """Keeps the `width` likeliest prefixes of labels at each frame, all paths of one added up.

    symbols: the name of each, the blank's is not read. boundary: ' ', a symbol that stands between words; '\u2581', the mark before symbols
    that begin one; None: each symbol is a word. frame_s: seconds of a frame, for times.
    language_model: with start() -> state, advance(state, word) -> (natural log probability, state), finish(state) -> log probability of the
    end, `word in model` and `vocabulary`, such as zoo.decoding.ngram.NGramModel; it counts `weight` times. unknown: added to the log
    probability of a word that it does not know, which is that of all such words together, as soon as no known word begins so; else words
    would be run together into unknown ones. word_bonus: added a word, against the liking of both models for few. hot_words: words that
    score `hot_weight` more, a beginning of one its share. lexicon: words, no other is found. least: symbols less likely than this at a frame are not tried (log probability; -inf: all are). margin: prefixes that score
    less than the best by more than this are given up.
    """

    def __init__(
        self,
        symbols,
        *,
        blank=0,
        boundary=SPACE,
        frame_s=1.0,
        width=64,
        language_model=None,
        weight=0.5,
        unknown=-23.0,
        word_bonus=0.0,
        hot_words=(),
        hot_weight=5.0,
        lexicon=None,
        least=-9.0,
        margin=np.inf,
    ):
        self._alphabet = _Alphabet(symbols, blank, boundary, frame_s)
        if not isinstance(width, int) or width < 1:
            raise InputError(f"`width` is {width!r}; expected an integer of at least 1.")
        for name, words in (("hot_words", hot_words), ("lexicon", lexicon or ())):
            if isinstance(words, str):
                raise InputError(f"`{name}` is the text {words!r}; expected a list of words.")
        self._width, self._least, self._margin = width, least, margin
        self._model, self._weight, self._unknown, self._word_bonus = language_model, weight, unknown, word_bonus
        self._hot, self._hot_weight = frozenset(hot_words), hot_weight
        self._only = None if lexicon is None else frozenset(lexicon)
        self._automata = []
        if self._only is not None:
            self._automata.append(_automaton(self._alphabet, self._only, lambda share: 0.0 * share, only=True))
        if self._hot:
            self._automata.append(_automaton(self._alphabet, self._hot, lambda share: hot_weight * share))
        if language_model:
            # at once, not when a word is over: else prefixes that no word begins with crowd out others
            known = [word for word in language_model.vocabulary if word in language_model and SPACE not in word]
            self._automata.append(_automaton(self._alphabet, known, lambda share: 0.0 * share, of_none=weight * unknown))
        self._spoken = np.delete(np.arange(len(self._alphabet.symbols)), blank)
        self.reset()

    def reset(self):
        """Begins anew."""
        state = self._model.start() if self._model else None
        self._nodes, self._children = [_Prefix(None, -1, "", state, 0.0)], {}  # by its parent's identity and its symbol
        self._spans = [None]  # of the last label, and so on to the first: (the one before, symbol, start, end, peak)
        self._ends_blank, self._ends_label = np.zeros(1), np.full(1, -np.inf)
        self._places = np.zeros((len(self._automata), 1), int)
        self._frames = 0

    def push(self, log_probabilities):
        """Reads further frames: (frames, symbols) natural logarithms of probabilities."""
        for frame in self._alphabet.check(log_probabilities):
            self._step(frame)
            self._frames += 1

    def best(self, count=1, final=True):
        """The `count` best: [Hypothesis], the best first. final: whether this is the end, so that the last word and the end count."""
        total, scored = np.logaddexp(self._ends_blank, self._ends_label), []
        bonuses = self._under_way(np.array([node.bonus for node in self._nodes]), self._places)
        for i, node in enumerate(self._nodes):
            bonus = bonuses[i]
            if final:
                if self._only is not None and node.partial and node.partial not in self._only:
                    continue
                bonus, state = self._completed(node)
                bonus += self._weight * self._model.finish(state) if self._model else 0.0
            scored.append((total[i] + bonus, i))
        scored.sort(key=lambda one: (-one[0], one[1]))
        found = []
        for score, i in scored[:count]:
            spans, chain = [], self._spans[i]
            while chain:
                chain, *span = chain
                spans.append(span)
            found.append(self._alphabet.hypothesis(spans[::-1], score, total[i]))
        return found or [self._alphabet.hypothesis([], -np.inf, -np.inf)]

    def _step(self, frame):
        """One frame: each prefix stays, by a blank or its last label again, or grows by a label."""
        count = len(self._nodes)
        total = np.logaddexp(self._ends_blank, self._ends_label)
        last = np.array([node.symbol for node in self._nodes])
        blank = total + frame[self._alphabet.blank]
        again = np.where(last >= 0, self._ends_label + frame[last], -np.inf)
        repeated = again > blank
        tried = self._spoken[frame[self._spoken] >= self._least]
        grown = total[:, None] + frame[tried]
        same = last[:, None] == tried
        grown[same] = (self._ends_blank[:, None] + frame[tried])[same]
        following = np.empty((len(self._automata), count, len(tried)), int)
        for automaton, places, after in zip(self._automata, self._places, following):
            after[:] = np.where(places[:, None] < 0, -1, automaton.table[places][:, tried])
            if automaton.only:
                grown[after < 0] = -np.inf
            else:  # after any word another may begin
                ends = self._alphabet.ends[tried]
                after[:, ends] = automaton.table[0, tried[ends]]
        said_anew = self._merge(tried, grown, blank, again)
        stay = np.logaddexp(blank, again)
        bonus = np.array([node.bonus for node in self._nodes])
        grown_scores = grown + self._grown_bonuses(bonus, tried, grown, following)
        scores = np.concatenate([stay + self._under_way(bonus, self._places), grown_scores.ravel()])
        kept = np.flatnonzero((scores >= scores.max() - self._margin) & (scores > -np.inf))
        if len(kept) > self._width:
            kept = kept[np.argpartition(-scores[kept], self._width - 1)[: self._width]]
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        self._keep(kept, tried, frame, blank, again, grown, following, repeated, said_anew)

    def _merge(self, tried, grown, blank, again):
        """A prefix that grows into one that is kept already counts there. Returns {place: place of the parent} where that is most of it."""
        place = {id(node): i for i, node in enumerate(self._nodes)}
        column = {symbol: k for k, symbol in enumerate(tried.tolist())}
        said_anew = {}
        for i, node in enumerate(self._nodes):
            parent, k = place.get(id(node.parent)), column.get(node.symbol)
            if parent is None or k is None or grown[parent, k] == -np.inf:
                continue
            if grown[parent, k] > max(again[i], blank[i]):
                said_anew[i] = parent
            again[i] = np.logaddexp(again[i], grown[parent, k])
            grown[parent, k] = -np.inf
        return said_anew

    def _under_way(self, bonus, places):
        """What prefixes score beside their probability, with what their words under way begin."""
        return sum((automaton.values[row] for automaton, row in zip(self._automata, places)), start=bonus)

    def _grown_bonuses(self, bonus, tried, grown, following):
        """The same of prefixes that would grow: (prefixes, tried)."""
        bonus = np.repeat(bonus[:, None], len(tried), axis=1)
        ends = self._alphabet.ends[tried]
        if ends.any():
            alive = (grown[:, ends] > -np.inf).any(axis=1).tolist()
            bonus[:, ends] = [[self._completed(node)[0] if there else 0.0] for node, there in zip(self._nodes, alive)]
        return self._under_way(bonus, following)

    def _completed(self, node):
        """(bonus, language model's state) once the word under way has ended."""
        if node.completed is None:
            bonus, state = node.bonus, node.state
            if node.partial:
                bonus += self._word_bonus + (self._hot_weight if node.partial in self._hot else 0.0)
                if self._model:
                    rate, state = self._model.advance(state, node.partial)
                    bonus += self._weight * (rate if node.partial in self._model else rate + self._unknown)
            node.completed = bonus, state
        return node.completed

    def _keep(self, kept, tried, frame, blank, again, grown, following, repeated, said_anew):
        """The chosen prefixes become those of the next frame."""
        count, time, heard = len(self._nodes), self._frames, frame.tolist()
        stays = kept < count
        which, column = np.where(stays, kept, (kept - count) // max(1, len(tried))), (kept - count) % max(1, len(tried))
        nodes, spans = [], []
        for stay, i, symbol in zip(stays.tolist(), which.tolist(), tried[column].tolist() if len(tried) else kept.tolist()):
            node, chain = self._nodes[i], self._spans[i]
            if not stay:
                node, chain = self._child(node, symbol), (chain, symbol, time, time + 1, heard[symbol])
            elif i in said_anew:
                chain = (self._spans[said_anew[i]], node.symbol, time, time + 1, heard[node.symbol])
            elif repeated[i]:  # the label goes on
                before, symbol, start, _, peak = chain
                chain = (before, symbol, start, time + 1, max(peak, heard[symbol]))
            nodes.append(node)
            spans.append(chain)
        self._ends_blank = np.where(stays, blank[which], -np.inf)
        self._ends_label, self._places = again[which], self._places[:, which]
        if not stays.all():
            self._ends_label[~stays] = grown[which[~stays], column[~stays]]
            self._places[:, ~stays] = following[:, which[~stays], column[~stays]]
        self._nodes, self._spans = nodes, spans
        if time % SWEEP == SWEEP - 1:
            self._forget()

    def _child(self, node, symbol):
        child = self._children.get((id(node), symbol))
        if child is None:
            bonus, state, partial = node.bonus, node.state, node.partial
            if self._alphabet.ends[symbol]:
                bonus, state = self._completed(node)
                partial = ""
            child = _Prefix(node, symbol, partial + self._alphabet.rest[symbol], state, bonus)
            self._children[id(node), symbol] = child
        return child

    def _forget(self):
        """Drops the prefixes that were given up and that nothing kept begins with, so that memory does not grow with them."""
        alive = set()
        for node in self._nodes:
            while node is not None and id(node) not in alive:
                alive.add(id(node))
                node = node.parent
        self._children = {key: child for key, child in self._children.items() if id(child) in alive}


@dataclasses.dataclass(frozen=True)
class _Automaton:
    """Which beginning of some words follows which by each symbol.

    table: (beginnings, symbols) int, -1 where none does; 0 is the empty one. values: what a word under way scores at each beginning; the
    last is of what begins none. only: whether no other words may be.
    """

    table: np.ndarray
    values: np.ndarray
    only: bool


def _automaton(alphabet, words, value, *, of_none=0.0, only=False):
    """value: of an array of how much of a word each beginning is, 0 to 1."""
    beginnings, share = {"": 0}, [0.0]
    for word in sorted(words):
        if not word or SPACE in word:
            raise InputError(f"{word!r} is among the words; expected words without spaces.")
        for end in range(1, len(word) + 1):
            place = beginnings.setdefault(word[:end], len(share))
            if place == len(share):
                share.append(0.0)
            share[place] = max(share[place], end / len(word))
    table = np.full((len(share), len(alphabet.symbols)), -1)
    spoken = [(symbol, rest) for symbol, rest in enumerate(alphabet.rest) if symbol != alphabet.blank]
    for beginning, place in beginnings.items():
        for symbol, rest in spoken:
            if not alphabet.ends[symbol]:
                table[place, symbol] = beginnings.get(beginning + rest, -1)
            elif not only or share[place] == 1.0 or (not beginning and rest):
                table[place, symbol] = beginnings.get(rest, -1)
    return _Automaton(table, np.append(value(np.array(share)), of_none), only)
