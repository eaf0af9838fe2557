"""How far back a recurrent network's gradient reaches: the notes' picture of vanishing gradients.

The loss at the last of `steps` steps, and the norm of its gradient with respect to each step's input, hidden state and use of
the input matrix. Source: the notes, vanishing gradients; Pascanu et al. 2013, arXiv:1211.5063.
"""

import keras
import numpy as np
import tensorflow as tf

WHAT = ("input matrix", "input", "hidden state")


def gradient_norms(network, tokens):
    """The norms at each step of the first recurrent layer, the mean over the batch: {what: (time,) float64}, oldest step first.

    network: a recurrent language model. tokens: (batch, time + 1) int; the last is what the last step should say.
    """
    inputs, of_sums, of_states, kernel = step_gradients(network, tokens)
    size = np.linalg.norm
    return {
        # a step's part of the input matrix's gradient is the outer product of its input and of its sums' gradient
        "input matrix": (size(inputs, axis=-1) * size(of_sums, axis=-1)).mean(axis=0),
        "input": size(of_sums @ kernel.T, axis=-1).mean(axis=0),
        "hidden state": size(of_states, axis=-1).mean(axis=0),
    }


def step_gradients(network, tokens):
    """Of each step of the first recurrent layer, (batch, time, ...) float64 each: the inputs x, the gradients of Wx and of the states.

    Returns those and W, the input matrix (inputs, gates x units). The loss is that of the last step, summed over the batch.
    """
    layer = next(layer for layer in network.layers if isinstance(layer, keras.layers.RNN))
    below = keras.Model(network.inputs[0], layer.input)
    above = keras.Model([network.inputs[0], layer.output], network.output["logits"])  # the tokens for a residual past the layer
    inputs, kernel = below(tokens[:, :-1]), tf.convert_to_tensor(layer.cell.kernel)
    cell, state = _reading_sums(layer.cell), layer.get_initial_state(len(tokens))
    with tf.GradientTape() as tape:
        sums = [tf.matmul(inputs[:, t], kernel) for t in range(tokens.shape[1] - 1)]
        tape.watch(sums)
        states, outputs = [], []
        for step in sums:
            output, state = cell(step, state)
            states.append(state)
            outputs.append(output)
        logits = above([tf.convert_to_tensor(tokens[:, :-1]), tf.stack(outputs, axis=1)])[:, -1]
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, -1], logits))
    of_sums, of_states = tape.gradient(loss, (sums, states))
    of_states = [tf.concat(step, axis=-1) for step in of_states]
    arrays = (inputs, tf.stack(of_sums, axis=1), tf.stack(of_states, axis=1), kernel)
    return tuple(np.asarray(array, np.float64) for array in arrays)


def _reading_sums(cell):
    """A copy of a cell that is given Wx where the original is given x."""
    copy = type(cell).from_config({**cell.get_config(), "name": f"{cell.name}_of_sums"})
    kernel, *others = cell.get_weights()
    copy.build((None, kernel.shape[1]))
    copy.set_weights([np.eye(kernel.shape[1], dtype="float32"), *others])
    return copy
