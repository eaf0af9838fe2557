"""The shared training loop: a run that is killed for real ends as the uninterrupted one, bit for bit."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.config import TrainingConfig
from apps.fit import WarmupCosine, fit
from apps.task import Data
from zoo.errors import InputError
from zoo.layers import through_time  # noqa: F401  the saved model has its layers

ROOT = Path(__file__).resolve().parents[2]
# the real task, small: dropout, AdamW with a schedule, early stopping, a metric with state, checkpoints off the epochs' beat
SCRIPT = """
import sys
from pathlib import Path
from apps import run_folder
from apps.fit import fit, prepare
from apps.language_model.config import TASK, Config
folder = Path(sys.argv[1])
config = Config(deterministic=True, steps=60, steps_per_epoch=20, checkpoint_steps=7, units=24, dimensions=8, dropout=0.3, batch_size=32, patience=3, averaged=0.9)
run_folder.start(folder, TASK, config)
prepare(config)
functions = TASK.functions
data = functions.data(config)
fit(functions.model(config, data), data, config, TASK.objective, folder)
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def checkpoint_of(folder):
    return max((int(p.name.split("_")[1]) for p in (folder / "checkpoints").glob("step_*")), default=0)


def kill_after(folder, step):
    """Starts the run and kills it (SIGKILL) as soon as a checkpoint of that step or later is there."""
    process, deadline = start(folder), time.monotonic() + 120
    while checkpoint_of(folder) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None, process.stdout.read()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_killed_run_resumes_and_ends_as_the_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    reference = start(whole)
    kill_after(killed, 7)
    first = checkpoint_of(killed)
    assert not (killed / "model.keras").exists()
    kill_after(killed, first + 20)
    last = start(killed)
    output, _ = last.communicate(timeout=120)
    assert last.returncode == 0 and f"resuming at step {checkpoint_before(output)}" in output
    assert reference.wait(120) == 0
    assert (whole / "history.csv").read_bytes() == (killed / "history.csv").read_bytes()
    for a, b in zip(weights(whole), weights(killed)):
        np.testing.assert_array_equal(a, b)
    with (
        np.load(whole / "checkpoints" / "step_000000060" / "variables.npz") as a,
        np.load(killed / "checkpoints" / "step_000000060" / "variables.npz") as b,
    ):
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    state_a, state_b = (json.loads((f / "checkpoints" / "step_000000060" / "state.json").read_text()) for f in (whole, killed))
    assert state_a["callbacks"] == state_b["callbacks"] and state_a["history"] == state_b["history"]


def checkpoint_before(output):
    return int(output.split("resuming at step ")[1].split(" ")[0])


def weights(folder):
    return keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


# --- in this process, on a toy ---


def toy(average=None, **changes):
    """A straight line to learn, and a model that can. average: decay of a running average of its weights."""
    keras.utils.set_random_seed(0)
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    y = 3 * x + 1

    def train(first_step):
        step = first_step
        while True:
            chosen = (np.arange(16) + 16 * step) % 64
            yield x[chosen], y[chosen]
            step += 1

    config = TrainingConfig(**{"steps": 120, "steps_per_epoch": 40, "checkpoint_steps": 50, "learning_rate": 0.1, **changes})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    kept = {"use_ema": True, "ema_momentum": average} if average else {}
    model.compile(keras.optimizers.Adam(WarmupCosine(config.learning_rate, config.steps), **kept), loss="mse")
    return model, Data(train, tf.data.Dataset.from_tensor_slices((x, y)).batch(64), None, {}), config


def test_it_learns_and_leaves_history_logs_model_and_two_checkpoints(tmp_path):
    model, data, config = toy()
    _, history = fit(model, data, config, ("val_loss", "min"), tmp_path)
    assert history[-1]["val_loss"] < 0.01 < history[0]["val_loss"]
    with open(tmp_path / "history.csv") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [40, 80, 120]
    assert len(list((tmp_path / "checkpoints").glob("step_*"))) == 2
    assert list((tmp_path / "logs").rglob("events*"))
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras").get_weights()[0], model.get_weights()[0])


def test_a_finished_run_is_not_trained_again(tmp_path):
    model, data, config = toy()
    fit(model, data, config, ("val_loss", "min"), tmp_path)
    before = model.get_weights()[0]
    model, data, config = toy()
    fit(model, data, config, ("val_loss", "min"), tmp_path)
    np.testing.assert_array_equal(before, model.get_weights()[0])


def test_the_best_weights_are_the_ones_left(tmp_path):
    model, data, config = toy(steps=200, learning_rate=1.0)
    _, history = fit(model, data, config, ("val_loss", "min"), tmp_path)
    best = min(row["val_loss"] for row in history)
    assert model.evaluate(data.validation, verbose=0) == pytest.approx(best, rel=1e-4)


class Weights(keras.callbacks.Callback):
    """The weight after each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_weights()[0].item())


def test_averaged_weights_are_looked_at_and_left_and_training_does_not_see_them(tmp_path):
    runs = {}
    for average in (None, 0.9):
        model, data, config = toy(average)
        runs[average] = Weights()
        _, history = fit(model, data, config, ("val_loss", "min"), tmp_path / str(average), [runs[average]])
    assert runs[None].seen == runs[0.9].seen
    averages = []
    for value in runs[0.9].seen:
        averages.append(0.9 * averages[-1] + 0.1 * value if averages else value)
    looks = [averages[row["step"] - 1] for row in history]
    best = min(range(len(history)), key=lambda place: history[place]["val_loss"])
    assert model.get_weights()[0].item() == pytest.approx(looks[best], rel=1e-5)
    assert model.evaluate(data.validation, verbose=0) == pytest.approx(history[best]["val_loss"], rel=1e-4)


def test_it_stops_early_and_stays_stopped(tmp_path):
    model, data, config = toy(steps=100_000, steps_per_epoch=5, patience=3, learning_rate=1e-7)
    data = Data(data.train, data.validation, None, {})
    model.set_weights([np.array([[3.0]], np.float32), np.array([1.0], np.float32)])
    _, history = fit(model, data, config, ("val_loss", "min"), tmp_path)
    assert len(history) < 60
    again, data, config = toy(steps=100_000, steps_per_epoch=5, patience=3, learning_rate=1e-7)
    assert fit(again, data, config, ("val_loss", "min"), tmp_path)[1] == history


def test_an_interrupt_leaves_a_checkpoint_to_go_on_from(tmp_path):
    model, data, config = toy()

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 12:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(model, data, config, ("val_loss", "min"), tmp_path, callbacks=[Interrupt()])
    assert (tmp_path / "checkpoints" / "step_000000013").is_dir()
    model, data, config = toy()
    assert fit(model, data, config, ("val_loss", "min"), tmp_path)[1][-1]["step"] == 120


def test_a_loss_that_is_no_number_ends_in_words(tmp_path):
    model, data, config = toy()
    broken = Data(lambda step: ((x, y * np.nan) for x, y in data.train(step)), data.validation, None, {})
    with pytest.raises(InputError, match="the loss is nan at step 40; expected a number. Lower --learning-rate"):
        fit(model, broken, config, ("val_loss", "min"), tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    model, data, config = toy()
    fit(model, data, config, ("val_loss", "min"), tmp_path)
    other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    other.compile("adam", loss="mse")
    with pytest.raises(InputError, match="belongs to another model"):
        fit(other, data, config, ("val_loss", "min"), tmp_path)


def test_the_schedule_warms_up_and_falls():
    schedule = WarmupCosine(1.0, 1000)
    rates = [float(schedule(step)) for step in (0, 25, 49, 500, 1000)]
    assert (
        rates[0] < rates[1] < rates[2] == pytest.approx(1.0, abs=1e-2)
        and rates[3] == pytest.approx(0.54, abs=0.05)
        and rates[4] == pytest.approx(0.01)
    )
