"""What a batch is trained towards: its labels (CTC), its likeliest path (the notes' align and retrain), or one word for all of a clip's end."""

import keras
import numpy as np

from apps.data.epochs import padded
from apps.speech_recognition.features import outputs
from tflite.runtime.recognizer import log_softmax
from zoo.decoding.alignment import align
from zoo.losses.ctc import CTC

RARE = 1e-3  # the least that a symbol's share counts as
UNIFORM = 10  # the first of so many parts of the training has labels evenly spread, the notes' first alignment


def loss(config):
    """The loss of a configuration's criterion."""
    if config.criterion == "ctc":
        return CTC()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


class Targets(keras.callbacks.Callback):
    """targets(step, frames, labels) -> ({'logits': y},) or that and weights, of a batch; step None: to validate.

    A callback, since an alignment is what the model of the moment says.
    """

    def __init__(self, config):
        super().__init__()
        self._criterion, self._config = config.criterion, config
        self._uniform, self._apart = config.steps // UNIFORM, config.symbols == "words"

    def __call__(self, step, frames, labels):
        if self._criterion == "ctc":
            return ({"logits": labels},)
        lengths = outputs(frame_counts(frames), self._config)
        time = np.arange(outputs(frames.shape[1], self._config))
        real = time < lengths[:, None]
        if self._criterion == "classify":
            paths = np.repeat(np.maximum(labels[:, :1], 0), len(time), axis=1)
            # the divergence counts the more the later: at a clip's end all was heard
            return {"logits": paths}, {"logits": (real * ((time + 1) / lengths[:, None]) ** 2).astype(np.float32)}
        rows, counts = with_silence(labels, self._apart)
        fits = counts <= lengths
        if step is not None and step < self._uniform:
            places = np.minimum(time * counts[:, None] // lengths[:, None], counts[:, None] - 1)
            paths = np.take_along_axis(rows, places, axis=1)
        else:
            paths = np.zeros((len(rows), len(time)), np.int64)
            rates = log_softmax(self.model.predict_on_batch(frames)["logits"])
            rates = without_prior(rates, real)
            for i, found in zip(np.flatnonzero(fits), align(rates[fits], rows[fits], counts[fits], lengths[fits], blank=None)):
                paths[i, : len(found.path)] = rows[i, found.path]
        return {"logits": paths}, {"logits": (real & fits[:, None]).astype(np.float32)}


def without_prior(rates, real):
    """Log probabilities of symbols, less how likely each is at any of the real frames: else what is frequent, silence, gets every frame in doubt,
    and more of them each time (Bourlard & Morgan 1994: scaled likelihoods). rates: (batch, time, symbols). real: (batch, time) bool."""
    return rates - np.log(np.exp(rates[real]).mean(axis=0) + RARE)


def with_silence(labels, apart):
    """(rows, their lengths) of labels, padded with -1, with the blank as silence before, after, and between two that are the same. apart:
    between any two, as words have it."""
    rows = []
    for row in labels:
        said = row[row >= 0]
        whole = [0]
        for before, label in zip([-1, *said], said):
            whole += [0, label] if label == before or (apart and before >= 0) else [label]
        rows.append([*whole, 0])
    return padded(rows), np.array([len(row) for row in rows])


def frame_counts(frames):
    """Frames of each clip before its padding."""
    there = (frames != 0).any(axis=2)
    return frames.shape[1] - np.argmax(there[:, ::-1], axis=1)
