"""Gradients by whichever backend runs."""

import keras
import numpy as np


def gradients(model, inputs, chosen):
    """The gradients of sum(model(inputs) * chosen) with respect to the weights and to the inputs, an array or a list of them."""
    several = isinstance(inputs, list)
    if keras.backend.backend() == "jax":
        import jax

        def loss(weights, inputs):
            return (model.stateless_call(weights, [v.value for v in model.non_trainable_variables], inputs)[0] * chosen).sum()

        given = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
        of_weights, of_inputs = jax.grad(loss, (0, 1))([v.value for v in model.trainable_variables], given)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            given = keras.tree.map_structure(tf.Variable, inputs)
            loss = tf.reduce_sum(model(given) * chosen)
        of_weights, of_inputs = tape.gradient(loss, [[v.value for v in model.trainable_variables], given])
    of_inputs = [np.asarray(g) for g in of_inputs] if several else np.asarray(of_inputs)
    return [np.asarray(g) for g in of_weights], of_inputs


def losses_and_gradient(function, x):
    """(function(x), the gradient of their sum), of a function of one array that gives losses."""
    if keras.backend.backend() == "jax":
        import jax

        losses, back = jax.vjp(function, keras.ops.convert_to_tensor(x))
        return np.asarray(losses), np.asarray(back(keras.ops.ones_like(losses))[0])
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = function(x)
    return losses.numpy(), tape.gradient(losses, x).numpy()
