"""Makes scores mean something: after calibration 0.5 is where the detector should fire.

A temperature makes held-out scores as sure as they are right (Guo et al. 2017, arXiv:1706.04599), then a shift puts the
threshold for the wanted rate of false accepts at 0.5. Both go into the last layer, so that every exported file has them, and
int8 scores resolve what matters.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from apps.trigger_word import evaluation
from apps.trigger_word.features import in_pieces
from tflite.runtime import WordRule

GRID = np.arange(-6.0, 14.0, 0.1)
REARM = float(np.log(3.0))  # a score of 0.25 lies so far below one of 0.5
HISTORY_S = 12.0  # of a piece of a stream: more than a convolutional detector sees, and than a recurrent one remembers
SIDE_BY_SIDE = 32  # since a recurrent layer takes every step in turn


def calibrate(network, validation, held_out, score_s, rate):
    """Changes the weights of the layer 'score' in place; returns the temperatures and the shifts, one a word.

    validation: batches (features, {'score': labels}). held_out: (words, other speech) by condition, (stream, features) each.
    rate: wanted false accepts an hour, of all words together.
    """
    hidden, kernel, bias = _parts(network)
    temperatures = _temperatures(hidden, validation, kernel, bias)
    kernel, bias = kernel / temperatures, bias / temperatures
    shifts = np.zeros_like(bias)
    rate /= len(bias)
    for word, points in enumerate(curves(hidden, kernel, bias, held_out, score_s, rate)):
        best = evaluation.to_ship(points, rate)
        shifts[word] = best["threshold"] if best else GRID[-1]
    network.get_layer("score").set_weights([kernel.astype(np.float32), (bias - shifts).astype(np.float32)])
    return {"temperatures": temperatures.tolist(), "shifts": shifts.tolist()}


def missed(network, held_out, score_s, rate):
    """The mean share of words missed over words, conditions and rates about the wanted one: what weights are chosen by."""
    hidden, kernel, bias = _parts(network)
    rates, found = [factor * rate / len(bias) for factor in (0.5, 1.0, 2.0, 4.0)], []
    for points in curves(hidden, kernel, bias, held_out, score_s, rates[-1]):
        for wanted in rates:
            best = evaluation.at_rate(points, wanted)
            found += [misses / max(best["words"][name], 1) for name, misses in best["misses"].items()] if best else [1.0]
    return float(np.mean(found))


def _parts(network):
    """(the model up to the layer 'score', that layer's kernel, its bias)."""
    head = network.get_layer("score")
    return keras.Model(network.inputs[0], head.input), *(np.asarray(w, np.float64) for w in head.get_weights())


@functools.lru_cache(1)  # temperatures and curves are of the same model
def _graph(hidden):
    return tf.function(lambda frames: hidden(frames, training=False), reduce_retracing=True)


def curves(hidden, kernel, bias, held_out, score_s, rate):
    """Each word's misses and false accepts at the thresholds of GRID, from the highest to the first with more than `rate` false accepts an hour."""
    run = _graph(hidden)
    frames = 840  # a multiple of any stride
    stride = frames // hidden.compute_output_shape((1, frames, hidden.input.shape[-1]))[1]

    def logits_of(features):
        return (in_pieces(run, features, stride, score_s, HISTORY_S, SIDE_BY_SIDE) @ kernel + bias).astype(np.float32)

    logits = [{name: (stream, logits_of(features)) for name, (stream, features) in part.items()} for part in held_out]
    for word in range(len(bias)):
        alone = [evaluation.of_word(part, word) for part in logits]
        points = []
        for threshold in GRID[::-1]:
            rules = [WordRule("word", threshold, rearm_below=threshold - REARM)]
            points.append({**evaluation.count_at(rules, score_s, *alone), "threshold": float(threshold)})
            if points[-1]["false_accepts"] > rate * points[-1]["hours"]:
                break
        yield points


def _temperatures(hidden, validation, kernel, bias):
    """The divisors of each word's logits with the least cross-entropy on the validation scenes."""
    run = _graph(hidden)
    found = [(np.asarray(run(x)) @ kernel + bias, np.asarray(y["score"])) for x, y in validation]
    logits, labels = (np.concatenate([np.asarray(part, np.float64) for part in parts]) for parts in zip(*found))

    def loss(divisor, word):
        z, y = logits[..., word] / divisor, labels[..., word]
        return np.sum((y >= 0) * (np.logaddexp(0.0, z) - np.maximum(y, 0) * z))

    return np.array([min(np.geomspace(0.5, 5.0, 47), key=lambda d, w=word: loss(d, w)) for word in range(len(bias))])
