"""Losses of detectors that score every frame."""

import keras
from keras import ops

from zoo.errors import InputError


@keras.saving.register_keras_serializable("zoo")
class DetectionCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of every frame, where some frames count neither way and the hardest count again.

    y_true: (batch, time, words) of 1 (the word ends here), 0 (it does not), -1 (counts neither way). y_pred: probabilities of the same
    shape. hard: how many of each word's worst false scores in a batch count again, as their mean times `hard_weight`, beside the mean of its
    true frames times `hard_weight` (online hard example mining: Shrivastava et al. 2016, arXiv:1604.03540); 0 for none. Each word for
    itself: among the worst of all words a hard one would be the most, and be given up.
    """

    def __init__(self, hard=0, hard_weight=0.15, name="detection_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not isinstance(hard, int) or hard < 0 or hard_weight < 0:
            raise InputError(
                f"`hard`, `hard_weight` are {hard!r}, {hard_weight!r}; expected an integer and a number, not negative."
            )
        self.hard, self.hard_weight = hard, hard_weight

    def get_config(self):
        return {**super().get_config(), "hard": self.hard, "hard_weight": self.hard_weight}

    def call(self, y_true, y_pred):
        counts = ops.cast(y_true >= 0, y_pred.dtype)
        truth = ops.maximum(y_true, 0.0)
        each = counts * keras.losses.binary_crossentropy(truth[..., None], y_pred[..., None])
        loss = ops.sum(each) / ops.maximum(ops.sum(counts), 1.0)
        if self.hard:
            each, truth = (ops.transpose(ops.reshape(array, (-1, array.shape[-1]))) for array in (each, truth))
            # padded, for batches of fewer frames
            false = ops.pad(ops.where(truth < 0.5, each, 0.0), ((0, 0), (0, self.hard)))
            worst = ops.mean(ops.top_k(false, self.hard)[0], axis=-1)
            true = ops.sum(each * truth, axis=-1) / ops.maximum(ops.sum(truth, axis=-1), 1.0)
            loss = loss + self.hard_weight * ops.mean(worst + true)
        return loss
