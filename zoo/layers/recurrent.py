"""The notes' recurrent cells that Keras has not; use them as `keras.layers.RNN(SimplifiedGRUCell(64), return_sequences=True)`.

Weights are laid out as Keras lays out its own: kernel (inputs, gates x units), recurrent_kernel (units, gates x units), bias
(gates x units). Keras's SimpleRNN, GRU and LSTM are the notes' vanilla network, full GRU (reset_after=False) and LSTM:
tests/zoo/test_recurrent.py proves each of them, and these, equal to the notes' equations, forwards and back through time.
"""

import keras
from keras import layers, ops

from zoo.errors import check_sizes


class _GatedCell(layers.Layer):
    """What the cells share: weights of `gates` blocks, and their arguments. inputs: (batch, inputs) a step.

    forget: the block whose bias starts at 1 (Jozefowicz et al. 2015), if any.
    """

    gates, forget = 1, None

    def __init__(
        self, units, kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros", **kwargs
    ):
        super().__init__(**kwargs)
        check_sizes(units=units)
        self.units = self.state_size = self.output_size = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        width = self.gates * self.units
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], width), initializer=self.kernel_initializer)
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, width), initializer=self.recurrent_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(width,), initializer=self._first_bias)

    def _first_bias(self, shape, dtype=None):
        blocks = [self.bias_initializer((self.units,), dtype) for _ in range(self.gates)]
        if self.forget is not None:
            blocks[self.forget] = ops.ones((self.units,), dtype)
        return ops.concatenate(blocks)

    def get_initial_state(self, batch_size=None):
        """Zeros, one array a state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]

    def get_config(self):
        initializers = ("kernel_initializer", "recurrent_initializer", "bias_initializer")
        return {
            **super().get_config(),
            "units": self.units,
            **{name: keras.initializers.serialize(getattr(self, name)) for name in initializers},
        }


@keras.saving.register_keras_serializable("zoo")
class SimplifiedGRUCell(_GatedCell):
    """The notes' GRU with one gate: Gu = sigmoid(Wu [c, x] + bu); c~ = tanh(Wc [c, x] + bc); c = Gu * c~ + (1 - Gu) * c.

    inputs: (batch, inputs). Returns (batch, units). Weights: update, candidate. Source: the notes, GRU (simplified).
    """

    gates = 2

    def call(self, inputs, states, training=False):
        (c,) = states
        sums = ops.matmul(inputs, self.kernel) + ops.matmul(c, self.recurrent_kernel) + self.bias
        update, candidate = ops.split(sums, 2, axis=-1)
        update = ops.sigmoid(update)
        c = update * ops.tanh(candidate) + (1.0 - update) * c
        return c, [c]


@keras.saving.register_keras_serializable("zoo")
class MinimalGatedCell(_GatedCell):
    """The minimal gated unit: Gf = sigmoid(Wf [c, x] + bf); c~ = tanh(Wc [Gf * c, x] + bc); c = Gf * c~ + (1 - Gf) * c.

    inputs: (batch, inputs). Returns (batch, units). Weights: forget, candidate. Source: Zhou et al. 2016, arXiv:1603.09420.
    """

    gates = 2

    def call(self, inputs, states, training=False):
        (c,) = states
        from_x = ops.matmul(inputs, self.kernel) + self.bias
        forget = ops.sigmoid(from_x[:, : self.units] + ops.matmul(c, self.recurrent_kernel[:, : self.units]))
        candidate = ops.tanh(from_x[:, self.units :] + ops.matmul(forget * c, self.recurrent_kernel[:, self.units :]))
        c = forget * candidate + (1.0 - forget) * c
        return c, [c]


class _LSTMCell(_GatedCell):
    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size = [units, units]


@keras.saving.register_keras_serializable("zoo")
class PeepholeLSTMCell(_LSTMCell):
    """An LSTM whose gates see the cell: + pu * c<t-1>, + pf * c<t-1>, and + po * c<t> in the output gate's sum.

    inputs: (batch, inputs). Returns (batch, units). Weights: update, forget, candidate, output, as Keras's LSTM has them, and
    peepholes (3, units): pu, pf, po. Source: Gers & Schmidhuber 2000; the notes, LSTM.
    """

    gates, forget = 4, 1

    def build(self, input_shape):
        super().build(input_shape)
        self.peepholes = self.add_weight(name="peepholes", shape=(3, self.units), initializer="zeros")

    def call(self, inputs, states, training=False):
        a, c = states
        sums = ops.matmul(inputs, self.kernel) + ops.matmul(a, self.recurrent_kernel) + self.bias
        update, forget, candidate, out = ops.split(sums, 4, axis=-1)
        update = ops.sigmoid(update + self.peepholes[0] * c)
        forget = ops.sigmoid(forget + self.peepholes[1] * c)
        c = update * ops.tanh(candidate) + forget * c
        a = ops.sigmoid(out + self.peepholes[2] * c) * ops.tanh(c)
        return a, [a, c]


@keras.saving.register_keras_serializable("zoo")
class CoupledLSTMCell(_LSTMCell):
    """An LSTM that writes where it forgets: c = (1 - Gf) * c~ + Gf * c.

    inputs: (batch, inputs). Returns (batch, units). Weights: forget, candidate, output.
    Source: Greff et al. 2017, arXiv:1503.04069 (CIFG); the notes, LSTM, coupled.
    """

    gates, forget = 3, 0

    def call(self, inputs, states, training=False):
        a, c = states
        sums = ops.matmul(inputs, self.kernel) + ops.matmul(a, self.recurrent_kernel) + self.bias
        forget, candidate, out = ops.split(sums, 3, axis=-1)
        forget = ops.sigmoid(forget)
        c = (1.0 - forget) * ops.tanh(candidate) + forget * c
        a = ops.sigmoid(out) * ops.tanh(c)
        return a, [a, c]


@keras.saving.register_keras_serializable("zoo")
class JordanCell(layers.Layer):
    """A Jordan network: its output, not its hidden state, goes back.

    h<t> = tanh(Whx x<t> + Why y<t-1> + bh); y<t> = g(Wyh h<t> + by). inputs: (batch, inputs). Returns (batch, outputs).
    units: of the hidden layer. activation: g. Source: Jordan 1986; the notes, variants.
    """

    def __init__(self, units, outputs, activation="tanh", seed=None, **kwargs):
        super().__init__(**kwargs)
        check_sizes(units=units, outputs=outputs)
        self.units, self.outputs, self.seed = units, outputs, seed
        self.state_size = self.output_size = outputs
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        seeds = [None if self.seed is None else self.seed + i for i in range(3)]
        glorot = keras.initializers.GlorotUniform
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units), initializer=glorot(seeds[0]))
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.outputs, self.units), initializer=glorot(seeds[1])
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.output_kernel = self.add_weight(name="output_kernel", shape=(self.units, self.outputs), initializer=glorot(seeds[2]))
        self.output_bias = self.add_weight(name="output_bias", shape=(self.outputs,), initializer="zeros")

    def get_initial_state(self, batch_size=None):
        """Zeros: no output yet."""
        return [ops.zeros((batch_size, self.outputs), dtype=self.compute_dtype)]

    def call(self, inputs, states, training=False):
        (y,) = states
        h = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(y, self.recurrent_kernel) + self.bias)
        y = self.activation(ops.matmul(h, self.output_kernel) + self.output_bias)
        return y, [y]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "outputs": self.outputs,
            "activation": keras.activations.serialize(self.activation),
            "seed": self.seed,
        }
