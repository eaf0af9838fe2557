"""Conversion keeps the weights, uses built-in operations only, and says what a device could not run."""

import hashlib

import keras
import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

import zoo
from tests.zoo.test_models import CASES, example
from tflite.export import convert
from tflite.ops import REFUSED, check_operations, operations
from tflite.parity import compare, record_steps, run_file
from tflite.runtime.interpreter import StepModel
from tflite.streaming import to_step_model
from zoo.errors import InputError
from zoo.folders import new_folder

# int8's largest difference, of untrained weights, where 0.1 does not hold: a ReLU from the identity adds up what it reads (outputs up
# to 18), three normalised layers pass on each other's rounding (outputs up to 5), as do two of a recogniser's (0.3 found, in half a
# percent of logits above 0.15), and an encoder's twenty convolutions before a recogniser's (0.28 found, logits up to 7)
INT8 = {
    "speech_embedding_recognizer": 0.4,
    "streaming_deep_speech": 0.5,
    "rnn_language_model units=16 activation=relu": 0.2,
    "recurrent_network cell=irnn": 0.4,
    "recurrent_network depth=3 residual=True layer_norm=True dropout=0.1": 0.2,
}
STREAMING = [name for name, (entry, _) in CASES.items() if entry.streams]


def manifest_of(step, states):
    carried = {s.input for s in states} | {s.output for s in states}
    return {
        "inputs": {t.name: {"shape": list(t.shape), "dtype": t.dtype} for t in step.inputs if t.name not in carried},
        "outputs": {name: {"shape": list(t.shape), "dtype": t.dtype} for name, t in step.output.items() if name not in carried},
        "states": [{"input": s.input, "output": s.output, "shape": list(s.shape), "initial": s.initial} for s in states],
    }


@pytest.mark.parametrize("name", STREAMING)
def test_every_streaming_model_says_the_same_as_a_file(name):
    model, x = example(name, batch=1, time=160)
    (key,), (tensor,) = model.output.keys(), model.inputs
    size = 8 if CASES[name][0].task in ("speech_encoder", "speech_recognition", "trigger_word") else 1
    step, states = to_step_model(model, size)
    ((inputs, streamed),) = record_steps(step, states, [x[0]], key)
    whole = np.asarray(model(x)[key])[0]
    assert compare(streamed, whole, 1e-5)["within"] == 1
    files = {"float": convert(step), "int8": convert(step, inputs)}
    # a constant far outside of what a tensor holds would leave int8 no steps for the rest
    tensors = schema.ModelT.InitFromPackedBuf(files["int8"], 0).subgraphs[0].tensors
    assert max(np.max(t.quantization.scale) for t in tensors if t.quantization and t.quantization.scale is not None) < 10
    for precision, tolerance in (("float", 1e-4), ("int8", INT8.get(name, 0.1))):
        found = run_file(StepModel(manifest_of(step, states), files[precision]), x[0], tensor.name, size, key)
        assert compare(found, whole, tolerance)["within"] == 1, precision
        assert not {operation.split(":")[0] for operation in operations(files[precision])} & set(REFUSED)


def test_a_whole_recurrent_layer_is_refused_with_the_operation_named():
    frames = keras.Input(batch_shape=(1, 8, 4), name="frames")
    model = keras.Model(frames, {"score": keras.layers.GRU(3, return_sequences=True)(frames)})
    with pytest.raises(InputError, match="holds the operation WHILE: .* Convert a one-step model instead"):
        convert(model)


def test_calibration_without_data_is_refused():
    model, _ = example("tcn_trigger_word")
    with pytest.raises(InputError, match="`calibration` is empty"):
        convert(to_step_model(model, 4)[0], [])


def test_operations_carry_their_versions():
    model, _ = example("rnn_language_model")
    assert all(part.split(":")[1].isdigit() for part in check_operations(convert(to_step_model(model)[0])))


def test_what_is_not_finite_is_not_equal():
    assert compare(np.array([np.nan, 1.0]), np.array([1.0, 1.0]), 0.1) == {
        "largest": np.inf,
        "mean": np.inf,
        "tolerance": 0.1,
        "within": 0.5,
    }
    with pytest.raises(ValueError, match="has the shape"):
        compare(np.zeros(2), np.zeros(3), 0.1)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("good")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as new:
        (new / "half").write_text("bad")
        raise RuntimeError
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["old"]
    with new_folder(tmp_path / "out") as new:
        (new / "whole").write_text("good")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["whole"] and len(list(tmp_path.iterdir())) == 1


def test_the_same_weights_give_the_same_file():
    model, _ = example("tcn_trigger_word")
    first, second = (hashlib.sha256(convert(to_step_model(model, 4)[0])).hexdigest() for _ in range(2))
    assert first == second


def test_a_file_keeps_the_names_of_its_inputs_and_outputs_only():
    model, _ = example("tcn_trigger_word")
    step, states = to_step_model(model, 4)
    content = convert(step)
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    named = {index for index, tensor in enumerate(graph.tensors) if tensor.name}
    assert named == {*graph.inputs, *graph.outputs} and len(graph.inputs) == len(states) + 1


def test_a_micro_detector_fits_into_60_kb():
    model = zoo.build("micro_trigger_word")
    # as a trained one has them: normalisations that do not fold into nothing
    random = np.random.default_rng(0)
    model.set_weights(
        [
            np.abs(w + random.normal(0, 0.1, w.shape)) if "norm" in v.path else w
            for w, v in zip(model.get_weights(), model.weights)
        ]
    )
    step, states = to_step_model(model, 8)
    ((steps, _),) = record_steps(step, states, [random.uniform(0, 3, (80, 40)).astype("float32")], "score")
    assert len(convert(step, steps)) < 60_000


def test_int8_weights_run_on_the_interpreters_that_devices_have():
    """FULLY_CONNECTED 12, which takes a scale a channel, is newer than tflite-runtime 2.14."""
    step, _ = to_step_model(zoo.build("lstm_language_model", vocabulary=66, dimensions=64, units=64))
    versions = dict(part.split(":") for part in check_operations(convert(step, int8_weights=True)))
    assert int(versions["FULLY_CONNECTED"]) <= 9
