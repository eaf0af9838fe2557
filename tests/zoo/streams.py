"""What it means to stream: frame by frame gives what the whole gives, in any chunking."""

import functools

import numpy as np
import tensorflow as tf

from tflite.streaming import initial_state, to_step_model


@functools.cache
def compiled_step(model, size):
    """(a step of the model as a graph, its states): made once, since a property is tested on many streams."""
    step, states = to_step_model(model, size)
    return tf.function(lambda inputs: step(inputs, training=False)), states


def streamed(model, x, sizes, rng):
    """The model's output on (1, time, ...) inputs, run in steps of random sizes with the states carried over."""
    steps = {size: compiled_step(model, size) for size in sizes}
    (name,) = [tensor.name for tensor in model.inputs]
    _, states = steps[sizes[0]]
    state, outputs, position = initial_state(states), [], 0
    while position + min(sizes) <= x.shape[1]:
        size = int(rng.choice([size for size in sizes if position + size <= x.shape[1]]))
        result = steps[size][0]({name: x[:, position : position + size], **state})
        (key,) = model.output.keys()
        outputs.append(np.asarray(result[key]))
        state = {s.input: np.asarray(result[s.output]) for s in states}
        position += size
    return np.concatenate(outputs, axis=1)


def assert_streams_as_a_whole(model, x, sizes, seed=0, tolerance=1e-5):
    found = streamed(model, x, sizes, np.random.default_rng(seed))
    (whole,) = model(x, training=False).values()
    whole = np.asarray(whole)
    scale = np.maximum(1.0, np.abs(whole[:, : found.shape[1]]))  # scores: absolute; logits and log features: relative
    assert found.shape[1] >= whole.shape[1] - max(sizes)
    np.testing.assert_array_less(np.abs(found - whole[:, : found.shape[1]]) / scale, tolerance)
