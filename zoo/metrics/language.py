"""How well a language model predicts text."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zoo")
class Perplexity(keras.metrics.Metric):
    """exp of the mean negative log-likelihood of the tokens that are not padding.

    y_true: (batch, time) int tokens, 0 is padding. y_pred: (batch, time, vocabulary) logits.
    Source: the notes, language models (the inverse geometric mean of the probabilities).
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(y_true, "int32")
        losses = ops.cast(ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True), self.dtype)
        real = ops.cast(y_true != 0, self.dtype)
        self.total.assign_add(ops.sum(losses * real))
        self.count.assign_add(ops.sum(real))

    def result(self):
        return ops.exp(self.total / ops.maximum(self.count, 1.0))
