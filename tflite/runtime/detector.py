"""The detector on the device: samples in, detections out."""

import dataclasses

import numpy as np

from .errors import InputError
from .firing import Firing, WordRule
from .interpreter import StepModel
from .manifest import read_manifest, read_model
from .output_stream import OutputStream
from .samples import as_float


@dataclasses.dataclass(frozen=True)
class Detection:
    """A word that was heard. time_s: seconds from the stream's start to the last sample that decided."""

    word: str
    time_s: float
    score: float


def _with_threshold(rule, threshold):
    """The rule with another threshold; a word is armed again below half of it at the most."""
    if threshold is None:
        return rule
    return dataclasses.replace(rule, threshold=threshold, rearm_below=min(rule.rearm_below, threshold / 2))


class Detector:
    """Hears words in a stream of samples.

    ```python
    detector = Detector("run/device")
    for chunk in microphone:                  # int16, or float in [-1, 1], at detector.sample_rate, any length
        for detection in detector.push(chunk):
            print(detection.word, detection.time_s, detection.score)
    ```

    folder: a device folder. precision: 'float' or 'int8', the file to run. thresholds: by word, in place of the
    manifest's. threads: of the interpreter. Raises InputError with one clear line for anything that does not fit.
    """

    def __init__(self, folder, precision="float", thresholds=None, threads=1):
        self.manifest = read_manifest(folder, "detector")
        self._model = StepModel(self.manifest, read_model(folder, self.manifest, precision), threads)
        rules = [WordRule(**word) for word in self.manifest["words"]]
        self.words = [rule.word for rule in rules]
        thresholds = thresholds or {}
        if not isinstance(thresholds, dict):
            raise InputError(f"`thresholds` are {thresholds!r}; expected a dictionary of numbers by word.")
        for word, threshold in thresholds.items():
            if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
                raise InputError(f"the threshold of {word!r} is {threshold!r}; expected a number from 0 to 1.")
        unknown = sorted(set(thresholds) - set(self.words))
        if unknown:
            raise InputError(f"`thresholds` names {unknown[0]!r}; this detector's words are {', '.join(self.words)}.")
        self.rules = [_with_threshold(rule, thresholds.get(rule.word)) for rule in rules]
        self.sample_rate = self.manifest["sample_rate"]
        frames_per_score = self.manifest["frames_per_step"] // self.manifest["scores_per_step"]
        self._samples_per_score = frames_per_score * self.manifest["front_end"]["shift"]
        self.score_s = self._samples_per_score / self.sample_rate
        self.reset()

    def reset(self):
        """Forgets everything heard; the next sample is at time 0 again."""
        self._scorer = OutputStream(self.manifest, self._model, "score")
        self._firing = Firing(self.rules, self.score_s)
        self._scored = 0

    def push(self, samples):
        """samples: (n,) int16, or float in [-1, 1], the next of the stream. Returns the detections they complete."""
        scores = self._scorer.push(as_float(samples))
        fired = self._firing.push(scores)
        detections = [Detection(self.words[word], self._time(self._scored + index), score) for index, word, score in fired]
        self._scored += len(scores)
        return detections

    def scores(self, samples):
        """Scores a whole stream from a fresh state; what was pushed before is left as it is.

        samples: as for `push`. Returns (times_s, scores): (times,) float64 and (times, words) float32, unsmoothed.
        """
        scores = OutputStream(self.manifest, self._model, "score").push(as_float(samples))
        return self.times(len(scores)), scores

    def times(self, count):
        """The times in seconds of the first `count` scores of a stream, (count,) float64."""
        return self._time(np.arange(count))

    def _time(self, index):
        return (index + 1) * self._samples_per_score / self.sample_rate
