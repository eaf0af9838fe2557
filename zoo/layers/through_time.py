"""Keras's LSTM and GRU with backpropagation through time written out: on a CPU, training takes about two thirds of the time.

Derived automatically, the gradient multiplies by the transposed weights and adds up those of the weights at every step. Written out,
as the notes derive it, the loop back has one plain product a step, and the weights' gradients are one product over all steps.
Arguments, weights, outputs and weight files are Keras's. It is in force in training with TensorFlow on a CPU; with another backend, a GPU,
dropout inside the cell, other activations or without a bias, the layer is Keras's own in every respect.
"""

import keras
from keras import layers

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def _applies(layer, training):
    """Whether the written-out passes are the ones of the layer's arguments, and faster here."""
    cell = layer.cell
    plain = (keras.activations.tanh, keras.activations.sigmoid) == (cell.activation, cell.recurrent_activation)
    return (
        training
        and keras.backend.backend() == "tensorflow"
        and plain
        and cell.use_bias
        and not (cell.dropout or cell.recurrent_dropout or layer.unroll)
        and not tf.config.list_physical_devices("GPU")
    )


def _run(layer, sequences, states, mask, forward, backward, biases):
    """The layer over whole sequences: what `inner_loop` of Keras's layers returns.

    forward(from_inputs, from_states, states) -> (new states, an array (batch, 4 x units) for the way back). backward(gradients of the
    new states, that array, old states, new states) -> (gradients of from_inputs, of from_states, of the old states but for what goes
    through from_states). biases: of from_inputs and of from_states, the latter None where there is none.
    """
    dtype = layer.cell.compute_dtype
    weights = [tf.cast(w, dtype) for w in (layer.cell.kernel, layer.cell.recurrent_kernel, biases[0])]
    further = [] if biases[1] is None else [tf.cast(biases[1], dtype)]
    units = layer.units
    inputs = tf.transpose(sequences, (1, 0, 2))  # time first
    mask = None if mask is None else tf.transpose(mask)[..., None]
    if layer.go_backwards:
        inputs = tf.reverse(inputs, [0])
        mask = None if mask is None else tf.reverse(mask, [0])
    time, batch = tf.shape(inputs)[0], tf.shape(inputs)[1]

    def array(width):
        return tf.TensorArray(dtype, time, element_shape=(sequences.shape[0], width))

    def flat(x):
        return tf.reshape(x, (-1, x.shape[-1]))

    def chosen(t, new, old):
        return new if mask is None else [tf.where(tf.gather(mask, t), n, o) for n, o in zip(new, old)]

    @tf.custom_gradient
    def through_time(inputs, kernel, recurrent_kernel, bias, *rest):
        first, recurrent_bias = rest[: len(states)], rest[len(states)] if further else 0.0
        from_inputs = tf.reshape(tf.matmul(flat(inputs), kernel) + bias, (time, batch, kernel.shape[1]))

        def step(t, states, history, kept):
            from_states = tf.matmul(states[0], recurrent_kernel) + recurrent_bias
            new, keep = forward(tf.gather(from_inputs, t), from_states, states)
            new = chosen(t, new, states)
            return t + 1, new, [past.write(t, value) for past, value in zip(history, new)], kept.write(t, keep)

        start = (0, list(first), [array(units) for _ in first], array(4 * units))
        _, last, history, kept = tf.while_loop(lambda t, *_: t < time, step, start, maximum_iterations=time)
        history, kept = [steps.stack() for steps in history], kept.stack()

        def gradient(d_outputs, *d_last):
            turned = tf.transpose(recurrent_kernel)
            past = [tf.concat([state[None], steps[:-1]], axis=0) for state, steps in zip(first, history)]

            def step_back(t, d_states, d_inputs, d_through):
                d_states = [d_states[0] + tf.gather(d_outputs, t), *d_states[1:]]
                zero = [tf.zeros_like(d) for d in d_states]
                old, new = [tf.gather(state, t) for state in past], [tf.gather(state, t) for state in history]
                d_input, d_recurrent, d_old = backward(chosen(t, d_states, zero), tf.gather(kept, t), old, new)
                d_old = [d_old[0] + tf.matmul(d_recurrent, turned), *d_old[1:]]
                if mask is not None:  # what a masked step passes on unchanged
                    d_old = [d + through for d, through in zip(d_old, chosen(t, zero, d_states))]
                return t - 1, d_old, d_inputs.write(t, d_input), [steps.write(t, d_recurrent) for steps in d_through]

            width = kernel.shape[1]
            # where there is one bias, the two gradients are the same
            start = (time - 1, list(d_last), array(width), [array(width) for _ in further])
            _, d_first, *found = tf.while_loop(lambda t, *_: t >= 0, step_back, start, maximum_iterations=time)
            d_from_inputs, *of_states = [flat(steps.stack()) for steps in tf.nest.flatten(found)]
            d_from_states = of_states[0] if further else d_from_inputs
            return (
                tf.reshape(tf.matmul(d_from_inputs, tf.transpose(kernel)), tf.shape(inputs)),
                tf.matmul(flat(inputs), d_from_inputs, transpose_a=True),
                tf.matmul(flat(past[0]), d_from_states, transpose_a=True),
                tf.reduce_sum(d_from_inputs, axis=0),
                *d_first,
                *([tf.reduce_sum(d_from_states, axis=0)] if further else []),
            )

        return (history[0], *last), gradient

    outputs, *last = through_time(inputs, *weights, *states, *further)
    if mask is not None:  # Keras: zeros before the first step that counts; after it, the last output or zeros again
        counts = mask if layer.zero_output_for_mask else tf.cumsum(tf.cast(mask, "int32")) > 0
        outputs = tf.where(counts, outputs, 0.0)
    return outputs[-1], tf.transpose(outputs, (1, 0, 2)), list(last)


@keras.saving.register_keras_serializable("zoo")
class LSTM(layers.LSTM):
    """Keras's LSTM; in training on a CPU its way back is written out.

    inputs: (batch, time, inputs). Returns (batch, time, units) or (batch, units). Source: the notes, LSTM and its backpropagation.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if not _applies(self, training):
            return super().inner_loop(sequences, initial_state, mask, training=training)

        def forward(from_inputs, from_states, states):
            update, forget, candidate, out = tf.split(from_inputs + from_states, 4, axis=-1)
            update, forget, out = tf.sigmoid(update), tf.sigmoid(forget), tf.sigmoid(out)
            candidate = tf.tanh(candidate)
            c = update * candidate + forget * states[1]
            wide = tf.tanh(c)
            return [out * wide, c], tf.concat([update, forget, candidate, out], axis=-1)

        def backward(d_new, kept, old, new):
            update, forget, candidate, out = tf.split(kept, 4, axis=-1)
            wide = tf.tanh(new[1])
            d_c = d_new[1] + d_new[0] * out * (1.0 - wide * wide)
            gates = tf.concat(
                [
                    d_c * candidate * update * (1.0 - update),
                    d_c * old[1] * forget * (1.0 - forget),
                    d_c * update * (1.0 - candidate * candidate),
                    d_new[0] * wide * out * (1.0 - out),
                ],
                axis=-1,
            )
            return gates, gates, [tf.zeros_like(d_c), d_c * forget]

        return _run(self, sequences, initial_state, mask, forward, backward, (self.cell.bias, None))


@keras.saving.register_keras_serializable("zoo")
class GRU(layers.GRU):
    """Keras's GRU; in training on a CPU its way back is written out where the reset gate comes after the product.

    inputs: (batch, time, inputs). Returns (batch, time, units) or (batch, units). Source: the notes, GRU; Cho et al. 2014.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if not (self.reset_after and _applies(self, training)):
            return super().inner_loop(sequences, initial_state, mask, training=training)

        def forward(from_inputs, from_states, states):
            gates, from_x = from_inputs[:, : -self.units], from_inputs[:, -self.units :]
            through = from_states[:, -self.units :]
            keep, reset = tf.split(tf.sigmoid(gates + from_states[:, : -self.units]), 2, axis=-1)
            candidate = tf.tanh(from_x + reset * through)
            return [keep * states[0] + (1.0 - keep) * candidate], tf.concat([keep, reset, candidate, through], axis=-1)

        def backward(d_new, kept, old, new):
            keep, reset, candidate, through = tf.split(kept, 4, axis=-1)
            d_candidate = d_new[0] * (1.0 - keep) * (1.0 - candidate * candidate)
            d_gates = [
                d_new[0] * (old[0] - candidate) * keep * (1.0 - keep),
                d_candidate * through * reset * (1.0 - reset),
            ]
            d_through = d_candidate * reset
            return tf.concat([*d_gates, d_candidate], axis=-1), tf.concat([*d_gates, d_through], axis=-1), [d_new[0] * keep]

        states = [initial_state[0] if isinstance(initial_state, (list, tuple)) else initial_state]
        return _run(self, sequences, states, mask, forward, backward, tuple(tf.unstack(self.cell.bias)))
