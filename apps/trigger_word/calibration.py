"""Makes scores mean something: after calibration 0.5 is where the detector should fire.

A temperature makes held-out scores as sure as they are right (Guo et al. 2017, arXiv:1706.04599), then a shift puts the
threshold for the wanted rate of false accepts at 0.5. Both go into the last layer, so that every exported file has them, and
int8 scores resolve what matters.
"""

import keras
import numpy as np

from apps.trigger_word import evaluation
from tflite.runtime import FrontEnd, WordRule

GRID = np.arange(-6.0, 14.0, 0.1)
REARM = float(np.log(3.0))  # a score of 0.25 lies so far below one of 0.5


def calibrate(network, validation, streams, layer, score_s, rate):
    """Changes the weights of the layer 'score' in place; returns the temperature and the shift.

    validation: batches (frames, {'score': labels}, weights). streams: (word streams, other speech) by condition. layer: the
    front end. rate: wanted false accepts an hour.
    """
    head = network.get_layer("score")
    hidden = keras.Model(network.inputs[0], head.input)
    kernel, bias = (np.asarray(w, np.float64) for w in head.get_weights())
    temperature = _temperature(hidden, validation, kernel, bias)
    kernel, bias = kernel / temperature, bias / temperature

    def logits(stream):
        # the device's front end computes the same in blocks, so that hours fit into memory
        frames = FrontEnd(layer.manifest(), layer.options["sample_rate"]).push(stream.samples)
        return (np.asarray(hidden(frames[None], training=False))[0] @ kernel + bias).astype(np.float32)

    positive, negative = ({name: (stream, logits(stream)) for name, stream in part.items()} for part in streams)
    rules = [WordRule(str(word), 0.0) for word in range(kernel.shape[1])]
    points = [
        {**evaluation.count_at(_rules(rules, threshold), score_s, positive, negative), "threshold": threshold}
        for threshold in GRID
    ]
    best = evaluation.at_rate(points, rate)
    shift = best["threshold"] if best else float(GRID[-1])
    head.set_weights([kernel.astype(np.float32), (bias - shift).astype(np.float32)])
    return {"temperature": temperature, "shift": float(shift)}


def _rules(rules, threshold):
    return [WordRule(rule.word, threshold, rearm_below=threshold - REARM) for rule in rules]


def _temperature(hidden, validation, kernel, bias):
    """The divisor of the logits with the least cross-entropy on the validation scenes."""
    found = [(np.asarray(hidden(x, training=False)) @ kernel + bias, y["score"], w) for x, y, w in validation]
    logits, labels, weights = (np.concatenate([np.asarray(part, np.float64) for part in parts]) for parts in zip(*found))

    def loss(divisor):
        z = logits / divisor
        return np.sum(weights[..., None] * (np.logaddexp(0.0, z) - labels * z))

    return float(min(np.geomspace(0.5, 5.0, 47), key=loss))
