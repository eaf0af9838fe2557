"""Losses of decoders that write token by token."""

import keras
from keras import ops

from zoo.errors import InputError


@keras.saving.register_keras_serializable("zoo")
class TokenCrossentropy(keras.losses.Loss):
    """Mean cross-entropy over the tokens that are not padding, with label smoothing.

    y_true: (batch, time) int tokens, 0 is padding and counts nowhere. y_pred: (batch, time, vocabulary) logits. smoothing: the share of
    the truth that is spread evenly over the vocabulary. Source: Szegedy et al. 2016, arXiv:1512.00567; Vaswani et al. 2017.
    """

    def __init__(self, smoothing=0.0, name="token_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 <= smoothing < 1:
            raise InputError(f"`smoothing` is {smoothing!r}; expected a number from 0 to 1, 1 excluded.")
        self.smoothing = smoothing

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, "int32")
        rates = ops.log_softmax(y_pred, axis=-1)
        losses = -ops.take_along_axis(rates, y_true[..., None], axis=-1)[..., 0]
        if self.smoothing:
            losses = (1.0 - self.smoothing) * losses - self.smoothing * ops.mean(rates, axis=-1)
        real = ops.cast(ops.not_equal(y_true, 0), losses.dtype)
        # their mean, which Keras takes, is that over what is not padding
        return losses * real / ops.maximum(ops.mean(real), 1e-9)
