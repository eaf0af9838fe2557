"""Search for better settings with keras-tuner; the space stands beside the task's Config as SEARCH."""

import dataclasses
import os
import shutil
from pathlib import Path

import keras
from tqdm import tqdm

from apps import run_folder
from apps.config import to_json
from apps.fit import fit, prepare
from apps.task import Choice
from zoo.errors import InputError


def tune(task, options):
    """Tries configurations and writes best.json; several processes share a search by `worker` and `oracle`."""
    _announce_worker(options)
    import keras_tuner

    class Trials(keras_tuner.Tuner):
        def run_trial(self, trial, *_, **__):
            settings = {name: _draw(trial.hyperparameters, name, space) for name, space in task.search.items()}
            config = dataclasses.replace(options.config, **settings)
            folder = Path(self.get_trial_dir(trial.trial_id)) / "run"
            run_folder.start(folder, task, config)
            keras.backend.clear_session()
            prepare(config)
            data = task.functions.data(config)
            _, history = fit(task.functions.model(config, data), data, config, task.objective, folder)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            metric, direction = task.objective
            best = (min if direction == "min" else max)(row[metric] for row in history)
            return {metric: best}

    oracles = {"random": keras_tuner.oracles.RandomSearchOracle, "bayesian": keras_tuner.oracles.BayesianOptimizationOracle}
    oracle = oracles[options.method](keras_tuner.Objective(*task.objective), max_trials=options.trials, seed=options.config.seed)
    run_folder.start(options.output, task, options.config)
    tuner = Trials(oracle=oracle, directory=str(options.output), project_name="trials", overwrite=False)
    tuner.search()
    trials = tuner.oracle.get_best_trials(options.trials)
    if not trials:
        raise InputError(f"{options.output} has no finished trial; look above for why they failed.")
    table = [{**trial.hyperparameters.values, task.objective[0]: trial.score} for trial in trials]
    run_folder.write_json(options.output / "trials.json", table)
    best = {name: value for name, value in table[0].items() if name in task.search}
    run_folder.write_json(options.output / "best.json", to_json(dataclasses.replace(options.config, **best)))
    for row in table:
        tqdm.write(
            "  ".join(f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items())
        )
    tqdm.write(f"best settings: {options.output / 'best.json'}")


def _draw(hyperparameters, name, space):
    if isinstance(space, Choice):
        return hyperparameters.Choice(name, list(space.values))
    sampling = "log" if space.log else "linear"
    if space.step:
        return hyperparameters.Int(name, int(space.low), int(space.high), step=space.step, sampling=sampling)
    return hyperparameters.Float(name, space.low, space.high, sampling=sampling)


def _announce_worker(options):
    """keras-tuner's own chief and workers are named by the environment."""
    if options.worker is None:
        return
    host, _, port = options.oracle.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"`oracle` is {options.oracle!r}; expected HOST:PORT of the chief, such as 127.0.0.1:8000.")
    os.environ.update(KERASTUNER_TUNER_ID=options.worker, KERASTUNER_ORACLE_IP=host, KERASTUNER_ORACLE_PORT=port)
