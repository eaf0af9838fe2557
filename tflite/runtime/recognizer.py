"""The speech recogniser on the device: samples in, text with times out, while it is said."""

import dataclasses

import numpy as np

from .ctc import SPACE, GreedySearch, LastFrames, PrefixBeamSearch
from .errors import InputError
from .interpreter import StepModel
from .manifest import read_manifest, read_model
from .output_stream import OutputStream
from .samples import as_float
from .text import SPACE as STARTS

BOUNDARIES = {"space": SPACE, "prefix": STARTS, "symbol": None}  # the manifest's `word_boundary`
SILENT = 0.5  # the blank is likelier than this while nothing is said


class Utterances:
    """Log probabilities to utterances: one ends where only blanks came for `endpoint_s`.

    manifest: its symbols, word_boundary, decoding and endpoint_s. frame_s: seconds from one frame to the next. search: takes the symbols and
    PrefixBeamSearch's options, in place of the manifest's method.
    """

    def __init__(self, manifest, frame_s, method=None, **options):
        decoding = manifest["decoding"]
        method = method or decoding["method"]
        options = {"boundary": BOUNDARIES[manifest["word_boundary"]], "frame_s": frame_s, **options}
        if method == "beam":
            options = {"width": decoding["width"], **options}
        elif set(options) - {"boundary", "frame_s"}:
            given = sorted(set(options) - {"boundary", "frame_s"})[0]
            raise InputError(f"`{given}` is given with the method {method!r}; expected it with 'beam' only.")
        self._search = {"beam": PrefixBeamSearch, "greedy": GreedySearch, "last": LastFrames}[method](
            manifest["symbols"], **options
        )
        self._frame_s = frame_s
        # what was taught clip by clip ends with the clip
        self._quiet_frames = np.inf if method == "last" else max(1, round(manifest["endpoint_s"] / frame_s))
        self.reset()

    def reset(self):
        """Forgets everything heard."""
        self._search.reset()
        self._frames = self._first = self._quiet = 0
        self._said = False

    def push(self, log_probabilities):
        """(frames, symbols). Returns the utterances that they end: [Hypothesis], with the stream's times."""
        ended, start = [], 0
        for index, frame in enumerate(log_probabilities):
            if frame[0] > np.log(SILENT):
                self._quiet += 1
            else:
                self._quiet, self._said = 0, True
            if self._said and self._quiet >= self._quiet_frames:
                self._take(log_probabilities[start : index + 1])
                start = index + 1
                ended += self._end()
        self._take(log_probabilities[start:])
        return ended

    def partial(self):
        """What the utterance under way says so far: a Hypothesis."""
        return self._timed(self._search.best(final=False)[0])

    def finish(self):
        """The utterances that end with the stream: [Hypothesis]; then begins anew."""
        ended = self._end()
        self.reset()
        return ended

    def _take(self, log_probabilities):
        self._search.push(log_probabilities)
        self._frames += len(log_probabilities)

    def _end(self):
        found = self._timed(self._search.best()[0])
        self._search.reset()
        self._first, self._quiet, self._said = self._frames, 0, False
        return [found] if found.labels else []

    def _timed(self, found):
        late = self._first * self._frame_s

        def moved(spans):
            return tuple(dataclasses.replace(span, start_s=span.start_s + late, end_s=span.end_s + late) for span in spans)

        return dataclasses.replace(found, tokens=moved(found.tokens), words=moved(found.words))


class Recognizer:
    """Writes down what is said in a stream of samples.

    ```python
    recognizer = Recognizer("run/device")
    for chunk in microphone:                       # int16, or float in [-1, 1], at recognizer.sample_rate, any length
        for utterance in recognizer.push(chunk):   # what ended with a pause
            print(utterance.text, utterance.words)
        print(recognizer.partial().text)           # so far
    print(recognizer.finish())                     # what the stream's end cut off
    ```

    folder: a device folder. precision: 'float' or 'int8', the file to run. method: 'greedy' or 'beam', in place of the manifest's. options:
    those of `tflite.runtime.ctc.PrefixBeamSearch` (width, language_model, weight, hot_words, lexicon, ...). Raises InputError with one clear
    line for anything that does not fit.
    """

    def __init__(self, folder, precision="float", method=None, threads=1, **options):
        self.manifest = read_manifest(folder, "recognizer")
        self._model = StepModel(self.manifest, read_model(folder, self.manifest, precision), threads)
        self.sample_rate = self.manifest["sample_rate"]
        frames, outputs = self.manifest["frames_per_step"], self.manifest["outputs"]["logits"]["shape"][1]
        self.frame_s = frames // outputs * self.manifest["front_end"]["shift"] / self.sample_rate
        self._tail = np.zeros(round(self.manifest["tail_s"] * self.sample_rate), np.float32)
        self._utterances = Utterances(self.manifest, self.frame_s, method, **options)
        self.reset()

    def reset(self):
        """Forgets everything heard; the next sample is at time 0 again."""
        self._utterances.reset()
        self._logits = self._begin()

    def _begin(self):
        return OutputStream(self.manifest, self._model, "logits")

    def push(self, samples):
        """samples: (n,) int16, or float in [-1, 1], the next of the stream. Returns the utterances they end: [Hypothesis]."""
        return self._utterances.push(log_softmax(self._logits.push(as_float(samples))))

    def partial(self):
        """What the utterance under way says so far: a Hypothesis."""
        return self._utterances.partial()

    def finish(self):
        """The utterances that end with the stream: [Hypothesis]; the next sample is at time 0 of another."""
        ended = self._utterances.push(log_softmax(self._logits.push(self._tail))) + self._utterances.finish()
        self.reset()
        return ended

    def log_probabilities(self, samples):
        """(frames, symbols) float64 of a whole stream from a fresh state, after which nothing was heard; what was pushed before is left as it is."""
        return log_softmax(self._begin().push(np.concatenate([as_float(samples), self._tail])))


def log_softmax(logits):
    """The natural logarithms of probabilities, float64. logits: (..., symbols)."""
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
