"""The preset folder: a trained model with its sums, figures and card."""

import hashlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

from zoo.errors import InputError
from zoo.folders import put_in_place
from zoo.registry import build, find

SHIPPED = Path(__file__).resolve().parent.parent / "saved_models"
VERSION = 1
WEIGHTS = "model.weights.h5"


def sha256(path):
    """The checksum of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(folder, model, *, builder, arguments, task, metrics, card, versions, extra=()):
    """Writes a preset folder; an existing one is replaced only when the new one is whole.

    builder, arguments: what `zoo.build` makes the model from. metrics: figures, JSON-able. card: Markdown.
    versions: package versions by name. extra: (name, path) of further files or folders (assets, device).
    """
    find(builder)
    folder = Path(folder)
    taken = folder.exists() and not (folder.is_dir() and ((folder / "preset.json").is_file() or not any(folder.iterdir())))
    if taken:
        raise InputError(
            f"{folder} is there already and is no preset; expected a new folder, or a preset to replace. Give another one."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        (new / WEIGHTS).write_bytes(_weights(model, new / "whole.keras"))
        (new / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf8")
        (new / "card.md").write_text(card, "utf8")
        for name, path in extra:
            copy = shutil.copytree if Path(path).is_dir() else shutil.copy
            copy(path, new / name)
        files = {str(p.relative_to(new)): sha256(p) for p in sorted(new.rglob("*")) if p.is_file()}
        preset = {
            "format": "sequence-zoo-preset",
            "version": VERSION,
            "task": task,
            "builder": builder,
            "arguments": arguments,
            "versions": versions,
            "files": files,
        }
        (new / "preset.json").write_text(json.dumps(preset, indent=1) + "\n", "utf8")
        put_in_place(new, folder, Path(temporary) / "old")


def _weights(model, archive):
    """The bytes of the weights file, by way of a .keras archive: plain HDF5 crashes the process when the disk is full."""
    model.save(archive)
    with zipfile.ZipFile(archive) as file:
        content = file.read(WEIGHTS)
    archive.unlink()
    return content


def read(folder):
    """The preset.json of a folder, after every file's checksum was compared."""
    folder = Path(folder)
    path = folder / "preset.json"
    if not path.is_file():
        raise InputError(f"{folder} has no preset.json; expected a preset folder. {_shipped()}")
    try:
        preset = json.loads(path.read_text("utf8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is no JSON ({error}); copy the preset again.") from None
    if not isinstance(preset, dict) or preset.get("format") != "sequence-zoo-preset":
        raise InputError(f"{path} is no preset: its `format` is not 'sequence-zoo-preset'.")
    if preset.get("version") != VERSION:
        raise InputError(f"{path} is of version {preset.get('version')!r}; this release reads version {VERSION}.")
    for key, kind in (("builder", str), ("arguments", dict), ("files", dict)):
        if not isinstance(preset.get(key), kind):
            raise InputError(f"{path} lacks `{key}`; copy the preset again.")
    if WEIGHTS not in preset["files"]:
        raise InputError(f"{path} has no checksum of {WEIGHTS}; copy the preset again.")
    for name, expected in preset["files"].items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise InputError(f"{file} is missing from the preset; copy the preset again.")
        found = sha256(file)
        if found != expected:
            raise InputError(
                f"{file} has the checksum {found[:12]}..., preset.json says {expected[:12]}...: "
                "it was changed or cut short. Copy the preset again."
            )
    return preset


def load(name):
    """The model of a shipped preset's name or a preset folder's path, with its weights; sums are checked first."""
    folder = folder_of(name)
    preset = read(folder)
    model = build(preset["builder"], **preset["arguments"])
    model.load_weights(folder / WEIGHTS)
    return model


def folder_of(name):
    """The folder of a shipped preset's name, or of a path."""
    if not isinstance(name, (str, Path)):
        raise InputError(f"`name` is {name!r}; expected a shipped preset's name or a preset folder. {_shipped()}")
    folder = SHIPPED / name if (SHIPPED / name / "preset.json").is_file() else Path(name)
    if not folder.is_dir():
        raise InputError(f"`name` is {str(name)!r}; expected a shipped preset or a preset folder. {_shipped()}")
    return folder


def _shipped():
    names = sorted(path.parent.name for path in SHIPPED.glob("*/preset.json"))
    return f"Shipped: {', '.join(names) or 'none'}."
