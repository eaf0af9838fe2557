"""Turns a causal model into a one-step model with explicit states.

Each layer either acts on every frame alone, or states its buffer: Keras's own in the tables below, others through two
methods, `initial_state(input_shape) -> [(name, shape, initial)]` and `stream(inputs, states) -> (outputs, next_states)`.
"""

import dataclasses
import math

import keras
import numpy as np
from keras import layers, ops

from zoo.errors import InputError

POINTWISE = (
    layers.Dense,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Softmax,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.Embedding,
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Concatenate,
    layers.Identity,
    layers.Rescaling,
)

# of keras.ops, by class name
POINTWISE_OPERATIONS = frozenset(
    "Absolute Add Cast Clip Divide Exp Gelu Log Log1p Maximum Minimum Multiply Negative Relu Sigmoid Silu Softplus Sqrt Square "
    "Subtract Tanh".split()
)


@dataclasses.dataclass(frozen=True)
class State:
    """A buffer: the output named `output` of one step is the input named `input` of the next. initial: None, where an encoder gives it."""

    input: str
    output: str
    shape: tuple
    initial: float | None


def initial_state(states):
    """The states before the first step, a dictionary of arrays by input name."""
    return {state.input: np.full(state.shape, state.initial, "float32") for state in states}


def to_step_model(model, frames_per_step=1, batch_size=1):
    """A model of one step, sharing the weights of a causal functional model, and its states.

    model: functional, with inputs (batch, time, ...). frames_per_step: how many frames (samples, tokens) of an input a
    step takes; a multiple of the model's strides. Returns (step, states): step takes a dictionary of the model's inputs
    (batch_size, frames_per_step, ...) and the states by their `input` names, and returns the model's outputs and the next
    states by name. Raises InputError that names the first layer that cannot stream.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "_run_through_graph"):
        raise InputError(f"`model` is a {type(model).__name__}; expected a functional keras.Model, whose layers can be seen.")
    inputs = {
        tensor.name: keras.Input(
            batch_shape=(batch_size, frames_per_step, *tensor.shape[2:]), dtype=tensor.dtype, name=tensor.name
        )
        for tensor in model.inputs
    }
    walk = _Walk(batch_size)
    outputs = walk.run(model, keras.tree.pack_sequence_as(model.input, [inputs[t.name] for t in model.inputs]))
    if not isinstance(outputs, dict):
        outputs = dict(zip(model.output_names, keras.tree.flatten(outputs)))
    every_input = {**inputs, **walk.inputs}
    step = keras.Model(
        {name: every_input[name] for name in sorted(every_input)}, {**outputs, **walk.outputs}, name=f"{model.name}_step"
    )
    return step, walk.states


class _Walk:
    """Calls a model's layers on one step, collecting state inputs and outputs."""

    def __init__(self, batch_size):
        self.batch_size, self.states, self.inputs, self.outputs = batch_size, [], {}, {}
        self.masks = []

    def run(self, model, inputs):
        # the one private call: keras.models.clone_model takes the same walk, but allows no further inputs
        return model._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=self._call)

    def _call(self, layer, *arguments, **keywords):
        keywords = {name: value for name, value in keywords.items() if name not in ("training", "mask")}
        if isinstance(layer, layers.InputLayer):
            return layer(*arguments, **keywords)
        if not isinstance(layer, layers.Layer):
            # what is of masks leads nowhere: a step has no padding, and layers are not given any
            result = layer(*arguments, **keywords)
            if all(tensor.dtype == "bool" for tensor in keras.tree.flatten(result)):
                self.masks += keras.tree.flatten(result)
                return result
        if any(tensor is mask for tensor in keras.tree.flatten(arguments) for mask in self.masks):
            raise _refusal(layer, "a mask that looks at several frames goes into what it gives")
        if isinstance(layer, keras.Model) and hasattr(layer, "_run_through_graph"):
            return self.run(layer, arguments[0])
        if (len(arguments) > 1 or keywords) and not isinstance(layer, POINTWISE) and isinstance(layer, layers.Layer):
            raise _refusal(layer, "it is given more than its input, an initial state perhaps")
        if hasattr(layer, "stream"):
            shape = keras.tree.map_structure(lambda tensor: tensor.shape, arguments[0])
            return self._stateful(layer, layer.initial_state(shape), _own_stream, arguments[0])
        for kind, (specify, stream) in _STATEFUL.items():
            if isinstance(layer, kind):
                return self._stateful(layer, specify(layer, arguments[0].shape), stream, arguments[0])
        if isinstance(layer, (layers.Reshape, layers.MaxPooling1D, layers.MaxPooling2D)):
            _check_frames(layer, arguments[0].shape)
            return layer(*arguments, **keywords)
        if isinstance(layer, layers.TimeDistributed) and isinstance(layer.layer, POINTWISE):
            return layer(*arguments, **keywords)
        if len({len(tensor.shape) for tensor in keras.tree.flatten(arguments) if isinstance(tensor, keras.KerasTensor)}) > 1:
            raise _refusal(layer, "its inputs have axes of different number, so that it mixes frames")
        if not isinstance(layer, layers.Layer) and type(layer).__name__ in POINTWISE_OPERATIONS:
            return layer(*arguments, **keywords)
        if isinstance(layer, POINTWISE):
            _check_axis(layer, keras.tree.flatten(arguments)[0])
            return layer(*arguments, **keywords)
        raise _refusal(layer, "it is not known to act on each frame alone and has no `stream` method")

    def _stateful(self, layer, specification, stream, inputs):
        tensors = []
        for name, shape, initial in specification:
            state = State(
                f"state_{layer.name}_{name}", f"next_state_{layer.name}_{name}", (self.batch_size, *shape[1:]), float(initial)
            )
            if state.input in self.inputs:
                raise _refusal(layer, "it is used twice, so its buffer would be shared")
            self.inputs[state.input] = keras.Input(batch_shape=state.shape, name=state.input)
            self.states.append(state)
            tensors.append(self.inputs[state.input])
        outputs, *following = _Streamed(layer, stream)(inputs, *tensors)
        for state, tensor in zip(self.states[len(self.states) - len(tensors) :], following):
            self.outputs[state.output] = tensor
        return outputs


class _Streamed(layers.Layer):
    """A layer's step as a layer of its own, so that its weights stay tracked."""

    def __init__(self, layer, stream):
        super().__init__(name=f"{layer.name}_step", dtype=layer.dtype_policy)
        self.layer, self._stream = layer, stream
        self.supports_masking = True  # a step has no padding

    def call(self, inputs, *states):
        outputs, following = self._stream(self.layer, inputs, list(states))
        return (outputs, *following)


def _own_stream(layer, inputs, states):
    return layer.stream(inputs, states)


def _refusal(layer, reason):
    return InputError(f"layer {layer.name!r} ({type(layer).__name__}) cannot stream: {reason}.")


def _check_axis(layer, tensor):
    last = len(tensor.shape) - 1
    axis = getattr(layer, "axis", -1)
    if list(axis if isinstance(axis, (list, tuple)) else [axis]) not in ([-1], [last]):
        raise _refusal(layer, f"its axis is {axis}; expected the last one")


def _check_frames(layer, shape):
    """Refuses what would mix frames of one step with those of another."""
    if isinstance(layer, layers.Reshape):
        if layer.target_shape[0] != -1 or math.prod(layer.target_shape[1:]) != math.prod(shape[2:]):
            raise _refusal(
                layer, f"it makes {layer.target_shape} of frames of shape {tuple(shape[2:])}; expected (-1, ...) of each frame"
            )
    elif layer.pool_size != layer.strides or layer.padding != "valid" or layer.data_format != "channels_last":
        raise _refusal(layer, "its windows overlap or are padded; expected strides equal to `pool_size`, padding 'valid'")
    else:
        _check_stride(layer, layer.strides[0], shape)


def _check_stride(layer, stride, shape):
    if shape[1] % stride:
        raise _refusal(
            layer,
            f"its stride is {stride}, which does not divide a step of {shape[1]} frames; give `frames_per_step` as a multiple",
        )


def _conv_states(layer, shape):
    if layer.padding != "causal":
        raise _refusal(layer, f"its padding is {layer.padding!r}; expected 'causal'")
    _check_stride(layer, layer.strides[0], shape)
    history = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    return [("frames", (1, history, shape[-1]), 0.0)] if history else []


def _conv_stream(layer, inputs, states):
    joined = ops.concatenate([states[0], inputs], axis=1) if states else inputs
    outputs = ops.conv(joined, layer.kernel, strides=layer.strides, padding="valid", dilation_rate=layer.dilation_rate)
    if layer.use_bias:
        outputs = outputs + layer.bias
    history = states[0].shape[1] if states else 0
    return layer.activation(outputs), [joined[:, joined.shape[1] - history :]] if states else []


def _recurrent_states(layer, shape):
    if layer.go_backwards or layer.return_state or not layer.return_sequences:
        raise _refusal(
            layer, "it reads backwards, or gives its last output or state; expected return_sequences=True, forwards, and no more"
        )
    sizes = keras.tree.flatten(layer.cell.state_size)
    return [(str(index), (1, size), 0.0) for index, size in enumerate(sizes)]


def _recurrent_stream(layer, inputs, states):
    outputs, state = [], keras.tree.pack_sequence_as(layer.cell.state_size, states)
    state = state if isinstance(state, (list, tuple)) else [state]
    for time in range(inputs.shape[1]):
        output, state = layer.cell(inputs[:, time], state, training=False)
        outputs.append(output)
    return ops.stack(outputs, axis=1), keras.tree.flatten(state)


_STATEFUL = {layers.Conv1D: (_conv_states, _conv_stream), layers.RNN: (_recurrent_states, _recurrent_stream)}
