"""Regularisers of recurrent language models (Merity et al. 2018, arXiv:1708.02182). Locked dropout is keras.layers.SpatialDropout1D."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("zoo")
class TiedEmbedding(layers.Embedding):
    """An embedding whose matrix is also the output's (Press & Wolf 2017, arXiv:1608.05859), and that can drop whole words.

    inputs: (batch, time) int. Returns (batch, time, dimensions); `call(x, reverse=True)`: logits (batch, time, vocabulary).
    dropout: the share of words of the vocabulary that have no embedding during one training step (Gal & Ghahramani 2016,
    arXiv:1512.05287).
    """

    def __init__(self, input_dim, output_dim, dropout=0.0, seed=None, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)
        self.dropout, self.seed = dropout, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, reverse=False, training=False):
        if reverse:
            return ops.matmul(inputs, ops.cast(ops.transpose(self.embeddings), self.compute_dtype))
        found = super().call(inputs)
        if not training or not self.dropout:
            return found
        kept = keras.random.dropout(ops.ones((self.input_dim,), found.dtype), self.dropout, seed=self.seed_generator)
        return found * ops.take(kept, inputs, axis=0)[..., None]

    # tokens have two axes, what comes back to be turned into logits has three

    def compute_mask(self, inputs, mask=None):
        return mask if len(inputs.shape) == 3 else super().compute_mask(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.input_dim if len(input_shape) == 3 else self.output_dim)

    def compute_output_spec(self, inputs, reverse=False, training=False):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout, "seed": self.seed}


@keras.saving.register_keras_serializable("zoo")
class WeightDropLSTMCell(layers.LSTMCell):
    """An LSTM cell, some of whose recurrent weights are left out for a whole training step (DropConnect, Wan et al. 2013).

    To be run by `WeightDropRNN`, which draws them. inputs: (batch, inputs). Returns (batch, units).
    """

    def __init__(self, units, weight_drop=0.5, seed=None, **kwargs):
        super().__init__(units, seed=seed, **kwargs)
        self.weight_drop = weight_drop
        self.weight_seed = keras.random.SeedGenerator(seed)
        self._kept = None

    def draw(self):
        """Leaves weights out until `release`."""
        self._kept = keras.random.dropout(ops.convert_to_tensor(self.recurrent_kernel), self.weight_drop, seed=self.weight_seed)

    def release(self):
        """Uses all weights again."""
        self._kept = None

    def call(self, inputs, states, training=False):
        a, c = states
        kernel = self.recurrent_kernel if self._kept is None else self._kept
        sums = ops.matmul(inputs, self.kernel) + ops.matmul(a, kernel) + self.bias
        update, forget, candidate, out = ops.split(sums, 4, axis=-1)
        c = ops.sigmoid(forget) * c + ops.sigmoid(update) * ops.tanh(candidate)
        a = ops.sigmoid(out) * ops.tanh(c)
        return a, [a, c]

    def get_config(self):
        return {**super().get_config(), "weight_drop": self.weight_drop}


@keras.saving.register_keras_serializable("zoo")
class WeightDropRNN(layers.RNN):
    """Runs a `WeightDropLSTMCell`; one draw of its weights for all steps and sequences of a training batch."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if training and self.cell.weight_drop:
            self.cell.draw()
        try:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        finally:
            self.cell.release()
