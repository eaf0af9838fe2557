"""Detection scored in events on continuous audio, through the exported file and the shipped Detector."""

import dataclasses

import numpy as np
from tqdm import tqdm

from apps.data.audio import active_speech_level, speech_span
from apps.data.sound import RATE
from apps.intervals import poisson, wilson
from tflite.runtime import Firing
from tflite.runtime.randomness import Stream

LATE_S = 1.0
RATES = (0.5, 1.0, 2.0, 5.0)  # false accepts an hour at which misses are read off
LEVEL_DB = -26.0  # active speech level of every clip in a stream, dBov
CONDITIONS = (("clean", None), ("10 dB", 10.0), ("5 dB", 5.0))
THRESHOLDS = tuple(float(x) for x in np.round(1 / (1 + np.exp(-np.linspace(-4.6, 6.9, 140))), 5))


@dataclasses.dataclass(frozen=True)
class SoundStream:
    """Continuous audio. samples: (n,) float32. words: (word index, start, end) of each utterance, seconds. clips: (start, end) of each clip."""

    samples: np.ndarray
    words: tuple = ()
    clips: tuple = ()

    @property
    def hours(self):
        return len(self.samples) / RATE / 3600


def word_stream(clips, seed, gap_s=(1.2, 2.8), pause_s=0.25):
    """A stream of words about 2 s apart. clips: (word index, int16 samples) each, in the order they are said."""
    draw, pieces, words, position = Stream(seed, 0), [], [], 0
    for word, clip in clips:
        gap = np.zeros(int(draw.uniform(*gap_s) * RATE), np.float32)
        samples = at_level(clip)
        start, end = speech_span(samples, pause_s=pause_s)
        position += len(gap)
        words.append((word, (position + start) / RATE, (position + end) / RATE))
        pieces += [gap, samples]
        position += len(samples)
    pieces.append(np.zeros(int(2.0 * RATE), np.float32))
    return SoundStream(_floor(np.concatenate(pieces), seed), tuple(words))


def speech_stream(clips, seed, gap_s=(0.1, 0.6)):
    """A stream of other speech, one clip after another. clips: int16 arrays."""
    draw, pieces, spans, position = Stream(seed, 0), [], [], 0
    for clip in clips:
        gap = np.zeros(int(draw.uniform(*gap_s) * RATE), np.float32)
        pieces += [at_level(clip), gap]
        spans.append((position / RATE, (position + len(clip)) / RATE))
        position += len(clip) + len(gap)
    return SoundStream(_floor(np.concatenate(pieces), seed), clips=tuple(spans))


def at_level(clip):
    """int16 samples as float32 at the active speech level LEVEL_DB."""
    samples = clip.astype(np.float32) / 32768
    level, _ = active_speech_level(samples)
    return samples * np.float32(10 ** ((LEVEL_DB - max(level, -70.0)) / 20))


def _floor(samples, seed):
    """No room is digitally silent: white noise at -70 dBov."""
    block = Stream(seed, 1).normal(10 * RATE) * np.float32(10 ** (-70 / 20))
    return samples + np.resize(block, len(samples))


def in_noise(stream, noises, snr_db, seed, turn_s=20.0):
    """The stream with noises, another every `turn_s`, at a ratio to the active speech level. noises: float32 arrays."""
    draw, samples = Stream(seed, 2), stream.samples.copy()
    for start in range(0, len(samples), int(turn_s * RATE)):
        noise = draw.choice(noises)
        piece = np.resize(np.roll(noise, draw.integer(len(noise))), min(int(turn_s * RATE), len(samples) - start))
        scale = 10 ** ((LEVEL_DB - snr_db) / 20) / (np.sqrt(np.mean(noise.astype(np.float64) ** 2)) + 1e-9)
        samples[start : start + len(piece)] += piece * np.float32(scale)
    return dataclasses.replace(stream, samples=samples)


def conditions(stream, noises, seed):
    """The stream clean and in noise, a dictionary by the name of the condition."""
    return {name: stream if snr is None else in_noise(stream, noises, snr, seed + i) for i, (name, snr) in enumerate(CONDITIONS)}


def count_events(fired, words, late_s=LATE_S):
    """Counts hits and false accepts of one stream.

    fired: (word index, time in seconds) each. words: (word index, start, end) of each utterance, seconds.
    A hit is the first firing of a word between an utterance's start and its end + late_s; every other firing is a false accept.
    Returns (hits, a set of indices into words; false accepts, a list of times).
    """
    hits, false_accepts = set(), []
    starts = np.array([start for _, start, _ in words])
    for word, time in sorted(fired, key=lambda f: f[1]):
        # utterances are in order of time; look back over those that may still be heard
        index = int(np.searchsorted(starts, time, side="right")) - 1
        match = None
        while index >= 0 and words[index][2] + late_s >= time - 60:
            if words[index][0] == word and index not in hits and words[index][2] + late_s >= time:
                match = index
            index -= 1
        if match is None:
            false_accepts.append(time)
        else:
            hits.add(match)
    return hits, false_accepts


def fire(rules, scores, score_s):
    """The shipped firing rule over a whole stream's scores: (word index, time in seconds) each."""
    return [(word, (index + 1) * score_s) for index, word, _ in Firing(rules, score_s).push(scores)]


def at_threshold(rules, threshold):
    """The rules with another threshold; a word is armed again below half of it."""
    return [dataclasses.replace(rule, threshold=threshold, rearm_below=threshold / 2) for rule in rules]


def score_streams(detector, streams, label):
    """Scores named streams through the shipped detector: by name, (stream, scores)."""
    return {name: (stream, detector.scores(stream.samples)[1]) for name, stream in tqdm(streams.items(), desc=label, leave=False)}


def sweep(rules, score_s, positive, negative):
    """Misses and false accepts at every threshold of THRESHOLDS.

    positive, negative: by condition, (stream, scores). Returns a list of dictionaries: threshold, false_accepts and hours
    pooled over the negative streams, misses and words by condition, others (firings elsewhere in the word streams).
    """
    points = []
    hours = sum(stream.hours for stream, _ in negative.values())
    for threshold in THRESHOLDS:
        points.append(
            {**count_at(at_threshold(rules, threshold), score_s, positive, negative), "threshold": threshold, "hours": hours}
        )
    return points


def count_at(rules, score_s, positive, negative):
    """Misses by condition and false accepts, pooled and by condition, with given rules."""
    misses, words, others = {}, {}, 0
    for name, (stream, scores) in positive.items():
        hits, elsewhere = count_events(fire(rules, scores, score_s), stream.words)
        misses[name], words[name] = len(stream.words) - len(hits), len(stream.words)
        others += len(elsewhere)
    accepts = {name: len(fire(rules, scores, score_s)) for name, (_, scores) in negative.items()}
    return {
        "misses": misses,
        "words": words,
        "others": others,
        "false_accepts": sum(accepts.values()),
        "false_accepts_by_condition": accepts,
        "hours": sum(stream.hours for stream, _ in negative.values()),
    }


def of_word(part, word):
    """One word's share of scored streams, as a detector of it alone would know them: by condition, (stream, scores (times, 1))."""
    return {
        name: (
            dataclasses.replace(stream, words=tuple((0, start, end) for w, start, end in stream.words if w == word)),
            scores[:, [word]],
        )
        for name, (stream, scores) in part.items()
    }


def at_rate(points, rate, spare=0):
    """The point of a curve with the lowest threshold from which on no more than `rate` false accepts an hour happen, less `spare` of them."""
    good = None
    for point in sorted(points, key=lambda p: -p["threshold"]):
        if point["false_accepts"] > max(0.0, rate * point["hours"] - spare):
            break
        good = point
    return good


def to_ship(points, rate):
    """The point of a validation curve whose threshold keeps to the rate in speech that did not choose it; None where none does.

    Above a threshold that lies just over the (n + 1)th highest score of validation, n + 1 come in as much other speech, not n. So one more than
    was counted must fit into the rate, in each hearing of the same speech. Where there is too little speech for that, none may be counted.
    """
    return at_rate(points, rate, spare=len(points[0]["false_accepts_by_condition"]))


def choose_threshold(points, rate):
    """The threshold to ship, of a validation curve; the highest where none keeps to the rate."""
    point = to_ship(points, rate)
    return point["threshold"] if point else max(THRESHOLDS)


def summarise(point):
    """A point with its rates and their intervals, ready for metrics.json.

    The same speech is heard under each condition; the interval of the false accepts is as wide as if those hearings told no more
    than one of them (a mean count in the distinct hours).
    """
    hearings = len(point["false_accepts_by_condition"])
    low, high = poisson(point["false_accepts"] / hearings, point["hours"] / hearings)
    rates = {}
    for name, misses in point["misses"].items():
        words = point["words"][name]
        rates[name] = {"misses": misses, "words": words, "rate": misses / max(words, 1), "interval": wilson(misses, words)}
    return {
        "threshold": point.get("threshold"),
        "missed": rates,
        "other_firings_in_word_streams": point["others"],
        "false_accepts": {
            "count": point["false_accepts"],
            "hours": point["hours"],
            "distinct_hours": point["hours"] / hearings,
            "per_hour": point["false_accepts"] / point["hours"],
            "interval": [low, high],
            "by_condition": point["false_accepts_by_condition"],
        },
    }
