"""Training, exporting, evaluating and reporting a run, the same for all tasks."""

import contextlib
import os
import sys
import zipfile
from pathlib import Path

import keras
from tqdm import tqdm

import zoo
from apps import run_folder
from apps.config import read_json
from apps.fit import fit, prepare
from apps.report import Section, write_report
from zoo import presets
from zoo.errors import InputError


def train(task, config, output):
    """The whole way from a configuration to a run folder with model, device folder, metrics and report."""
    output = Path(output)
    new = run_folder.start(output, task, config)
    prepare(config)
    functions = task.functions
    with _nothing_left_of(output) if new else contextlib.nullcontext():
        data = functions.data(config)
    run_folder.same_data(output, data.summary.get("fingerprint"), begins=True)
    for name, text in functions.assets(data).items():
        run_folder.write_text(output / "assets" / name, text)
    model = functions.model(config, data)
    model, _ = fit(model, data, config, task.objective, output, finish=lambda best: _finished(task, best, output, config, data))
    timing = read_json(output / "timing.json")
    if timing["seconds"]:
        tqdm.write(
            f"trained {timing['seconds']:.0f} s, {timing['cpu_s'] / timing['seconds']:.1f} of {os.cpu_count()} cores busy, "
            f"{100 * timing['waited_for_data_s'] / timing['seconds']:.0f}% of the time waiting for data"
        )
    _export(task, model, output, config, data)
    _evaluate(task, output, config, data)
    _report(task, output, config, data)
    tqdm.write(f"report: {output / 'report.html'}\n\nnext:")
    for command in functions.next_commands(output, config):
        tqdm.write(f"  {command.replace('python', _python(), 1)}")


@contextlib.contextmanager
def _nothing_left_of(output):
    """Where the data of a new run can't be had, its folder is as it was before."""
    try:
        yield
    except InputError:
        for name in ("config.json", "environment.json"):
            (output / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            output.rmdir()
        raise


def _finished(task, best, output, config, data):
    """The model to save and export: in float32 whatever it was trained in, finished by its task."""
    if config.precision != "float32":
        keras.config.set_dtype_policy("float32")
        weights = best.get_weights()
        best = task.functions.model(config, data)
        best.set_weights(weights)
    return task.functions.finish(best, output, config, data)


def _python():
    """This interpreter as a person would type it from here."""
    here = os.path.relpath(sys.executable)
    return "python" if here.startswith("..") else here


def open_run(task, folder):
    """(configuration, data, trained model) of a finished run."""
    folder = Path(folder)
    config = _config_of_run(task, folder)
    if not (folder / "model.keras").is_file():
        raise InputError(
            f"{folder} has no model.keras: its training was not finished. Run `python -m apps {task.name} train` with its options again."
        )
    prepare(config)
    keras.config.set_dtype_policy("float32")
    data = task.functions.data(config)
    run_folder.same_data(folder, data.summary.get("fingerprint"))
    model = zoo.build(config.builder, **task.functions.builder_arguments(config, data))
    try:
        saved = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
        model.set_weights(saved.get_weights())
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{folder / 'model.keras'} cannot be read as this run's model ({reason}); train again.") from None
    return config, data, model


def _config_of_run(task, folder):
    """The configuration of a run, which may be unfinished, but is no preset."""
    if (Path(folder) / "preset.json").is_file():
        raise InputError(
            f"{folder} is a preset; expected a run folder, as `python -m apps {task.name} train --output DIR` makes it."
        )
    return run_folder.read_config(folder, task)


def export_run(task, folder):
    """Exports a finished run again."""
    config, data, model = open_run(task, folder)
    _export(task, model, Path(folder), config, data)


def evaluate_run(task, folder, **options):
    """Measures a finished run again. options: what only this task's `evaluate` takes."""
    config = _config_of_run(task, folder)
    data = task.functions.data(config)
    run_folder.same_data(folder, data.summary.get("fingerprint"))
    _evaluate(task, Path(folder), config, data, **options)


def report_run(task, folder):
    """Writes a finished run's report again."""
    config = run_folder.read_config(folder, task)
    _report(task, Path(folder), config, None)


CARD = """# {name}

{summary}

- Model: `zoo.load("{name}")`, the builder {builder}, {weights:,} weights
- Data: {data}
- Made by: `python -m apps {task}` with the settings in its config.json; versions in preset.json
- Licence: Apache-2.0, weights included

## Figures

{figures}

## Limits

{limits}"""


def write_preset(task, folder, output):
    """Makes a preset folder of a finished run."""
    folder, output = Path(folder), Path(output)
    config, data, model = open_run(task, folder)
    metrics = read_json(folder / "metrics.json")
    functions = task.functions
    sources = metrics["data"].get("sources") or [["data", metrics["data"]["source"]]]
    card = CARD.format(
        name=output.name,
        summary=task.summary.capitalize() + ".",
        builder=config.builder,
        weights=model.count_params(),
        task=task.name,
        data="; ".join(text for _, text in sources),
        figures="\n".join(f"- {line}" for line in functions.headline(metrics)),
        limits=functions.card(metrics),
    )
    runs = "device" if (folder / "device").is_dir() else "saved_model"
    kept = [(name, folder / name) for name in ("config.json", "parity.json", "assets", runs)]
    presets.save(
        output,
        model,
        builder=config.builder,
        arguments=functions.builder_arguments(config, data),
        task=task.name,
        metrics=metrics,
        card=card,
        versions=run_folder.versions(),
        extra=kept,
    )
    tqdm.write(f"preset: {output}")


def _export(task, model, folder, config, data):
    tqdm.write("exporting")
    parity = task.functions.export(model, folder, config, data)
    run_folder.write_json(folder / "parity.json", parity)
    for name, figure in parity.items():
        tqdm.write(
            f"  {name}: largest difference {figure['largest']:.1e}, {100 * figure['within']:.2f}% within {figure['tolerance']:g}"
        )
        if "int8" not in name and figure["within"] < 1:
            raise RuntimeError(f"{name}: {100 * (1 - figure['within']):.2f}% are further apart than {figure['tolerance']:g}.")


def _evaluate(task, folder, config, data, **options):
    tqdm.write("evaluating")
    metrics = task.functions.evaluate(folder, config, data, **options)
    metrics["training"] = read_json(folder / "timing.json")
    run_folder.write_json(folder / "metrics.json", metrics)
    for line in (*task.functions.headline(metrics), *task.functions.examples(metrics)):
        tqdm.write(f"  {line}")


def _report(task, folder, config, data):
    metrics = read_json(folder / "metrics.json")
    try:
        sections = task.functions.report(folder, config, data, metrics)
        sections.append(Section("Settings", rows=[("setting", "value"), *run_folder_rows(folder)]))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder} has a metrics.json, history.csv or environment.json that was changed or cut short ({error!r}); "
            f"run `python -m apps {task.name} evaluate --run {folder}`, or train again."
        ) from error
    write_report(folder / "report.html", f"{task.name}: {task.summary}", sections)


def run_folder_rows(folder):
    """The configuration and versions of a run as table rows."""
    config, environment = read_json(folder / "config.json"), read_json(folder / "environment.json")
    return [
        *config.items(),
        *environment["versions"].items(),
        ("platform", environment["platform"]),
        ("git commit", environment["git_commit"]),
    ]
