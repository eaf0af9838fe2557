"""The verbs that every task has: train, evaluate, export, report, preset, tune."""

import dataclasses
import typing
from pathlib import Path

from apps.config import Bounds, check_bounds


@dataclasses.dataclass(frozen=True)
class Shared:
    """A verb of all tasks. options(task): its dataclass. run(task, options): does it."""

    name: str
    options: typing.Callable
    run: typing.Callable


def _train_options(task):
    @dataclasses.dataclass(frozen=True)
    class Train:
        config: task.config
        output: Path
        """folder to write the run to; a run that was interrupted there goes on"""

    Train.__doc__ = f"{task.config.__doc__.strip()} Fits, exports, evaluates and reports; resumes where it was stopped."
    return Train


def _on_run(text):
    def options(task):
        @dataclasses.dataclass(frozen=True)
        class Options:
            run: Path
            """run folder, as `train` makes it"""

        Options.__doc__ = text
        return Options

    return options


def _tune_options(task):
    fields = ", ".join(task.search)

    @dataclasses.dataclass(frozen=True)
    class Tune:
        config: task.config
        output: Path
        """folder for the trials; a search that was interrupted there goes on"""
        trials: typing.Annotated[int, Bounds(1, 100_000)] = 10
        """how many configurations to try"""
        method: typing.Literal["random", "bayesian"] = "bayesian"
        """how they are chosen"""
        worker: str | None = None
        """this process's name in a search over several: 'chief' serves the oracle, any other name tries configurations"""
        oracle: str = "127.0.0.1:8000"
        """host:port of the chief"""

        def __post_init__(self):
            check_bounds(self)

    Tune.__doc__ = f"Searches for better settings of {fields} with keras-tuner."
    return Tune


def _preset_options(task):
    @dataclasses.dataclass(frozen=True)
    class Preset:
        run: Path
        """run folder, as `train` makes it"""
        output: Path
        """folder to write the preset to, such as saved_models/NAME"""

    Preset.__doc__ = (
        "Makes a preset of a finished run: weights, card, figures and device folder, with checksums; `zoo.load` reads it."
    )
    return Preset


def _train(task, options):
    from apps.train import train

    train(task, options.config, options.output)


def _evaluate(task, options):
    from apps.train import evaluate_run

    evaluate_run(task, options.run)


def _export(task, options):
    from apps.train import export_run

    export_run(task, options.run)


def _report(task, options):
    from apps.train import report_run

    report_run(task, options.run)


def _preset(task, options):
    from apps.train import write_preset

    write_preset(task, options.run, options.output)


def _tune(task, options):
    from apps.tune import tune

    tune(task, options)


VERBS = {
    verb.name: verb
    for verb in (
        Shared("train", _train_options, _train),
        Shared(
            "evaluate",
            _on_run("Measures a run on its test data again, through the exported files, and writes metrics.json."),
            _evaluate,
        ),
        Shared("export", _on_run("Exports a run again: SavedModel, TFLite files, device folder."), _export),
        Shared("report", _on_run("Writes a run's report.html again."), _report),
        Shared("preset", _preset_options, _preset),
        Shared("tune", _tune_options, _tune),
    )
}
