"""Splits a model from text to text into what a device runs: the encoder, and one step of the decoder with explicit states."""

import contextlib

import keras
from keras import layers, ops

from tflite.export import convert, write_device_folder
from tflite.streaming import State
from zoo.errors import InputError

MEMORY, STATE, NEXT = "memory_", "state_", "next_state_"


def to_encoder_and_step(model, length, room):
    """(encoder, step, states) of a model of zoo.models.seq2seq for one text at a time, sharing its weights.

    length: tokens of a source, padding after it. room: tokens of a target at most, its end counted.
    encoder: source (1, length) int32 -> the first states by their `input` names, and memory_*, which no step changes.
    step: tokens (1,) int32, states and memory -> logits (1, vocabulary), with attention weights (1, length), the next states by their
    `output` names. All but tokens are float32. Recurrent layers of the encoder are unrolled while `unrolled(model)` is in force.
    """
    source = keras.Input(batch_shape=(1, length), dtype="int32", name="source")
    # a loop can only be unrolled where its length is known: the same layers, called on that many tokens
    of_length = keras.models.clone_model(model.get_layer("encoder"), source, clone_function=lambda layer: layer)
    begin = _Begin(of_length, model.get_layer("decoder"), room)
    first = begin(source)
    encoder = keras.Model({"source": source}, first, name="encoder")
    tokens = keras.Input(batch_shape=(1,), dtype="int32", name="tokens")
    given = {name: keras.Input(batch_shape=tensor.shape, name=name) for name, tensor in first.items()}
    step = keras.Model({"tokens": tokens, **given}, _Step(begin)({"tokens": tokens, **given}), name="step")
    names = [name.removeprefix(STATE) for name in first if name.startswith(STATE)]
    return encoder, step, [State(STATE + name, NEXT + name, first[STATE + name].shape, None) for name in names]


def write_translator(folder, model, source, target, *, max_length, width=5, length_penalty=1.0, name="", readme="", notices):
    """Writes the device folder of a model of zoo.models.seq2seq.

    source, target: tflite.runtime.text.Tokenizer. max_length: tokens at most, of both. width, length_penalty: of beam search unless others
    are asked for. notices: licence texts by file name.
    """
    if source.unknown is None:
        raise InputError("`source` has no token for what it does not know; expected '<unknown>' at 2.")
    if model.get_layer("decoder").compute_dtype != "float32":
        raise InputError(
            f"`model` computes in {model.get_layer('decoder').compute_dtype}; build it anew in float32, with its weights."
        )
    encoder, step, states = to_encoder_and_step(model, max_length, max_length)
    with unrolled(model):
        encoder_files = [convert(encoder, int8_weights=int8, shared=True) for int8 in (False, True)]
    step_files = [convert(step, int8_weights=int8, shared=True) for int8 in (False, True)]
    weights = sum(variable.numpy().size for variable in model.trainable_variables)
    for size, *files in zip((4, 1), encoder_files, step_files):
        if sum(map(len, files)) < size * weights:
            raise RuntimeError(f"the converted files have {sum(map(len, files))} bytes for {weights} weights: weights were lost.")
    description = {
        "kind": "translator",
        "name": name,
        "source": {"vocabulary": source.vocabulary, "tokens": source.kind, "lower": source.lower, "max_length": max_length},
        "vocabulary": target.vocabulary,
        "tokens": target.kind,
        "lower": target.lower,
        "max_length": max_length,
        "width": width,
        "length_penalty": length_penalty,
    }
    write_device_folder(
        folder,
        step,
        states,
        float_file=step_files[0],
        int8_file=step_files[1],
        encoder=(encoder, *encoder_files),
        description=description,
        readme=readme,
        notices=notices,
    )


@contextlib.contextmanager
def unrolled(model):
    """Recurrent layers of the model's encoder without a loop: some runtimes give back wrong states from one."""
    found = []
    for layer in model.get_layer("encoder").layers:
        both = (layer.forward_layer, layer.backward_layer) if isinstance(layer, layers.Bidirectional) else (layer,)
        found += [one for one in both if isinstance(one, layers.RNN)]
    # Keras 3.15.1 unrolls a layer that goes backwards with its mask the wrong way around, and so puts zeros at places that count; without
    # zeros at all, only what is masked has other outputs
    changes = {"unroll": True, "zero_output_for_mask": False}
    before = [{name: getattr(layer, name) for name in changes} for layer in found]
    try:
        for layer in found:
            vars(layer).update(changes)
        yield
    finally:
        for layer, own in zip(found, before):
            vars(layer).update(own)


class _Begin(layers.Layer):
    """From a source to memory and first states, flat and in float32."""

    def __init__(self, encoder, decoder, room):
        super().__init__(name="begin")
        self.encoder, self.decoder, self.room, self.types = encoder, decoder, room, {}

    def call(self, source):
        state = self.decoder.initial_state(self.encoder(source, training=False), self.room)
        flat = {MEMORY + name: tensor for name, tensor in state["memory"].items()}
        flat.update(_carried(state, STATE))
        # masks are bool, positions int32
        self.types = {name: tensor.dtype for name, tensor in flat.items()}
        return {name: ops.cast(tensor, "float32") for name, tensor in flat.items()}


class _Step(layers.Layer):
    """A decoder's step from flat inputs to flat outputs."""

    def __init__(self, begin):
        super().__init__(name="one_step")
        self.decoder, self.types = begin.decoder, begin.types

    def call(self, inputs):
        state = {"memory": {}}
        for name, dtype in self.types.items():
            part, prefix = (state["memory"], MEMORY) if name.startswith(MEMORY) else (state, STATE)
            part[name.removeprefix(prefix)] = ops.cast(inputs[name], dtype)
        logits, state = self.decoder.step(inputs["tokens"], state)
        outputs = {"logits": logits, **({"weights": state["weights"]} if "weights" in state else {})}
        outputs.update(_carried(state, NEXT))
        return {name: ops.cast(tensor, "float32") for name, tensor in outputs.items()}


def _carried(state, prefix):
    """What one step hands to the next, by prefixed names; the weights of the last step are for the caller."""
    return {prefix + name: tensor for name, tensor in state.items() if name not in ("memory", "weights")}
