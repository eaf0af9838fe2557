"""Layers over time that look back only."""

import keras
from keras import ops

from zoo.errors import InputError, check_sizes


class FrameLayer(keras.layers.Layer):
    """A layer that does the same at each frame, and so keeps nothing of a stream: a step is what it says outside of training."""

    def initial_state(self, input_shape):
        """None."""
        return []

    def stream(self, inputs, states):
        """What it says of the next frames, and no states."""
        return self.call(inputs), []


class _DepthwiseConv1D(keras.layers.DepthwiseConv1D):
    """One output a frame, of frames that are padded by hand."""

    def __init__(self, kernel_size, **kwargs):
        super().__init__(kernel_size, padding="valid", **kwargs)
        if self.strides != (1,) or self.dilation_rate != (1,):
            raise InputError(f"`strides`, `dilation_rate` are {self.strides}, {self.dilation_rate}; expected 1 and 1.")
        self.supports_masking = True

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        return config

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@keras.saving.register_keras_serializable("zoo")
class CausalDepthwiseConv1D(_DepthwiseConv1D):
    """A depthwise convolution whose output at t depends on inputs up to t.

    inputs: (batch, time, channels). Returns (batch, time, channels). Zeros precede the stream; what follows a clip changes nothing in it.
    """

    def call(self, inputs):
        return super().call(ops.pad(inputs, ((0, 0), (self.kernel_size[0] - 1, 0), (0, 0))))

    def initial_state(self, input_shape):
        """Buffers of the stream: (name, shape, initial value) each."""
        return [("frames", (1, self.kernel_size[0] - 1, input_shape[-1]), 0.0)]

    def stream(self, inputs, states):
        """One step: the next frames and the last kernel_size - 1 before them in, outputs and next states out."""
        joined = ops.concatenate([states[0], inputs], axis=1)
        return super().call(joined), [joined[:, joined.shape[1] - self.kernel_size[0] + 1 :]]


@keras.saving.register_keras_serializable("zoo")
class CentredDepthwiseConv1D(_DepthwiseConv1D):
    """A depthwise convolution that looks as far ahead as back, and hears zeros in place of padding.

    inputs: (batch, time, channels). mask: (batch, time) bool. Returns (batch, time, channels).
    """

    def call(self, inputs, mask=None):
        return super().call(_centred(_silenced(inputs, mask), self.kernel_size[0]))


@keras.saving.register_keras_serializable("zoo")
class TimeConv1D(keras.layers.Conv1D):
    """A convolution over time that shortens its mask with its frames, and hears zeros in place of padding.

    inputs: (batch, time, channels). mask: (batch, time) bool. Returns (batch, ceil(time / strides), filters). causal: whether it looks back
    only, zeros before the stream, so that it streams; else as far ahead as back.
    """

    def __init__(self, filters, kernel_size, causal=True, **kwargs):
        super().__init__(filters, kernel_size, padding="causal" if causal else "valid", **kwargs)
        self.causal, self.supports_masking = causal, True

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        return {**config, "causal": self.causal}

    def call(self, inputs, mask=None):
        inputs = _silenced(inputs, mask)
        return super().call(inputs if self.causal else _centred(inputs, self.dilation_rate[0] * (self.kernel_size[0] - 1) + 1))

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[:, :: self.strides[0]]

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return batch, None if time is None else -(-time // self.strides[0]), self.filters


def _silenced(inputs, mask):
    return inputs if mask is None else inputs * ops.cast(mask, inputs.dtype)[..., None]


def _centred(inputs, size):
    return ops.pad(inputs, ((0, 0), ((size - 1) // 2, size // 2), (0, 0)))


@keras.saving.register_keras_serializable("zoo")
class _Unpadded(keras.Operation):
    """Whether a frame, or one after it, is not all zeros: one operation, so that a model's graph shows one."""

    def call(self, inputs):
        there = ops.cast(ops.any(ops.not_equal(inputs, 0), axis=-1), "int32")
        return ops.flip(ops.cumsum(ops.flip(there, axis=1), axis=1), axis=1) > 0


@keras.saving.register_keras_serializable("zoo")
class _UnpaddedEvery(_Unpadded):
    """The same of the last of every `stride` frames that `x` was made of."""

    def __init__(self, stride, **kwargs):
        super().__init__(**kwargs)
        self.stride = stride

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}

    def call(self, x, frames):
        return super().call(frames)[:, self.stride - 1 :: self.stride][:, : ops.shape(x)[1]]


@keras.saving.register_keras_serializable("zoo")
class FramePadding(FrameLayer):
    """Tells the frames of zeros after a clip's end from the clip, as the Keras mask; zeros inside it are silence.

    inputs: (batch, time, features). Returns them. A stream has no end, and so no padding.
    """

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, previous_mask=None):
        return _Unpadded()(inputs)


@keras.saving.register_keras_serializable("zoo")
class PaddingFrom(FrameLayer):
    """Gives what was made of a clip's frames their padding, as the Keras mask: frames of zeros after the clip's end.

    inputs: [x (batch, time // stride, ...), frames (batch, time, features)]. Returns x.
    """

    def __init__(self, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.stride, self.supports_masking = stride, True

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}

    def call(self, inputs):
        return inputs[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def compute_mask(self, inputs, previous_mask=None):
        return _UnpaddedEvery(self.stride)(*inputs)


@keras.saving.register_keras_serializable("zoo")
class SplitFrames(FrameLayer):
    """Makes several frames of each, and their mask: a network gives more of them than it hears.

    inputs: (batch, time, parts * features). Returns (batch, time * parts, features).
    """

    def __init__(self, parts, **kwargs):
        super().__init__(**kwargs)
        self.parts, self.supports_masking = parts, True

    def get_config(self):
        return {**super().get_config(), "parts": self.parts}

    def call(self, inputs):
        batch, time, size = ops.shape(inputs)
        return ops.reshape(inputs, (batch, -1 if time is None else time * self.parts, size // self.parts))

    def compute_output_shape(self, input_shape):
        batch, time, size = input_shape
        return batch, None if time is None else time * self.parts, size // self.parts

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else ops.repeat(mask, self.parts, axis=1)


@keras.saving.register_keras_serializable("zoo")
class CausalConv2D(keras.layers.Conv2D):
    """A convolution over time and frequency whose output at t depends on inputs up to t.

    inputs: (batch, time, bands, channels). Returns (batch, time, bands, filters). kernel_size: (time, bands). Zeros precede the
    stream; over frequency it pads evenly ('same'). Weights are as Conv2D's.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, padding="valid", **kwargs)
        if self.strides != (1, 1) or self.dilation_rate != (1, 1) or self.data_format != "channels_last":
            raise InputError(
                f"`strides`, `dilation_rate`, `data_format` are {self.strides}, {self.dilation_rate}, {self.data_format!r}; "
                "expected 1, 1 and 'channels_last'."
            )

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        return config

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.filters)

    def call(self, inputs):
        return self._convolve(ops.pad(inputs, ((0, 0), (self.kernel_size[0] - 1, 0), (0, 0), (0, 0))))

    def initial_state(self, input_shape):
        """Buffers of the stream: (name, shape, initial value) each."""
        history = self.kernel_size[0] - 1
        return [("frames", (1, history, *input_shape[2:]), 0.0)] if history else []

    def stream(self, inputs, states):
        """One step: the next frames and those before them that the kernel still sees in, outputs and next states out."""
        if not states:
            return self._convolve(inputs), []
        joined = ops.concatenate([states[0], inputs], axis=1)
        return self._convolve(joined), [joined[:, joined.shape[1] - self.kernel_size[0] + 1 :]]

    def _convolve(self, inputs):
        bands = self.kernel_size[1] - 1
        return super().call(ops.pad(inputs, ((0, 0), (0, 0), (bands // 2, bands - bands // 2), (0, 0))) if bands else inputs)


@keras.saving.register_keras_serializable("zoo")
class FrameStack(keras.layers.Layer):
    """Every frame side by side with those before it, `count` in all, the oldest first.

    inputs: (batch, time, features). Returns (batch, time, count x features). Zeros precede the stream.
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        check_sizes(count=count)
        self.count, self.supports_masking = count, True

    def call(self, inputs):
        return self._side_by_side(ops.pad(inputs, ((0, 0), (self.count - 1, 0), (0, 0))), ops.shape(inputs)[1])

    def initial_state(self, input_shape):
        """Buffers of the stream: (name, shape, initial value) each."""
        return [("frames", (1, self.count - 1, input_shape[-1]), 0.0)] if self.count > 1 else []

    def stream(self, inputs, states):
        """One step: the next frames and the count - 1 before them in, outputs and next states out."""
        joined = ops.concatenate([*states, inputs], axis=1)
        return self._side_by_side(joined, inputs.shape[1]), [joined[:, inputs.shape[1] :]] if states else []

    def _side_by_side(self, frames, time):
        return ops.concatenate([frames[:, first : first + time] for first in range(self.count)], axis=-1)

    def get_config(self):
        return {**super().get_config(), "count": self.count}
