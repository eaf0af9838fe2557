"""Training scenes as features, made once and kept: what passed the encoder need not pass it again."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from apps.data.sources import cache_folder
from apps.run_folder import versions, write_json
from apps.trigger_word import scenes

VERSION = 3  # of the scenes and features; another one makes all banks anew
BLOCK = 32
STALE_S = 24 * 3600
KEPT_BYTES = 6e9  # of banks in the cache; those that were not used for longest go first, the two in use stay


def batches(batch, output, first_step):
    """Batches (x, {output: y}) of a function of the step that gives (x, y), both (rows, time, size), from a step on, for ever."""

    def read(step):
        x, y = tf.numpy_function(batch, [step], [tf.float32] * 2, stateful=False)
        for array in (x, y):
            array.set_shape([None, None, None])
        return x, {output: y}

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return steps.map(read, num_parallel_calls=1, deterministic=True).prefetch(3)


class Bank:
    """`count` scenes' features and labels, on disk; making them goes on where it was stopped.

    source: a Scenes. features: a Features. `rows(indices)` gives (features (n, time, size), labels (n, time, words)) float32.
    teacher: the Features whose embeddings of the undisturbed speech are the labels, in place of the words; see `distillation`.
    """

    def __init__(self, source, count, features, label, teacher=None):
        self._scenes, self.count, self._features, self._label, self._teacher = source, count, features, label, teacher
        self._arrays = None

    def make(self):
        """Makes what is missing, under a progress bar."""
        if self._arrays is None:
            self._arrays = self._make()

    def rows(self, indices):
        self.make()
        return tuple(np.asarray(array[indices], np.float32) for array in self._arrays)

    def drawn(self, draw, count):
        """`count` rows at random. draw: a Stream."""
        return self.rows(np.minimum((draw.array(count) * self.count).astype(np.int64), self.count - 1))

    def _make(self):
        folder = cache_folder() / "banks"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self._key()
        first = self._heard([0], map)
        kinds = (("features", np.float16), ("labels", np.float16 if self._teacher else np.int8))
        shapes = {name: ((self.count, *array.shape[1:]), dtype) for (name, dtype), array in zip(kinds, first)}
        note = path.with_suffix(".json")
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want one bank
            arrays, done = self._open(path, note, shapes)
            if done < self.count:
                self._fill(arrays, done, note)
            note.touch()
        self._forget(folder)
        return arrays

    @staticmethod
    def _open(path, note, shapes):
        """(the arrays on disk, how many scenes of them are made); what does not fit its note is made again."""
        files = {path.with_suffix(f".{name}"): (shape, np.dtype(dtype)) for name, (shape, dtype) in shapes.items()}
        done = 0
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            done = json.loads(note.read_text("utf8"))["done"]
        sizes = {file: math.prod(shape) * dtype.itemsize for file, (shape, dtype) in files.items()}
        if not done or any(not file.is_file() or file.stat().st_size != size for file, size in sizes.items()):
            done = 0
            note.unlink(missing_ok=True)
            for file, size in sizes.items():
                with open(file, "wb") as new:
                    os.posix_fallocate(new.fileno(), 0, size)  # a full disk is known now
        return [np.memmap(file, dtype, mode="r+", shape=shape) for file, (shape, dtype) in files.items()], done

    def _fill(self, arrays, done, note):
        with tqdm(total=self.count, initial=done, unit="scene", desc=self._label) as bar, ThreadPoolExecutor(2) as threads:
            while done < self.count:
                block = range(done, min(done + BLOCK, self.count))
                for array, found in zip(arrays, self._heard(block, threads.map)):
                    array[block.start : block.stop] = found
                done = block.stop
                bar.update(len(block))
                if done % (16 * BLOCK) == 0 or done == self.count:
                    for array in arrays:
                        array.flush()
                    write_json(note, {"done": done})

    def _heard(self, block, map_over):
        """(features, labels) of some scenes."""
        samples, labels = zip(*map_over(self._scenes.scene, block))
        if self._teacher:
            labels = self._teacher.of_batch(np.stack(list(map_over(self._scenes.undisturbed, block))))
        return np.asarray(self._features.of_batch(np.stack(samples))), np.asarray(labels)

    def _key(self):
        """A name that changes with anything the features depend on."""
        s = self._scenes
        key = hashlib.sha256(
            json.dumps(
                [
                    VERSION,
                    self.count,
                    s.seed,
                    s.length,
                    s.score_s,
                    s.positive_share,
                    s.part_share,
                    s.near_share,
                    s.clean,
                    [part and part.identity for part in (self._features, self._teacher)],
                    s.ingredients.pause_s,
                    {name: value for name, value in vars(scenes).items() if name.isupper()},
                    versions(),
                ],
                default=str,
            ).encode()
        )
        parts = s.ingredients
        for arrays in (*parts.words, parts.negatives, parts.noises, parts.rooms, parts.near):
            key.update(str(len(arrays)).encode())
            for array in arrays:
                key.update(f"{array.shape} {array.dtype}".encode())
                key.update(np.ascontiguousarray(array))
        return key.hexdigest()[:24]

    @staticmethod
    def _forget(folder):
        notes = sorted(folder.glob("*.json"), key=lambda path: -path.stat().st_mtime)
        total = 0
        for index, note in enumerate(notes):
            files = list(folder.glob(f"{note.stem}.*"))
            total += sum(path.stat().st_size for path in files)
            if index >= 2 and total > KEPT_BYTES:
                for path in files:
                    path.unlink(missing_ok=True)
        for path in folder.glob("*.features"):
            # of a run that was stopped before its first note, and not the one under way
            if not path.with_suffix(".json").is_file() and time.time() - path.stat().st_mtime > STALE_S:
                for rest in folder.glob(f"{path.stem}.*"):
                    rest.unlink(missing_ok=True)
