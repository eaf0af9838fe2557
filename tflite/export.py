"""Writes SavedModels, TFLite files and device folders."""

import hashlib
import json
import tempfile

import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

import zoo
from tflite.ops import check_operations
from tflite.runtime.quiet import quiet_stderr
from zoo.errors import InputError
from zoo.folders import new_folder


def convert(step, calibration=None, *, int8_weights=False, shared=False):
    """The TFLite file of a one-step model, as bytes; only built-in operations, checked.

    calibration: None for float32; else an iterable of dictionaries of arrays by input name (frames and states recorded
    together over real streams), which makes the weights and activations int8, inputs and outputs still float32.
    int8_weights: makes the weights int8 and leaves the states float32; what is multiplied with weights is rounded to int8 as it
    comes, each time by its own range (dynamic range quantization).
    shared: the model holds weights that only another file uses, so that their number cannot be checked here.
    """
    signature = {t.name: tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in step.inputs}
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        step.export(folder, format="tf_saved_model", input_signature=[signature], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration is not None:
            samples = list(calibration)
            if not samples:
                raise InputError("`calibration` is empty; expected steps of real streams. Give at least a few seconds.")
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: iter(samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        elif int8_weights:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            # a scale for each channel makes an operation that tflite-runtime 2.14, which many devices have, does not know
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        content = _without_names(converter.convert())
    check_operations(content)
    weights = 0 if shared else sum(variable.numpy().size for variable in step.trainable_variables)
    if len(content) < weights * (1 if calibration is not None or int8_weights else 4):
        raise RuntimeError(f"the converted file has {len(content)} bytes for {weights} weights: weights were lost.")
    return content


def _without_names(content):
    """The file without the names of what is neither input nor output: a seventh of a small one."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for graph in model.subgraphs:
        seen = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if index in seen else None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def write_saved_model(folder, network, front_end, output):
    """A SavedModel with two signatures: frames -> output, and samples -> output with the front end inside.

    network: of the input `frames` (batch, time, bands). front_end: the layer that makes them of samples (batch, n). output: its name.
    """
    module = tf.Module()
    module.variables_ = [variable.value for variable in network.variables]

    @tf.function(input_signature=[tf.TensorSpec([None, None, network.inputs[0].shape[-1]], tf.float32, "frames")])
    def of_frames(frames):
        return {output: network(frames, training=False)[output]}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "samples")])
    def of_samples(samples):
        return {output: network(front_end(samples), training=False)[output]}

    with new_folder(folder) as new:
        tf.saved_model.save(module, str(new), {"serving_default": of_frames, "samples": of_samples})


def write_device_folder(folder, step, states, *, float_file, int8_file, description, readme, notices, encoder=None):
    """Writes a device folder whole, or not at all.

    description: the manifest's own fields (kind, name, words, front_end, ...). readme: Markdown.
    notices: licence texts by file name. encoder: (its model, its float file, its int8 file) of a model that has one.
    """
    manifest = {
        "format": "sequence-zoo-device",
        "version": 1,
        **description,
        "created_with": {"sequence-zoo": zoo.__version__, "tensorflow": tf.__version__},
    }
    with new_folder(folder) as new:
        if encoder:
            manifest["encoder"] = _written(new, "encoder", *encoder)
        manifest.update(_written(new, "model", step, float_file, int8_file, states))
        manifest["states"] = [{key: value for key, value in vars(state).items() if value is not None} for state in states]
        (new / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf8")
        (new / "README.md").write_text(readme, "utf8")
        for name, text in notices.items():
            (new / name).write_text(text, "utf8")


def _written(folder, name, model, float_file, int8_file, states=()):
    """Writes a model's files; what the manifest says of its inputs, outputs and files."""
    carried = {state.input for state in states} | {state.output for state in states}
    files = {}
    for precision, file, content in (("float", f"{name}.tflite", float_file), ("int8", f"{name}_int8.tflite", int8_file)):
        (folder / file).write_bytes(content)
        files[precision] = {
            "name": file,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "operations": check_operations(content),
        }
    return {
        "inputs": {t.name: _tensor(t) for t in model.inputs if t.name not in carried},
        "outputs": {name: _tensor(t) for name, t in model.output.items() if name not in carried},
        "files": files,
    }


def _tensor(tensor):
    return {"shape": list(tensor.shape), "dtype": tensor.dtype}
