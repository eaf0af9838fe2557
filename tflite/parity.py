"""Proof that a file says what the model says, over a whole stream with its states carried."""

import numpy as np
import tensorflow as tf

from tflite.runtime.interpreter import StepModel
from tflite.streaming import initial_state


def record_steps(step, states, streams, output):
    """Runs the Keras one-step model over streams, recording what each step was given.

    streams: (time, ...) arrays for the step's one input. output: the name of the output to collect.
    Returns (inputs, outputs) of each: a list of dictionaries of arrays, frames and states together, and (scores, ...) float32.
    """
    tensor, first = _input(step, states), initial_state(states)
    name, size = tensor.name, tensor.shape[1]

    # the loop is inside the graph: step by step, ten thousand tokens would take a minute
    @tf.function(input_signature=[tf.TensorSpec((None, *tensor.shape), tensor.dtype)])
    def run(pieces):
        def one(before, piece):
            result = step({name: piece, **before[1]}, training=False)
            return result[output], {state.input: result[state.output] for state in states}

        nothing = tf.zeros(step.output[output].shape, step.output[output].dtype)
        return tf.scan(one, pieces, (nothing, first))

    recorded = []
    for stream in streams:
        count = len(stream) // size
        pieces = np.asarray(stream[: count * size], tensor.dtype).reshape(count, 1, size, *stream.shape[1:])
        scores, after = run(pieces)
        before = {key: np.concatenate([first[key][None], after[key].numpy()[:-1]]) for key in first}
        inputs = [{name: piece, **{key: rows[index] for key, rows in before.items()}} for index, piece in enumerate(pieces)]
        recorded.append((inputs, scores.numpy().reshape(-1, *scores.shape[3:])))
    return recorded


def run_whole(model, streams, output):
    """Runs a Keras model of one input over whole streams, (time, ...) arrays. Returns a list of (scores, ...) float32.

    One graph for streams of all lengths: operation by operation, a recurrent layer would take minutes for ten thousand tokens.
    """
    (tensor,) = model.inputs
    run = tf.function(
        lambda x: model(x, training=False)[output], input_signature=[tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype)]
    )
    return [run(np.asarray(stream[None], tensor.dtype)).numpy()[0] for stream in streams]


def run_file(model, frames, name, size, output):
    """Runs a tflite.runtime StepModel over a stream: frames (time, ...), `size` a step. Returns (scores, ...) float32."""
    state, outputs = model.initial_state(), []
    for start in range(0, len(frames) - size + 1, size):
        result, state = model.step({name: frames[None, start : start + size]}, state)
        outputs.append(result[output][0])
    return np.concatenate(outputs)


def compare_files(manifest, files, streams, output, expected):
    """How far converted files are from what they should say, over whole streams.

    manifest: of the device folder, for one input. files: (label, bytes, tolerance) each. streams: (time, ...) arrays. expected: the
    streams' outputs, one after another. Returns the figures of `compare` by label.
    """
    ((name, tensor),) = manifest["inputs"].items()
    figures = {}
    for label, content, tolerance in files:
        model = StepModel(manifest, content)
        found = np.concatenate([run_file(model, stream, name, tensor["shape"][1], output) for stream in streams])
        figures[label] = compare(found, expected, tolerance)
    return figures


def compare(found, expected, tolerance):
    """How far two arrays are apart; anything that is not finite is as far as can be.

    Returns a dictionary: largest, mean, and within, the share of elements that differ by no more than `tolerance`.
    """
    if found.shape != expected.shape:
        raise ValueError(f"`found` has the shape {found.shape}; expected {expected.shape}.")
    difference = np.abs(np.asarray(found, np.float64) - expected)
    difference = np.where(np.isfinite(difference), difference, np.inf)
    return {
        "largest": float(difference.max()),
        "mean": float(difference.mean()),
        "tolerance": tolerance,
        "within": float((difference <= tolerance).mean()),
    }


def _input(step, states):
    """The one input of a step model that is no state."""
    carried = {state.input for state in states}
    (tensor,) = [t for t in step.inputs if t.name not in carried]
    return tensor
