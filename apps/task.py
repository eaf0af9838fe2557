"""What a task is: a Config, and functions that the shared fit, evaluate, tune, export and report call.

A task's folder holds config.py (Config, SEARCH and TASK; imports nothing heavy, so that `--help` is quick) and functions.py with
  data(config) -> Data
  builder_arguments(config, data) -> dict                   what zoo.build(config.builder, ...) takes: the model that is saved
  model(config, data) -> keras.Model, compiled              the model that is trained: that one, or the part of it that learns
  finish(model, folder, config, data) -> keras.Model        the model to save, from the best one: calibrated, or joined with its encoder
  assets(data) -> {file name: text}                         what the model needs beside its weights
  export(model, folder, config, data) -> parity figures     a SavedModel and the device folder
  evaluate(folder, config, data, ...) -> metrics            through the exported files; a task's own `evaluate` may give it more
  headline(metrics) -> [str]                                the figures in a few lines
  examples(metrics) -> [str]                                what the model does, in a few lines
  card(metrics) -> str                                      the limits that a preset's card states
  report(folder, config, data, metrics) -> [Section]        data is None when only the report is written again
  next_commands(folder, config) -> [str]
and a function for each verb of its own.
"""

import dataclasses
import importlib
import typing


@dataclasses.dataclass(frozen=True)
class Choice:
    """A field of the search space that takes one of some values."""

    values: tuple


@dataclasses.dataclass(frozen=True)
class Range:
    """A number of the search space; log: even in its logarithm; step: for integers."""

    low: float
    high: float
    log: bool = False
    step: int | None = None


@dataclasses.dataclass(frozen=True)
class Verb:
    """A command that only one task has: options, a dataclass, and the function in functions.py that takes them."""

    name: str
    options: type
    function: str


@dataclasses.dataclass(frozen=True)
class Task:
    """A task by name. objective: the validation metric to choose by, and 'min' or 'max'. package: its folder's import name.
    verbs: its own; one may replace one of all tasks. retired: settings of earlier releases, which their runs still have."""

    name: str
    summary: str
    config: type
    search: dict
    objective: tuple
    package: str
    verbs: tuple = ()
    retired: tuple = ()

    @property
    def functions(self):
        """The task's functions; this is what imports TensorFlow."""
        return importlib.import_module(f"{self.package}.functions")


@dataclasses.dataclass(frozen=True)
class Data:
    """What training needs. train(first_step) gives batches (x, y) or (x, y, weights) from that step on, for ever.

    validation: batches, the same on every pass. measure(model, found): further validation figures by name, beside those already
    found; or None. content: what the task's own functions need. summary: figures for the report. callbacks: of the training (Keras's).
    """

    train: typing.Callable
    validation: typing.Any
    content: typing.Any
    summary: dict
    measure: typing.Callable | None = None
    callbacks: tuple = ()
