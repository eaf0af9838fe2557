"""Runs a one-step model file: the first interpreter that is installed, states carried by name."""

import numpy as np

from .errors import InputError


def find_interpreter():
    """The Interpreter class of ai-edge-litert, tflite-runtime or tensorflow, whichever is installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    except ImportError:
        pass
    try:
        from tflite_runtime.interpreter import Interpreter

        return Interpreter
    except ImportError:
        pass
    try:
        import tensorflow as tf

        return tf.lite.Interpreter
    except ImportError:
        raise InputError("no TFLite interpreter is installed; run `pip install ai-edge-litert`.") from None


class StepModel:
    """One step of a streaming model. It keeps no state between calls: the caller holds it.

    manifest: names and shapes. content: the file's bytes.
    """

    def __init__(self, manifest, content, threads=1):
        try:
            self._interpreter = find_interpreter()(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
            runner = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError, TypeError) as error:
            raise InputError(f"the interpreter refuses the model file: {' '.join(str(error).split())}") from None
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self._states = manifest["states"]
        self._check_tensors(inputs, manifest["inputs"], [(s["input"], s["shape"]) for s in self._states], "input")
        self._check_tensors(outputs, manifest["outputs"], [(s["output"], s["shape"]) for s in self._states], "output")
        self._inputs = {name: inputs[name]["index"] for name in inputs}
        self._outputs = {name: outputs[name]["index"] for name in outputs}

    @staticmethod
    def _check_tensors(details, tensors, states, kind):
        declared = {name: (list(tensor["shape"]), tensor["dtype"]) for name, tensor in tensors.items()}
        declared.update({name: (list(shape), "float32") for name, shape in states})
        found = {
            name: ([int(size) for size in detail["shape"]], np.dtype(detail["dtype"]).name) for name, detail in details.items()
        }
        if declared != found:
            names = sorted(name for name in declared.keys() | found.keys() if declared.get(name) != found.get(name))
            raise InputError(
                f"manifest and model file differ in the {kind} {names[0]}: {declared.get(names[0])} in the manifest, "
                f"{found.get(names[0])} in the file. Export the folder again."
            )

    def initial_state(self):
        """The states before the first step: a dictionary of arrays by input name."""
        return {s["input"]: np.full(s["shape"], s["initial"], np.float32) for s in self._states}

    def step(self, inputs, state):
        """inputs: arrays by name. Returns (outputs by name, next state); the arrays are the caller's to keep."""
        run = self._interpreter
        for name, value in inputs.items():
            run.set_tensor(self._inputs[name], value)
        for name, value in state.items():
            run.set_tensor(self._inputs[name], value)
        try:
            run.invoke()
        except RuntimeError as error:
            raise InputError(
                f"the interpreter stopped: {' '.join(str(error).split())}; export or copy the folder again."
            ) from None
        following = {s["input"]: run.get_tensor(self._outputs[s["output"]]) for s in self._states}
        carried = {s["output"] for s in self._states}
        return {name: run.get_tensor(i) for name, i in self._outputs.items() if name not in carried}, following
