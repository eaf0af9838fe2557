"""When a detector fires: one rule for the live stream, the evaluation and the choice of a threshold."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class WordRule:
    """How one word fires. All scores are in [0, 1]; times are in seconds.

    threshold: the smoothed score must reach it. smoothing: how many scores are averaged.
    refractory_s: nothing fires for so long after this word fired.
    rearm_below, rearm_s: this word fires again only after its score stayed below for so long.
    """

    word: str
    threshold: float
    smoothing: int = 1
    refractory_s: float = 1.0
    rearm_below: float = 0.25
    rearm_s: float = 0.2


class Firing:
    """Turns a stream of scores into firings; any chunking gives the same ones.

    rules: a WordRule for each column of the scores. score_s: the time from one score to the next, seconds.
    """

    def __init__(self, rules, score_s):
        self.rules, self.score_s = tuple(rules), score_s
        self._refractory = [int(round(rule.refractory_s / score_s)) for rule in self.rules]
        self._rearm = [max(1, int(round(rule.rearm_s / score_s))) for rule in self.rules]
        self._thresholds = np.array([rule.threshold for rule in self.rules])
        self.reset()

    def reset(self):
        """Forgets everything: every word is armed."""
        words = len(self.rules)
        self._history = [np.zeros(rule.smoothing - 1, np.float32) for rule in self.rules]
        self._below = [0] * words  # how many scores in a row were below rearm_below
        self._armed = [True] * words
        self._quiet = 0  # how many scores must pass before anything may fire

    def push(self, scores):
        """scores: (times, words) float32. Returns a list of (index into scores, word index, smoothed score)."""
        if not len(scores):
            return []
        smoothed = np.stack([self._smooth(w, scores[:, w]) for w in range(len(self.rules))], axis=1)
        rearmed = [self._rearm_times(w, smoothed[:, w]) for w in range(len(self.rules))]
        if not (smoothed >= self._thresholds).any():  # as nearly always
            self._armed = [armed or bool(len(times)) for armed, times in zip(self._armed, rearmed)]
            self._quiet = max(0, self._quiet - len(scores))
            return []
        candidates = [np.flatnonzero(smoothed[:, w] >= rule.threshold) for w, rule in enumerate(self.rules)]
        # -1: armed since before this chunk; None: must wait for a re-arming in it
        armed_at = [-1 if armed else None for armed in self._armed]
        fired, earliest, last = [], self._quiet, [-1] * len(self.rules)
        while True:
            first = self._next(candidates, rearmed, armed_at, last, earliest)
            if first is None:
                break
            index = min(first.values())
            tied = [w for w, i in first.items() if i == index]
            word = max(tied, key=lambda w: smoothed[index, w] - self.rules[w].threshold)
            fired.append((int(index), word, float(smoothed[index, word])))
            armed_at[word], last[word] = None, index
            earliest = index + self._refractory[word] + 1
        for w in range(len(self.rules)):
            again = rearmed[w][rearmed[w] > last[w]]
            self._armed[w] = armed_at[w] is not None or bool(len(again))
        self._quiet = max(0, earliest - len(scores))
        return fired

    def _smooth(self, word, scores):
        size = self.rules[word].smoothing
        if size == 1:
            return scores
        padded = np.concatenate([self._history[word], scores]).astype(np.float32)
        self._history[word] = padded[len(scores) :]
        return np.lib.stride_tricks.sliding_window_view(padded, size).mean(axis=1)

    def _rearm_times(self, word, scores):
        """The indices at which the score has been below `rearm_below` for long enough."""
        below = scores < self.rules[word].rearm_below
        index = np.arange(len(scores))
        if below.all():
            before = self._below[word]
            self._below[word] += len(scores)
            return index[max(0, self._rearm[word] - 1 - before) :]
        last_above = np.maximum.accumulate(np.where(below, -1, index))
        run = np.where(last_above < 0, index + 1 + self._below[word], index - last_above)
        self._below[word] = int(run[-1]) if below[-1] else 0
        return index[below & (run >= self._rearm[word])]

    def _next(self, candidates, rearmed, armed_at, last, earliest):
        """Per word, the first index at or after `earliest` at which it may fire; None when no word may."""
        first = {}
        for w, indices in enumerate(candidates):
            start = earliest
            if armed_at[w] is None:
                position = np.searchsorted(rearmed[w], last[w] + 1)
                if position == len(rearmed[w]):
                    continue
                start = max(start, rearmed[w][position])
            position = np.searchsorted(indices, start)
            if position < len(indices):
                first[w] = int(indices[position])
        return first or None
