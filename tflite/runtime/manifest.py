"""Reads a device folder's manifest.json: schema, checksums, and errors in words."""

import hashlib
import json
import math
import re
from pathlib import Path

from .errors import InputError
from .text import UNKNOWN, UNKNOWN_NAME

SCHEMA = Path(__file__).with_name("manifest.schema.json")
NEEDED = {
    "detector": ("sample_rate", "front_end", "frames_per_step", "scores_per_step", "words"),
    "recognizer": ("sample_rate", "front_end", "frames_per_step", "symbols", "word_boundary", "decoding", "endpoint_s", "tail_s"),
    "generator": ("vocabulary", "max_length"),
    "translator": ("vocabulary", "max_length", "source", "width", "length_penalty", "encoder"),
}
_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def read_manifest(folder, kind=None):
    """The manifest of a device folder of that kind (one of NEEDED; None: any), checked against the schema."""
    path = Path(folder) / "manifest.json"
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is no folder; expected a device folder, as `python -m apps TASK export` writes it.")
    if not path.is_file():
        raise InputError(f"{folder} has no manifest.json; expected a device folder, as `python -m apps TASK export` writes it.")
    try:
        manifest = json.loads(path.read_text("utf8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); export the folder again.") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "sequence-zoo-device":
        raise InputError(f"{path} is no manifest of a device folder: its `format` is not 'sequence-zoo-device'.")
    if manifest.get("version") != 1:
        raise InputError(
            f"{path} is of version {manifest.get('version')!r}; this runtime reads version 1. "
            "Export the folder again, or install the release that wrote it."
        )
    schema = json.loads(SCHEMA.read_text("utf8"))
    problem = _violation(manifest, schema, schema["$defs"], "manifest")
    if problem:
        raise InputError(f"{path}: {problem}")
    if kind and manifest["kind"] != kind:
        raise InputError(f"{path} describes a {manifest['kind']}; expected a {kind}.")
    missing = [key for key in NEEDED[manifest["kind"]] if key not in manifest]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}, which a {manifest['kind']} needs; export the folder again.")
    problem = _contradiction(manifest)
    if problem:
        raise InputError(f"{path}: {problem}; export the folder again.")
    return manifest


def read_model(folder, manifest, precision):
    """The bytes of the model file of that precision, refused unless its checksum matches. manifest: or its `encoder`."""
    if precision not in manifest["files"]:
        raise InputError(f"`precision` is {precision!r}; this folder has {', '.join(sorted(manifest['files']))}.")
    entry = manifest["files"][precision]
    path = Path(folder) / entry["name"]
    if not path.is_file():
        raise InputError(f"{path} is missing; export the folder again.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise InputError(
            f"{path} has the checksum {found[:12]}..., its manifest says {entry['sha256'][:12]}...: "
            "the file was changed or cut short. Export or copy the folder again."
        )
    return content


def _violation(value, schema, definitions, where):
    """What is wrong with a value, in words, or None. Knows the keywords that manifest.schema.json uses."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if "const" in schema and value != schema["const"]:
        return f"{where} is {value!r}; expected {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is {value!r}; expected one of {', '.join(map(repr, schema['enum']))}"
    if "type" in schema:
        expected = _TYPES[schema["type"]]
        if not isinstance(value, expected) or isinstance(value, bool) and expected is not bool:
            return f"{where} is of type {type(value).__name__}; expected {schema['type']}"
    if isinstance(value, dict):
        return _object_violation(value, schema, definitions, where)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{where} has {len(value)} items; expected {schema.get('minItems', 0)} to {schema.get('maxItems', 'any')}"
        for index, item in enumerate(value):
            problem = _violation(item, schema.get("items", {}), definitions, f"{where}[{index}]")
            if problem:
                return problem
    if isinstance(value, str) and (len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value)):
        return f"{where} is {value!r}; expected {schema.get('pattern', 'some text')}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not low <= value <= high or value in (math.inf, -math.inf):
            return f"{where} is {value}; expected {low} to {high}"
    return None


def _object_violation(value, schema, definitions, where):
    for key in schema.get("required", ()):
        if key not in value:
            return f"{where} lacks {key!r}"
    if len(value) < schema.get("minProperties", 0):
        return f"{where} is empty"
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        inner = schema.get("properties", {}).get(key, others)
        if inner is False:
            return f"{where} has the unknown key {key!r}; expected {', '.join(schema['properties'])}"
        problem = _violation(item, {} if inner is True else inner, definitions, f"{where}.{key}")
        if problem:
            return problem
    return None


def _contradiction(manifest):
    """What the schema cannot say: numbers that do not fit together."""
    if manifest["kind"] == "translator":
        return _loose_end(manifest)
    unset = [state["input"] for state in manifest["states"] if "initial" not in state]
    if unset:
        return f"the state {unset[0]} lacks 'initial'"
    if "front_end" not in manifest:
        return None
    front_end = manifest["front_end"]
    edges = front_end["edges_hz"]
    if front_end["compression"] not in front_end:
        return f"front_end lacks the constants of its compression {front_end['compression']!r}"
    if front_end["compression"] == "log10" and len(front_end["log10"]["gains"]) != len(edges) - 2:
        return f"front_end.log10 has {len(front_end['log10']['gains'])} gains for {len(edges) - 2} bands"
    if any(low >= high for low, high in zip(edges, edges[1:])):
        return "front_end.edges_hz does not rise"
    if front_end["fft"] < front_end["window"]:
        return f"front_end.fft is {front_end['fft']}, less than the window of {front_end['window']}"
    if front_end["window"] < front_end["shift"]:
        return f"front_end.window is {front_end['window']}, less than the shift of {front_end['shift']}"
    outputs = {"detector": "score", "recognizer": "logits"}
    if manifest["kind"] not in outputs:
        return None
    name, per_step = outputs[manifest["kind"]], manifest.get("scores_per_step")
    tensors = {**manifest["inputs"], **manifest["outputs"]}
    found = {tensor: tensors.get(tensor, {}).get("shape") for tensor in ("frames", name)}
    if per_step is None:  # a recogniser's follow from its output
        per_step = (found[name] or [1, 1])[1]
    names = manifest["words"] if manifest["kind"] == "detector" else manifest["symbols"]
    wanted = {"frames": [1, manifest["frames_per_step"], len(edges) - 2], name: [1, per_step, len(names)]}
    for tensor, shape in wanted.items():
        if found[tensor] != shape:
            return f"the tensor {tensor} has the shape {found[tensor]}, expected {shape} from frames, bands and words or symbols"
    if manifest["frames_per_step"] % per_step:
        return f"{manifest['frames_per_step']} frames a step do not divide into {per_step} outputs"
    return None


def _loose_end(manifest):
    """What a translator's step needs and its encoder does not give, in words, or None."""
    given = {name: tensor["shape"] for name, tensor in manifest["encoder"]["outputs"].items()}
    needed = {name: tensor["shape"] for name, tensor in manifest["inputs"].items() if name != "tokens"}
    needed.update({state["input"]: state["shape"] for state in manifest["states"]})
    wrong = sorted(name for name in given.keys() | needed.keys() if given.get(name) != needed.get(name))
    if wrong:
        return f"the encoder gives {wrong[0]} of shape {given.get(wrong[0])}, the step takes {needed.get(wrong[0])}"
    wanted = {"source": [1, manifest["source"]["max_length"]]}
    if {name: tensor["shape"] for name, tensor in manifest["encoder"]["inputs"].items()} != wanted:
        return f"the encoder's inputs are not `source` of shape {wanted['source']}"
    if manifest["source"]["vocabulary"][UNKNOWN] != UNKNOWN_NAME:
        return f"the token {UNKNOWN} of its source is not {UNKNOWN_NAME!r}"
    if manifest["outputs"].get("logits", {}).get("shape") != [1, len(manifest["vocabulary"])]:
        return f"the step has no `logits` of shape {[1, len(manifest['vocabulary'])]}, one for each token"
    return None
