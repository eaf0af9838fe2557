"""Reads the weights out of a TFLite file."""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from zoo.errors import InputError


def convolutions(content):
    """The float convolutions of a file in the order of its operations: a list of (kernel, bias), as Keras's Conv2D holds them.

    content: bytes of a TFLite file. kernel: (height, width, inputs, filters) float32; bias: (filters,) float32.
    """
    if content[4:8] != b"TFL3":
        raise InputError("the encoder's file is no TFLite file; expected embedding_model.tflite.")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.CONV_2D:
            continue
        kernel, bias = (_constant(model, graph.tensors[index]) for index in operator.inputs[1:3])
        found.append((np.ascontiguousarray(kernel.transpose(1, 2, 3, 0)), bias))
    return found


def _constant(model, tensor):
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None:
        raise InputError(f"the tensor {tensor.name!r} holds no float32 weights; expected a float file.")
    return np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
