"""The run folder: files written whole or not at all, the configuration kept, versions noted."""

import contextlib
import csv
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from apps.config import from_json, read_json, to_json
from zoo.errors import InputError


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path` and renames it there when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def write_text(path, text):
    """Writes a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf8")


def write_json(path, value):
    """Writes a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_table(path, rows):
    """Writes a CSV file of dictionaries, with the first one's columns, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def start(folder, task, config):
    """Makes the folder, or takes up the run in it: its configuration must be the same. Returns whether the run is new."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write the run to.")
    path = folder / "config.json"
    wanted, new = {"task": task.name, **to_json(config)}, not path.is_file()
    if not new:
        found = read_json(path)
        if not isinstance(found, dict):
            raise InputError(f"{path} holds {type(found).__name__}; expected the settings of a run. Give another --output.")
        found = {**to_json(type(config)()), **_lasting(found, task)}  # a setting that came later has its default
        changed = [key for key in sorted(found.keys() | wanted.keys()) if found.get(key) != wanted.get(key)]
        if changed:
            key = changed[0]
            raise InputError(
                f"{folder} holds a run with `{key}` {found.get(key)!r}, now it is {wanted.get(key)!r}; "
                "give the same options to resume, or another --output."
            )
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(f"{folder} has files in it but no config.json; expected a new folder or a run. Give another --output.")
    else:
        write_json(path, wanted)
    write_json(folder / "environment.json", environment(config))
    return new


def same_data(folder, fingerprint, begins=False):
    """Refuses data other than those that the run began with; data sets come within reach, or leave it."""
    path = Path(folder) / "data.json"
    if begins and not path.is_file():
        write_json(path, fingerprint)
    elif path.is_file() and read_json(path) != fingerprint:
        raise InputError(
            f"{folder} was begun with other data than are within reach now; bring them back (ZOO_DATA_MIRROR, ZOO_CACHE, your folders), "
            "or train anew with another --output."
        )


def read_config(folder, task):
    """The configuration of a run folder of that task."""
    path = Path(folder) / "config.json"
    values = read_json(path)
    if not isinstance(values, dict) or values.get("task") != task.name:
        kind = values.get("task") if isinstance(values, dict) else None
        raise InputError(f"{folder} holds a run of the task {kind!r}; expected {task.name!r}.")
    return from_json(task.config, {key: value for key, value in _lasting(values, task).items() if key != "task"}, path)


def _lasting(values, task):
    """The settings of a run without those that the task no longer has."""
    return {key: value for key, value in values.items() if key not in task.retired}


def versions():
    """Versions of the packages that decide about results."""
    found = {"python": platform.python_version()}
    for package in (
        "tensorflow",
        "keras",
        "numpy",
        "ai-edge-litert",
        "tflite-runtime",
        "soundfile",
        "soxr",
        "scipy",
        "keras-tuner",
    ):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def environment(config):
    """Versions, platform, git commit and seed."""
    root = Path(__file__).resolve().parent.parent
    commit = None
    with contextlib.suppress(OSError):
        result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
        commit = result.stdout.strip() or None
    return {
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "git_commit": commit,
        "seed": config.seed,
    }
