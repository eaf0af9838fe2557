"""Attention."""

import keras
import numpy as np
from keras import layers, ops

from zoo.errors import InputError, check_sizes


@keras.saving.register_keras_serializable("zoo")
class CausalSelfAttention(layers.Layer):
    """Multi-head scaled dot-product attention of every frame to itself and the `window` - 1 frames before it.

    inputs: (batch, time, dimensions). Returns the same shape. Positions enter by rotation of queries and keys, so only their
    distance counts and the layer streams: its state is the keys and values of the last window - 1 frames, at a constant cost.
    Masks are ignored: what is padded at the end is seen by padding alone.
    Source: Vaswani et al. 2017, arXiv:1706.03762; window: Beltagy et al. 2020, arXiv:2004.05150; rotation: Su et al. 2021,
    arXiv:2104.09864.
    """

    def __init__(self, heads, window, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_sizes(heads=heads, window=window)
        self.heads, self.window, self.seed = heads, window, seed
        self.supports_masking = True

    def build(self, input_shape):
        size = input_shape[-1]
        if size % (2 * self.heads):
            raise InputError(f"`heads` is {self.heads} for {size} dimensions; expected a number that divides half of them.")
        seeds = [None if self.seed is None else self.seed + i for i in range(2)]
        glorot = keras.initializers.GlorotUniform
        self.kernel = self.add_weight(name="kernel", shape=(size, 3 * size), initializer=glorot(seeds[0]))
        self.output_kernel = self.add_weight(name="output_kernel", shape=(size, size), initializer=glorot(seeds[1]))

    def call(self, inputs):
        queries, keys, values = ops.split(ops.matmul(inputs, self.kernel), 3, axis=-1)
        positions = ops.arange(ops.shape(inputs)[1])
        distance = positions[:, None] - positions[None, :]
        seen = ops.logical_and(distance >= 0, distance < self.window)
        return self._attend(queries, keys, values, positions, positions, seen)

    def initial_state(self, input_shape):
        """Buffers of the stream: keys and values of the frames before, and which of them are there."""
        before, size = self.window - 1, input_shape[-1]
        if not before:
            return []
        return [("keys", (1, before, size), 0.0), ("values", (1, before, size), 0.0), ("there", (1, before), 0.0)]

    def stream(self, inputs, states):
        """One step: the next frames and the states in, outputs and next states out."""
        queries, keys, values = ops.split(ops.matmul(inputs, self.kernel), 3, axis=-1)
        time, before = inputs.shape[1], self.window - 1
        there = ops.ones_like(inputs[:, :, 0])
        if states:
            keys, values = (ops.concatenate(pair, axis=1) for pair in ((states[0], keys), (states[1], values)))
            there = ops.concatenate([states[2], there], axis=1)
        positions = ops.arange(before + time)
        distance = positions[before:, None] - positions[None, :]
        seen = ops.logical_and(distance >= 0, distance < self.window)[None, None]
        seen = ops.logical_and(seen, there[:, None, None, :] > 0.5)
        following = [keys[:, time:], values[:, time:], there[:, time:]] if states else []
        return self._attend(queries, keys, values, positions[before:], positions, seen), following

    def _attend(self, queries, keys, values, query_positions, key_positions, seen):
        """seen: (queries, keys) or (batch, 1, queries, keys) bool."""
        size = queries.shape[-1] // self.heads
        queries = self._rotate(self._by_head(queries), query_positions)
        keys = self._rotate(self._by_head(keys), key_positions)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) / size**0.5
        # far below each row's least, and no further: a huge constant would leave int8 no steps for the scores
        unseen = ops.min(scores, axis=-1, keepdims=True) - 20.0
        shares = ops.softmax(ops.where(seen, scores, unseen), axis=-1)
        mixed = ops.transpose(ops.matmul(shares, self._by_head(values)), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (-1, ops.shape(mixed)[1], size * self.heads))
        return ops.matmul(mixed, self.output_kernel)

    def _by_head(self, x):
        """(batch, time, dimensions) as (batch, heads, time, dimensions of a head)."""
        x = ops.reshape(x, (-1, ops.shape(x)[1], self.heads, x.shape[-1] // self.heads))
        return ops.transpose(x, (0, 2, 1, 3))

    def _rotate(self, x, positions):
        """Turns each pair (x[i], x[i + half]) by its position times 10000 ** (-i / half)."""
        half = x.shape[-1] // 2
        speeds = 10000.0 ** (-np.arange(half) / half)
        # in two parts, each small: float32 has too few digits for the angle of a late position
        turns, rest = np.remainder(64 * speeds, 2 * np.pi).astype("float32"), speeds.astype("float32")
        late, early = (ops.cast(part, "float32")[:, None] for part in (positions // 64, positions % 64))
        angles = late * turns + early * rest
        cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
        first, second = x[..., :half], x[..., half:]
        return ops.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "window": self.window, "seed": self.seed}
