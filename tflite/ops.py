"""The operations in a TFLite file, and which of them may be there."""

from tensorflow.lite.python import schema_py_generated as schema

from zoo.errors import InputError

_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
REFUSED = {
    "CUSTOM": "only operations built into the interpreter load everywhere",
    "WHILE": "its states come back wrong from some runtimes",
    "IF": "some runtimes lack control flow",
    "VAR_HANDLE": "its weights were lost in conversion",
    "READ_VARIABLE": "its weights were lost in conversion",
    "ASSIGN_VARIABLE": "states must be inputs and outputs",
    "CALL_ONCE": "states must be inputs and outputs",
}


def operations(content):
    """The distinct operations of a file's bytes, sorted, as NAME:version."""
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return sorted({f"{_NAMES[max(c.BuiltinCode(), c.DeprecatedBuiltinCode())]}:{c.Version()}" for c in codes})


def check_operations(content):
    """The operations of a file; an InputError that names the first one that a device could not run."""
    found = operations(content)
    for operation in found:
        name = operation.split(":")[0]
        if name in REFUSED:
            raise InputError(
                f"the converted model holds the operation {name}: {REFUSED[name]}. Convert a one-step model instead."
            )
    return found
