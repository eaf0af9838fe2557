"""Training scenes, made on the fly: speech, words and noise placed without overlap, every frame labelled.

The notes' recipe (backgrounds, positives and negatives in a longer clip; ones after the end of each positive) with what
a real room adds: level, reverberation, noise at a signal-to-noise ratio, bandwidth and codec. Scene i of a seed is the same
on every machine, so a training can go on from any step.
"""

import dataclasses

import numpy as np

from apps.data.audio import active_speech_level, speech_span
from apps.data.sound import RATE, clip_peaks, disturb, levelled, respeak
from tflite.runtime.randomness import Stream

HOLD_S = 0.3  # how long after a word's end the label is 1
LEVELS_DB = (-50.0, -14.0)  # active speech level of a scene, dBov
UNDISTURBED_DB = -26.0
PAD_S = 0.1  # kept around a word: a soft last sound is part of it
PAUSE = 0.7  # how often a pause stands before a word: who calls a device does not say it in mid-sentence
PAUSE_S = (0.15, 0.5)
LACKS_S = 0.2  # of a word that a part of it lacks at least: most of a short word is that word
SPEECH_S = (1.0, 6.0)  # of other speech in one go
DOUBT_S = 0.12  # before the word's end and after the hold, frames that count neither way


@dataclasses.dataclass(frozen=True)
class Ingredients:
    """What scenes are made of.

    words: for each word, a list of int16 recordings. negatives: int16 arrays of speech without the words.
    noises: float32 arrays of peak 1. rooms: impulse responses, float32. near: int16 recordings of what sounds like the words.
    pause_s: the longest pause within a word.
    """

    words: list
    negatives: list
    noises: list
    rooms: list
    near: list = ()
    pause_s: float = 0.25


class Scenes:
    """scene(index) -> (samples (n,) float32, labels (scores, words) float32: 1, 0, or -1 where a score counts neither way).

    seconds: length of a scene, cut to whole scores. score_s: time from one score to the next. positive_share: how often a word is placed
    rather than other speech, part_share: how often a part of one, near_share: what sounds like one. clean: the share of scenes without reverberation, noise or codec.
    """

    def __init__(self, ingredients, seed, seconds, score_s, positive_share=0.35, part_share=0.1, near_share=0.0, clean=0.15):
        self.ingredients, self.seed, self.score_s = ingredients, seed, score_s
        stride = round(score_s * RATE)
        self.scores = max(1, int(seconds * RATE) // stride)
        self.length = self.scores * stride
        self.positive_share, self.part_share, self.clean = positive_share, part_share, clean
        self.near_share = near_share if ingredients.near else 0.0
        self._near = [levelled(clip) for clip in ingredients.near]
        self._words = [[levelled(self._cut(clip)) for clip in clips] for clips in ingredients.words]
        self._negatives = ingredients.negatives
        ends = np.cumsum([len(clip) for clip in ingredients.negatives])
        self._ends, self._total = ends, int(ends[-1])
        self._gains = {}

    def scene(self, index):
        draw = Stream(self.seed, index)
        speech, spans = self._place(draw)
        if not draw.chance(self.clean):
            speech = disturb(draw, speech, self.ingredients.rooms, self.ingredients.noises)
        # speech was put at 0 dB
        samples = speech * np.float32(10 ** (draw.uniform(*LEVELS_DB) / 20))
        if draw.chance(0.05):
            samples = clip_peaks(draw, samples)
        return np.clip(samples, -1.0, 1.0).astype(np.float32), self._label(spans)

    def undisturbed(self, index):
        """The samples of a scene before room, noise and codec, at a middle level."""
        speech, _ = self._place(Stream(self.seed, index))
        return np.clip(speech * np.float32(10 ** (UNDISTURBED_DB / 20)), -1.0, 1.0)

    def _cut(self, clip):
        start, end = speech_span(clip.astype(np.float32) / 32768, pause_s=self.ingredients.pause_s)
        pad = int(PAD_S * RATE)
        return clip[max(0, start - pad) : end + pad]

    def _place(self, draw):
        speech, spans = np.zeros(self.length, np.float32), []
        position = int(draw.uniform(0.0, 1.0) * RATE)
        while position < self.length:
            kind = draw.uniform()
            word = draw.integer(len(self._words))
            if kind < self.positive_share:
                item, is_word = draw.choice(self._words[word]), True
            elif kind < self.positive_share + self.part_share:
                item, is_word = self._part(draw, draw.choice(self._words[word])), False
                if not len(item):
                    item = self._other_speech(draw)
            elif kind < self.positive_share + self.part_share + self.near_share:
                item, is_word = draw.choice(self._near), False
            else:
                item, is_word = self._other_speech(draw), False
            item = respeak(draw, item)
            if is_word and draw.chance(PAUSE):
                position += int(draw.uniform(*PAUSE_S) * RATE)
            if is_word and position + len(item) <= self.length:
                spans.append((word, (position + len(item)) / RATE))
            piece = item[: max(0, self.length - position)]
            speech[position : position + len(piece)] = piece
            gap = draw.uniform(0.0, 0.12) if draw.chance(0.4) else draw.uniform(0.12, 1.0)
            position += len(piece) + max(1, int(gap * RATE))
        return speech, spans

    @staticmethod
    def _part(draw, word):
        """The beginning or the end of a word: near, but not it. Nothing of a word that is too short to have such parts."""
        share, pad, lacks = draw.uniform(0.3, 0.65), int(PAD_S * RATE), int(LACKS_S * RATE)
        count = pad + min(int(share * (len(word) - 2 * pad)), len(word) - 2 * pad - lacks)
        if count < 2 * pad:
            return word[:0]
        return word[:count] if draw.chance(0.6) else word[len(word) - count :]

    def _other_speech(self, draw):
        at = draw.integer(self._total)
        index = int(np.searchsorted(self._ends, at, side="right"))
        clip = self._negatives[index]
        length = int(draw.uniform(*SPEECH_S) * RATE)
        start = max(0, min(int(at - self._ends[index]) + len(clip), len(clip) - length))
        samples = clip[start : start + length].astype(np.float32) / 32768
        if index not in self._gains:
            level, _ = active_speech_level(clip[: 10 * RATE].astype(np.float32) / 32768)
            self._gains[index] = np.float32(10 ** (-max(level, -60.0) / 20))
        return samples * self._gains[index]

    def _label(self, spans):
        times = (np.arange(self.scores) + 1) * self.score_s
        labels = np.zeros((self.scores, len(self._words)), np.float32)
        for _, end in spans:
            doubt = (times >= end - DOUBT_S) & (times < end + HOLD_S + DOUBT_S)
            labels[doubt & ~((times >= end) & (times < end + HOLD_S))] = -1
        for word, end in spans:
            labels[(times >= end) & (times < end + HOLD_S), word] = 1
        return labels
