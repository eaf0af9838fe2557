"""CTC as a layer: for models that are given labels and lengths as inputs."""

import keras

from zoo.losses.ctc import CTC


@keras.saving.register_keras_serializable("zoo")
class CTCLayer(keras.layers.Layer):
    """Adds the mean CTC loss of its clips to the model's losses, and gives back the logits.

    Call it with (logits, labels, label_lengths, frame_lengths): (batch, time, symbols), (batch, labels), (batch,) and (batch,); what comes
    from a length on is ignored. blank, infeasible: as zoo.losses.ctc.CTC has them.
    """

    def __init__(self, blank=0, infeasible="error", **kwargs):
        super().__init__(**kwargs)
        self.loss = CTC(blank, infeasible)

    def get_config(self):
        return {**super().get_config(), "blank": self.loss.blank, "infeasible": self.loss.infeasible}

    def call(self, logits, labels, label_lengths, frame_lengths):
        losses, real = self.loss.of_clips(labels, logits, label_lengths, frame_lengths)
        self.add_loss(keras.ops.sum(losses * real) / keras.ops.maximum(keras.ops.sum(real), 1.0))
        return logits
