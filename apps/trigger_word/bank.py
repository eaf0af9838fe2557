"""Training scenes as features, made once and kept: what passed the encoder need not pass it again."""

import contextlib
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from apps.data.sources import cache_folder
from apps.run_folder import write_json

VERSION = 1  # of the scenes and features; another one makes all banks anew
BLOCK = 32
KEPT = 24  # banks in the cache; the oldest go first


class Bank:
    """`count` scenes' features and labels, on disk; making them goes on where it was stopped.

    scenes: a Scenes. features: a Features. `rows(indices)` gives (features (n, time, size), labels (n, time, words)) float32.
    """

    def __init__(self, scenes, count, features, label):
        self._scenes, self.count, self._features, self._label = scenes, count, features, label
        self._arrays = None

    def make(self):
        """Makes what is missing, under a progress bar."""
        if self._arrays is None:
            self._arrays = self._make()

    def rows(self, indices):
        self.make()
        return tuple(np.asarray(array[indices], np.float32) for array in self._arrays)

    def _make(self):
        folder = cache_folder() / "banks"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self._key()
        first = np.asarray(self._features.of_batch(self._scenes.scene(0)[0][None]))[0]
        labels = (self._scenes.scores, len(self._scenes.ingredients.words))
        shapes = {"features": ((self.count, *first.shape), np.float16), "labels": ((self.count, *labels), np.int8)}
        files = {name: path.with_suffix(f".{name}") for name in shapes}
        done = 0
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            done = json.loads(path.with_suffix(".json").read_text("utf8"))["done"]
        if not all(file.is_file() for file in files.values()):
            done = 0
        arrays = [
            np.memmap(files[name], dtype, mode="r+" if done else "w+", shape=shape) for name, (shape, dtype) in shapes.items()
        ]
        if done < self.count:
            self._fill(arrays, done, path.with_suffix(".json"))
        path.with_suffix(".json").touch()
        self._forget(folder)
        return arrays

    def _fill(self, arrays, done, note):
        with tqdm(total=self.count, initial=done, unit="scene", desc=self._label) as bar, ThreadPoolExecutor(2) as threads:
            while done < self.count:
                block = range(done, min(done + BLOCK, self.count))
                samples, labels = zip(*threads.map(self._scenes.scene, block))
                arrays[0][block.start : block.stop] = np.asarray(self._features.of_batch(np.stack(samples)))
                arrays[1][block.start : block.stop] = np.stack(labels)
                done = block.stop
                bar.update(len(block))
                if done % (16 * BLOCK) == 0 or done == self.count:
                    for array in arrays:
                        array.flush()
                    write_json(note, {"done": done})

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
                    self._features.layer.options,
                    bool(self._features.encoder),
                ],
                default=str,
            ).encode()
        )
        parts = s.ingredients
        for arrays in (*parts.words, parts.negatives, parts.noises, parts.rooms, parts.near):
            key.update(str(len(arrays)).encode())
            for array in arrays:
                key.update(np.ascontiguousarray(array))
        return key.hexdigest()[:24]

    @staticmethod
    def _forget(folder):
        notes = sorted(folder.glob("*.json"), key=lambda path: -path.stat().st_mtime)
        for note in notes[KEPT:]:
            for path in folder.glob(f"{note.stem}.*"):
                path.unlink(missing_ok=True)
