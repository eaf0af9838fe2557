"""How far back a recurrent network's gradient reaches: the notes' picture of vanishing gradients.

The loss at the last of `steps` steps, and the norm of its gradient with respect to each step's input, hidden state and use of
the input matrix. Source: the notes, vanishing gradients; Pascanu et al. 2013, arXiv:1211.5063.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf

from apps.report import COLOURS, Section, figure, svg

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


def reach_section(networks, options):
    """The figures and the table. networks: (run, model, 'before training' or 'after training', network, tokens)."""
    curves, rows = {}, [("run", "model", "", *WHAT)]
    for run, model, when, network, tokens in networks:
        norms = gradient_norms(network, tokens)
        curves[f"{run} ({model}), {when}"] = norms
        rows.append((run, model, when, *(f"{norms[what][0] / norms[what][-1]:.1e}" for what in WHAT)))
    return Section(
        "How far back the gradient reaches",
        "The loss is that of the last step. At each step before it: the norm of the loss's gradient with respect to what that step added to "
        f"the input matrix's gradient, to its input, and to its hidden state (an LSTM's cell included); the mean over {options.texts} windows of the test text.\n"
        f"The table has the norm {options.steps - 1} steps back as a share of the norm at the last step.",
        rows=rows,
        figures=[
            (reach_figure(curves, what), f"Gradient of the {what} by steps back; dashed before training, whole after.")
            for what in WHAT
        ],
    )


def reach_figure(curves, what):
    """Norms by steps back, logarithmic. curves: {'model, before training': {what: norms}}."""
    drawing, axes = figure(height=2.8)
    colours = dict(zip(dict.fromkeys(name.split(",")[0] for name in curves), itertools.cycle(COLOURS)))
    for name, norms in curves.items():
        back = np.arange(len(norms[what]))[::-1]
        dashes = {"linestyle": "--"} if "before" in name else {}
        axes.plot(back, norms[what], color=colours[name.split(",")[0]], label=name, **dashes)
    axes.set_yscale("log")
    axes.set_xlabel("steps back")
    axes.set_ylabel("norm")
    axes.legend(fontsize=8)
    return svg(drawing)
