"""The table of builders: every model of the zoo by name."""

import dataclasses
import difflib
import importlib
import inspect
import pkgutil

from zoo.errors import InputError


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered builder.

    source: the paper or the notes' section. streams: whether tflite.streaming turns it into a one-step model.
    causal: whether no output depends on what follows. example: small arguments with which the tests build it; variants: further ones.
    """

    name: str
    task: str
    source: str
    streams: bool
    example: dict
    builder: object
    variants: tuple = ()
    causal: bool = True

    @property
    def summary(self):
        """The first line of the builder's docstring."""
        return inspect.getdoc(self.builder).split("\n")[0]


class ModelTable(list):
    """A list of entries that prints as a table."""

    def __str__(self):
        rows = [("name", "task", "streams", "what it is", "source")]
        rows += [(e.name, e.task, "yes" if e.streams else "no", e.summary, e.source) for e in self]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    __repr__ = __str__


_entries = {}


def register(name, *, task, source, streams, example, variants=(), causal=True):
    """Decorates a builder: keyword-only arguments in, an uncompiled keras.Model out. See `Entry`."""

    def enter(builder):
        if name in _entries:
            raise ValueError(f"`name` is {name!r}, which is registered already; expected a new name.")
        parameters = inspect.signature(builder).parameters.values()
        if any(p.kind is not p.KEYWORD_ONLY for p in parameters):
            raise ValueError(f"the builder of {name!r} has positional arguments; expected keyword-only ones.")
        _entries[name] = Entry(name, task, source, streams, dict(example), builder, variants, causal)
        return builder

    return enter


def _load_builders():
    import zoo.models

    for module in pkgutil.iter_modules(zoo.models.__path__):
        importlib.import_module(f"zoo.models.{module.name}")


def find(name):
    """The entry of that name; an InputError that lists the nearest names where there is none."""
    _load_builders()
    if not isinstance(name, str) or name not in _entries:
        near = difflib.get_close_matches(str(name), _entries) or sorted(_entries)
        raise InputError(
            f"`name` is {name!r}; expected a registered model, such as {', '.join(near)}. `zoo.list_models()` shows all."
        )
    return _entries[name]


def list_models(task=None):
    """All registered builders, or those of one task, as a list of `Entry` that prints as a table."""
    _load_builders()
    tasks = sorted({entry.task for entry in _entries.values()})
    if task is not None and task not in tasks:
        raise InputError(f"`task` is {task!r}; expected one of {', '.join(tasks)}.")
    chosen = [entry for entry in _entries.values() if task in (None, entry.task)]
    return ModelTable(sorted(chosen, key=lambda entry: (entry.task, entry.name)))


def build(name, **arguments):
    """Builds a registered model: an uncompiled keras.Model with fresh weights from `seed`."""
    entry = find(name)
    known = inspect.signature(entry.builder).parameters
    for argument in arguments:
        if argument not in known:
            raise InputError(f"{name} has no argument `{argument}`; expected {', '.join(known)}.")
    return entry.builder(**arguments)


def describe(name):
    """What a model is: source, arguments with defaults, shapes, number of weights. Returns the text."""
    entry = find(name)
    model = entry.builder()
    arguments = ", ".join(str(p) for p in inspect.signature(entry.builder).parameters.values())
    streams = "yes" if entry.streams else "no"
    return (
        f"{name}({arguments})\n\n{inspect.getdoc(entry.builder)}\n\n"
        f"task: {entry.task}\nsource: {entry.source}\nweights: {model.count_params():,}\nstreams: {streams}"
    )
