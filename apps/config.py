"""Configurations: frozen dataclasses whose fields are documented, bounded and read from the command line or JSON."""

import dataclasses
import difflib
import json
import math
import types
import typing
from pathlib import Path

from zoo.errors import InputError


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The range of a number, both ends allowed."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """What every training has."""

    steps: typing.Annotated[int, Bounds(1, 10_000_000)] = 1000
    """training steps in all"""
    batch_size: typing.Annotated[int, Bounds(1, 65536)] = 32
    """examples in a step"""
    learning_rate: typing.Annotated[float, Bounds(1e-7, 10.0)] = 0.002
    """the highest learning rate of the schedule (linear warm-up, then cosine to a hundredth)"""
    steps_per_epoch: typing.Annotated[int, Bounds(1, 10_000_000)] = 100
    """steps between two looks at the validation data"""
    checkpoint_steps: typing.Annotated[int, Bounds(1, 10_000_000)] = 100
    """steps between two checkpoints"""
    patience: typing.Annotated[int, Bounds(1, 100_000)] = 1000
    """stop early after so many looks without a better validation result"""
    precision: typing.Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """number format of the layers"""
    deterministic: bool = False
    """the same bits on every run of one machine; slower"""
    seed: typing.Annotated[int, Bounds(0, 2**31 - 1)] = 0
    """of weights, data and sampling"""

    def __post_init__(self):
        check_bounds(self)


def check_bounds(config):
    """Raises InputError for the first field that is out of its Bounds, not one of its choices, or of another type."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        bounds = None
        if typing.get_origin(hint) is typing.Annotated:
            hint, bounds = typing.get_args(hint)[:2]
        optional, hint = hint, _without_none(hint)
        if value is None and hint is not optional:
            continue
        if typing.get_origin(hint) is typing.Literal and value not in typing.get_args(hint):
            raise InputError(f"`{field.name}` is {value!r}; expected one of {', '.join(map(repr, typing.get_args(hint)))}.")
        if hint in (int, float, bool, str) and not _fits(value, hint):
            raise InputError(f"`{field.name}` is {value!r}; expected a value of type {hint.__name__}.")
        if isinstance(bounds, Bounds) and not (math.isfinite(value) and bounds.low <= value <= bounds.high):
            raise InputError(f"`{field.name}` is {value}; expected {bounds.low:g} to {bounds.high:g}.")


def _without_none(hint):
    """The type that an optional field has where it is given."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    return next(option for option in typing.get_args(hint) if option is not types.NoneType)


def _fits(value, kind):
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def to_json(config):
    """The fields as a JSON-able dictionary; paths become strings."""

    def plain(value):
        if isinstance(value, Path):
            return str(value)
        return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value

    return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_json(kind, values, where):
    """A configuration of that class from a dictionary; an InputError for unknown keys and wrong values."""
    if not isinstance(values, dict):
        raise InputError(f"{where} holds {type(values).__name__}; expected an object with the fields of {kind.__name__}.")
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints) or sorted(hints)
            raise InputError(
                f"{where} has the unknown key {key!r}; expected fields such as {', '.join(near[:6])}. Remove or rename it."
            )
    try:
        return kind(**{key: _typed(value, hints[key]) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{where}: {error}") from None
        raise InputError(f"{where} does not fit: {error}.") from None


def _typed(value, hint):
    if value is None:
        return None
    hint = _without_none(hint)
    if hint is Path:
        return Path(value)
    if typing.get_origin(hint) is tuple:
        return tuple(_typed(item, typing.get_args(hint)[0]) for item in value)
    return value


def read_json(path):
    """The content of a JSON file; an InputError that names it where it is missing or broken."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a run folder, as `python -m apps TASK train --output DIR` makes it.")
    try:
        return json.loads(path.read_text("utf8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); it was changed or cut short.") from None
