"""One training loop for all tasks: resumable at any step, bit for bit when determinism is on.

A checkpoint holds every variable (weights, optimizer, metrics, seeds of dropout), the step, the callbacks' state and the history.
It is written to a temporary name and renamed; a run that was killed goes on from the last one.
"""

import contextlib
import ctypes
import io
import json
import math
import os
import shutil
import signal
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from apps.run_folder import replacing, write_json, write_table
from zoo.errors import InputError
from zoo.truncated_bptt import carried_states

KEPT = 2
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # glibc's names for them: man mallopt


def prepare(config):
    """Sets seed, precision, determinism and the allocator; call it before the model is built."""
    _keep_freed_memory()
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def _keep_freed_memory():
    """Lets glibc keep what is freed: else each step's tensors of over 32 MB come from the kernel, page by page, and go back there."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(ARENA_MAX, 1)


@keras.saving.register_keras_serializable("zoo")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over a twentieth of the steps, then a cosine to a hundredth (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        warmup = max(1.0, self.steps / 20)
        progress = keras.ops.clip((step - warmup) / max(1.0, self.steps - warmup), 0.0, 1.0)
        cosine = 0.01 + 0.99 * 0.5 * (1.0 + keras.ops.cos(math.pi * progress))
        return self.peak * keras.ops.minimum((step + 1.0) / warmup, cosine)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


def fit(model, data, config, objective, folder, callbacks=(), finish=None):
    """Trains until config.steps, or until patience runs out, and leaves the best weights in the model.

    model: compiled. objective: (validation metric, 'min' or 'max'). folder: the run folder; it gets history.csv, timing.json,
    checkpoints/, logs/ and model.keras. callbacks: further Keras callbacks (their simple attributes are part of a checkpoint).
    finish: takes the best model and returns the one to save (calibrated, say).
    Returns (the saved model, the history as a list of dictionaries). Ctrl-C ends it after the step under way, with a checkpoint.
    """
    folder = Path(folder)
    run = _Run(model, data, config, objective, folder, callbacks)
    run.restore()
    with _interrupts() as interrupted:
        run.train(interrupted)
    return run.finish(finish), run.history


@contextlib.contextmanager
def _interrupts():
    """Gives a list that Ctrl-C appends to, in place of an interrupt in the middle of a step; the second Ctrl-C is one."""
    interrupted = []

    def note(*_):
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(True)

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


class _Run:
    def __init__(self, model, data, config, objective, folder, callbacks):
        self.model, self.data, self.config, self.folder = model, data, config, folder
        self.metric, self.direction = objective
        self.checkpoints = folder / "checkpoints"
        self.stopping = keras.callbacks.EarlyStopping(self.metric, patience=config.patience, mode=self.direction)
        board = keras.callbacks.TensorBoard(folder / "logs", write_graph=False)
        self.further = [*data.callbacks, *callbacks]
        self.stateful = [self.stopping, *self.further]
        self.callbacks = keras.callbacks.CallbackList([*self.stateful, board], model=model)
        self.step, self.history = 0, []
        self.timing = {"seconds": 0.0, "waited_for_data_s": 0.0, "cpu_s": 0.0}  # of the training steps, validation left out
        self.sums = {}  # of the logs of this epoch's steps: train_on_batch gives each step's own

    def variables(self):
        """Every variable by its place, which is the same in the next process; names are not."""
        model = self.model
        found = [*model.variables, *model.optimizer.variables, *model.metrics_variables, *carried_states(model)]
        unique = list({id(v): v for v in found}.values())
        return {f"{index:04d}": v for index, v in enumerate(unique)}

    def restore(self):
        self.model.optimizer.build(self.model.trainable_variables)
        self._build_metrics()
        self.callbacks.on_train_begin()
        found = self._readable_checkpoint()
        # the best weights may be newer than the checkpoint that is resumed from
        self.best_path.unlink(missing_ok=True)
        if not found:
            return
        folder, state, arrays, best = found
        variables = self.variables()
        if {name: array.shape for name, array in arrays.items()} != {name: tuple(v.shape) for name, v in variables.items()}:
            raise InputError(f"{folder} belongs to another model; give another --output, or remove {self.checkpoints}.")
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.step, self.history, self.timing, self.sums = (state[key] for key in ("step", "history", "timing", "sums"))
        for callback, attributes in zip(self.stateful, state["callbacks"]):
            vars(callback).update(attributes)
        if best:
            _write_arrays(self.best_path, best)
        tqdm.write(f"resuming at step {self.step} of {self.config.steps}")

    def _readable_checkpoint(self):
        """(folder, state, variables, best weights) of the newest whole checkpoint, or None where there is none at all."""
        folders = sorted(self.checkpoints.glob("step_*"), reverse=True)
        for folder in folders:
            try:
                state = json.loads((folder / "state.json").read_text("utf8"))
                if not {"step", "history", "timing", "sums", "callbacks"} <= state.keys():
                    raise ValueError("state.json is not whole")
                best = folder / "best.npz"
                return folder, state, _read_arrays(folder / "variables.npz"), _read_arrays(best) if best.is_file() else None
            except (OSError, ValueError, AttributeError, KeyError, EOFError, zipfile.BadZipFile) as error:
                tqdm.write(f"warning: {folder} is damaged ({error}); trying the one before it")
        if folders:
            raise InputError(f"every checkpoint in {self.checkpoints} is damaged; remove that folder to train from the start.")
        return None

    def _build_metrics(self):
        """One evaluation of a batch makes the metrics' variables, which a checkpoint needs."""
        for batch in self.data.validation:
            self.model.test_on_batch(*_with_weights(batch))
            break
        self.model.reset_metrics()

    @property
    def best_path(self):
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        return self.checkpoints / "best.npz"

    def save(self):
        """Writes a checkpoint of this step, whole or not at all, and removes the oldest ones."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        target = self.checkpoints / f"step_{self.step:09d}"
        if target.exists():
            return
        new = Path(tempfile.mkdtemp(prefix=".new.", dir=self.checkpoints))
        try:
            arrays = {name: np.asarray(v) for name, v in self.variables().items()}
            _write_arrays(new / "variables.npz", arrays)
            state = {
                "step": self.step,
                "history": self.history,
                "timing": self.timing,
                "sums": self.sums,
                "callbacks": [_simple(vars(callback)) for callback in self.stateful],
            }
            (new / "state.json").write_text(json.dumps(state), "utf8")
            if self.best_path.is_file():
                shutil.copy(self.best_path, new / "best.npz")
            os.rename(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        for old in sorted(self.checkpoints.glob("step_*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def train(self, interrupted):
        config = self.config
        if self._ended():
            return
        for leftover in self.checkpoints.glob(".new.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        batches = iter(self.data.train(self.step))
        bar = tqdm(total=config.steps, initial=self.step, desc="training", unit="step")
        with bar:
            while not self._ended():
                epoch, position = divmod(self.step, config.steps_per_epoch)
                if position == 0:
                    self.sums = {}
                    self.callbacks.on_epoch_begin(epoch)
                began, cpu = time.perf_counter(), time.process_time()
                batch = next(batches)
                self.timing["waited_for_data_s"] += time.perf_counter() - began
                self.callbacks.on_train_batch_begin(position)
                logs = self.model.train_on_batch(*_with_weights(batch), return_dict=True)
                self.timing["seconds"] += time.perf_counter() - began
                self.timing["cpu_s"] += time.process_time() - cpu
                for name, value in logs.items():
                    self.sums[name] = self.sums.get(name, 0.0) + float(value)
                self.callbacks.on_train_batch_end(position, logs)
                self.step += 1
                bar.update()
                if self.step % config.steps_per_epoch == 0 or self.step == config.steps:
                    self._end_epoch(epoch, position + 1, bar)
                if self.step % config.checkpoint_steps == 0 or interrupted:
                    self.save()
                if interrupted:
                    raise KeyboardInterrupt
        self.save()

    def _ended(self):
        return self.step >= self.config.steps or bool(self.stopping.stopped_epoch)

    def _end_epoch(self, epoch, steps, bar):
        row = {"step": self.step, **{name: total / steps for name, total in self.sums.items()}}
        if not math.isfinite(row["loss"]):
            raise InputError(
                f"the loss is {row['loss']} at step {self.step}; expected a number. Lower --learning-rate, or use --precision float32."
            )
        with _averaged(self.model):
            found = self.model.evaluate(self.data.validation, verbose=0, return_dict=True, callbacks=self.further)
            if self.data.measure:
                found.update(self.data.measure(self.model, found))
            row.update({f"val_{name}": float(value) for name, value in found.items()})
            before = [past[self.metric] for past in self.history]
            self.history.append(row)
            better = min if self.direction == "min" else max
            if not before or row[self.metric] == better([*before, row[self.metric]]) != better(before):
                with replacing(self.best_path) as temporary:
                    _write_arrays(temporary, {f"{index:04d}": array for index, array in enumerate(self.model.get_weights())})
        bar.set_postfix({self.metric: f"{row[self.metric]:.4f}"})
        self.callbacks.on_epoch_end(epoch, row)
        self._write_history()

    def _write_history(self):
        write_table(self.folder / "history.csv", self.history)

    def finish(self, finish):
        self.callbacks.on_train_end()
        if self.history:
            self._write_history()
        if self.best_path.is_file():
            self.model.set_weights(list(_read_arrays(self.best_path).values()))
        model = finish(self.model) if finish else self.model
        write_json(self.folder / "timing.json", self.timing)
        with replacing(self.folder / "model.keras") as temporary:
            model.save(temporary)
        return model


def average(config):
    """What the optimizer of a configuration takes to keep an average of the weights, where `averaged` is not 0."""
    return {"use_ema": True, "ema_momentum": config.averaged} if config.averaged else {}


@contextlib.contextmanager
def _averaged(model):
    """The model with its averaged weights, where its optimizer keeps them (use_ema=True)."""
    if not model.optimizer.use_ema:
        yield
        return
    trained = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, trained):
            variable.assign(value)


def _write_arrays(path, arrays):
    """Writes an .npz by way of memory: a zip file on a full disk complains again when it is collected."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())


def _read_arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _with_weights(batch):
    x, y, *weights = batch
    return (x, y, weights[0]) if weights else (x, y)


def _simple(attributes):
    """The attributes of a callback that JSON holds exactly."""
    kinds = (bool, int, float, str, type(None))
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}
    return {key: value for key, value in plain.items() if isinstance(value, kinds) and not key.startswith("_")}
