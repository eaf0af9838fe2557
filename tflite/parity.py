"""Proof that a file says what the model says, over a whole stream with its states carried."""

import numpy as np

from tflite.runtime.interpreter import StepModel
from tflite.streaming import initial_state


def record_steps(step, states, frames, output):
    """Runs the Keras one-step model over a stream, recording what each step was given.

    frames: (time, ...) array for the step's one input. output: the name of the output to collect.
    Returns (inputs, outputs): a list of dictionaries of arrays, frames and states together, and (scores, ...) float32.
    """
    name, size = _input(step, states)
    state, inputs, outputs = initial_state(states), [], []
    for start in range(0, len(frames) - size + 1, size):
        given = {name: frames[None, start : start + size], **state}
        result = step.predict_on_batch(given)
        inputs.append(given)
        outputs.append(np.asarray(result[output])[0])
        state = {s.input: np.asarray(result[s.output]) for s in states}
    return inputs, np.concatenate(outputs)


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
    carried = {state.input for state in states}
    (tensor,) = [t for t in step.inputs if t.name not in carried]
    return tensor.name, tensor.shape[1]
