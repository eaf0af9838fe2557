"""Convolutions over time that look back only."""

import keras
from keras import ops

from zoo.errors import InputError


@keras.saving.register_keras_serializable("zoo")
class CausalDepthwiseConv1D(keras.layers.DepthwiseConv1D):
    """A depthwise convolution whose output at t depends on inputs up to t.

    inputs: (batch, time, channels). Returns (batch, time, channels). Zeros precede the stream.
    """

    def __init__(self, kernel_size, **kwargs):
        super().__init__(kernel_size, padding="valid", **kwargs)
        if self.strides != (1,) or self.dilation_rate != (1,):
            raise InputError(f"`strides`, `dilation_rate` are {self.strides}, {self.dilation_rate}; expected 1 and 1.")

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        return config

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def call(self, inputs):
        return super().call(ops.pad(inputs, ((0, 0), (self.kernel_size[0] - 1, 0), (0, 0))))

    def initial_state(self, input_shape):
        """Buffers of the stream: (name, shape, initial value) each."""
        return [("frames", (1, self.kernel_size[0] - 1, input_shape[-1]), 0.0)]

    def stream(self, inputs, states):
        """One step: the next frames and the last kernel_size - 1 before them in, outputs and next states out."""
        joined = ops.concatenate([states[0], inputs], axis=1)
        return super().call(joined), [joined[:, joined.shape[1] - self.kernel_size[0] + 1 :]]
