"""Attention: additive, multiplicative, multi-head; with a local window, with coverage; causal to itself."""

import keras
import numpy as np
from keras import layers, ops

from zoo.errors import InputError, check_sizes

SCORES = ("additive", "concat", "dot", "scaled_dot", "general")
LOCAL = ("monotonic", "predictive")
FLOOR = 20.0  # what is masked scores so far below the least score: a huge constant would leave int8 no steps for the others


def masked_softmax(scores, mask):
    """Softmax over the last axis of what the mask shows: zero elsewhere, and all zeros where it shows nothing.

    scores: (..., time). mask: bool that broadcasts to it, or None.
    """
    if mask is None:
        return ops.softmax(scores, axis=-1)
    unseen = ops.min(scores, axis=-1, keepdims=True) - FLOOR
    weights = ops.softmax(ops.where(mask, scores, unseen), axis=-1) * ops.cast(mask, scores.dtype)
    # what is shown has all but a millionth of the sum; where nothing is, one half keeps the gradient finite
    return weights / ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 0.5)


@keras.saving.register_keras_serializable("zoo")
class Attention(layers.Layer):
    """A weighted sum of a memory, weighted by how well each place of it fits the query: softmax of a score over the places.

    query: (batch, queries, q). memory: (batch, time, m). mask: (batch, time) bool, of what may be looked at; without any of it, the sum
    is zeros. positions: (batch, queries), of the queries (default: 0, 1, ...). covered: (batch, time), the sum of the weights that
    each place had from the queries before, for coverage, which takes one query at a time.
    Returns (batch, queries, m), with return_weights also the weights (batch, queries, time).

    score: 'additive', v . tanh(Wq q + Wm m + b), which is also Luong's 'concat'; 'dot', q . m; 'scaled_dot', that over the root of q;
    'general', q . W m. units: width of the tanh layer (default: q). local: 'monotonic' looks `window` places to both sides of the query's
    own position; 'predictive' to both sides of one that it chooses itself, with a Gaussian of deviation window / 2 on top.
    Source: Bahdanau et al. 2015, arXiv:1409.0473 (the notes, attention); Luong et al. 2015, arXiv:1508.04025; Vaswani et al. 2017,
    arXiv:1706.03762; coverage: Tu et al. 2016, arXiv:1601.04811, in the form of See et al. 2017, arXiv:1704.04368.
    """

    def __init__(self, score="additive", units=None, local=None, window=None, coverage=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        for name, value, choices in (("score", score, SCORES), ("local", local, (None, *LOCAL))):
            if value not in choices:
                raise InputError(f"`{name}` is {value!r}; expected one of {', '.join(map(str, choices))}.")
        if coverage and score not in ("additive", "concat"):
            raise InputError(f"`coverage` is asked for with the score {score!r}; expected 'additive', to whose sum it belongs.")
        if (local is None) != (window is None):
            raise InputError(f"`local` is {local!r} and `window` is {window!r}; expected both or neither.")
        check_sizes(**{name: value for name, value in (("units", units), ("window", window)) if value is not None})
        self.score, self.units, self.local, self.window, self.coverage, self.seed = score, units, local, window, coverage, seed
        self.supports_masking = True

    def build(self, query_shape, memory_shape):
        size, places = query_shape[-1], memory_shape[-1]
        self._tanh = self.score in ("additive", "concat")
        units = self.units or size
        shapes = {}
        if self._tanh:
            shapes = {
                "query_kernel": (size, units),
                "memory_kernel": (places, units),
                "bias": (units,),
                "scores_kernel": (units, 1),
            }
        elif self.score == "general":
            shapes = {"memory_kernel": (places, size)}
        elif size != places:
            raise InputError(f"the score {self.score!r} of {size} and {places} numbers; expected equally many, or 'general'.")
        if self.coverage:
            shapes["coverage_kernel"] = (1, units)
        if self.local == "predictive":
            shapes.update(position_kernel=(size, units), position_scores_kernel=(units, 1))
        for place, (name, shape) in enumerate(shapes.items()):
            seed = None if self.seed is None else self.seed + place
            start = "zeros" if name == "bias" else keras.initializers.GlorotUniform(seed)
            setattr(self, name, self.add_weight(name=name, shape=shape, initializer=start))

    def prepare(self, memory):
        """What queries are held against: once for a memory, (batch, time, units or q)."""
        if self.score in ("dot", "scaled_dot"):
            return memory
        keys = ops.matmul(memory, self.memory_kernel)
        return keys + self.bias if self._tanh else keys

    def call(self, query, memory, mask=None, positions=None, covered=None, return_weights=False):
        mask = mask[1] if isinstance(mask, (list, tuple)) else mask
        context, weights = self.attend(query, self.prepare(memory), memory, mask, positions, covered)
        return (context, weights) if return_weights else context

    def attend(self, query, keys, memory, mask=None, positions=None, covered=None):
        """(context, weights) with what `prepare` made of the memory; the arguments are those of a call."""
        scores = self._scores(query, keys, covered)
        mask = None if mask is None else ops.cast(mask, "bool")[:, None]
        nearness = 1.0
        if self.local:
            places = ops.cast(ops.arange(ops.shape(memory)[1]), scores.dtype)
            distance = places - self._centres(query, mask, positions, scores)[..., None]
            near = ops.abs(distance) <= self.window
            mask = near if mask is None else ops.logical_and(mask, near)
            if self.local == "predictive":
                nearness = ops.exp(-2.0 * ops.square(distance / self.window))
        weights = masked_softmax(scores, mask) * nearness
        return ops.matmul(ops.cast(weights, memory.dtype), memory), weights

    def _scores(self, query, keys, covered):
        if self._tanh:
            sums = ops.matmul(query, self.query_kernel)[:, :, None] + keys[:, None]
            if self.coverage:
                covered = ops.zeros_like(keys[:, :, 0]) if covered is None else covered
                sums = sums + (ops.cast(covered, keys.dtype)[..., None] * self.coverage_kernel)[:, None]
            scores = ops.squeeze(ops.matmul(ops.tanh(sums), self.scores_kernel), axis=-1)
        else:
            scores = ops.matmul(query, ops.transpose(keys, (0, 2, 1)))
        scores = ops.cast(scores, "float32")
        return scores / query.shape[-1] ** 0.5 if self.score == "scaled_dot" else scores

    def _centres(self, query, mask, positions, scores):
        """(batch, queries): the place that each query's window lies around."""
        if self.local == "monotonic":
            positions = ops.arange(ops.shape(query)[1])[None] if positions is None else positions
            return ops.cast(positions, scores.dtype)
        length = ops.shape(scores)[-1] if mask is None else ops.sum(ops.cast(mask, scores.dtype), axis=-1)
        chosen = ops.matmul(ops.tanh(ops.matmul(query, self.position_kernel)), self.position_scores_kernel)
        return ops.cast(length, scores.dtype) * ops.sigmoid(ops.cast(chosen[..., 0], scores.dtype))

    def get_config(self):
        names = ("score", "units", "local", "window", "coverage", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("zoo")
class MultiHeadAttention(layers.Layer):
    """Scaled dot-product attention by several heads, each in its own projection of query and memory.

    query: (batch, queries, q). memory: (batch, time, m). mask: (batch, time) bool. Returns (batch, queries, q), with return_weights
    also the weights (batch, heads, queries, time). Source: Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(self, heads, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_sizes(heads=heads)
        self.heads, self.seed = heads, seed
        self.supports_masking = True

    def build(self, query_shape, memory_shape):
        size = query_shape[-1]
        if size % self.heads:
            raise InputError(f"`heads` is {self.heads} for {size} dimensions; expected a number that divides them.")
        seeds = [None if self.seed is None else self.seed + place for place in range(3)]
        glorot = keras.initializers.GlorotUniform
        self.query_kernel = self.add_weight(name="query_kernel", shape=(size, size), initializer=glorot(seeds[0]))
        self.memory_kernel = self.add_weight(
            name="memory_kernel", shape=(memory_shape[-1], 2 * size), initializer=glorot(seeds[1])
        )
        self.output_kernel = self.add_weight(name="output_kernel", shape=(size, size), initializer=glorot(seeds[2]))

    def prepare(self, memory):
        """Keys and values: once for a memory, (batch, time, 2 q)."""
        return ops.matmul(memory, self.memory_kernel)

    def call(self, query, memory, mask=None, return_weights=False):
        mask = mask[1] if isinstance(mask, (list, tuple)) else mask
        context, weights = self.attend(query, self.prepare(memory), memory, mask)
        return (context, weights) if return_weights else context

    def attend(self, query, keys, memory, mask=None):
        """(context, weights) with what `prepare` made of the memory."""
        keys, values = (by_head(part, self.heads) for part in ops.split(keys, 2, axis=-1))
        queries = by_head(ops.matmul(query, self.query_kernel), self.heads)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) / queries.shape[-1] ** 0.5
        mask = None if mask is None else ops.cast(mask, "bool")[:, None, None]
        weights = masked_softmax(ops.cast(scores, "float32"), mask)
        return ops.matmul(joined(ops.matmul(ops.cast(weights, values.dtype), values)), self.output_kernel), weights

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "seed": self.seed}


@keras.saving.register_keras_serializable("zoo")
class SelfAttention(MultiHeadAttention):
    """The same of a sequence to itself, by its Keras mask. inputs: (batch, time, q). mask: (batch, time) bool. Returns (batch, time, q)."""

    def build(self, input_shape):
        super().build(input_shape, input_shape)

    def call(self, inputs, mask=None):
        return super().call(inputs, inputs, mask)


@keras.saving.register_keras_serializable("zoo")
class SinusoidalPositions(layers.Layer):
    """Adds to each place sines and cosines of its position, from slow to fast ones.

    inputs: (batch, time, dimensions). first: the position of the first place. Returns the same shape. Source: Vaswani et al. 2017.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, first=0):
        size = inputs.shape[-1]
        speeds = (10000.0 ** (-2 * (np.arange(size) // 2) / size)).astype("float32")
        angles = ops.cast(first + ops.arange(ops.shape(inputs)[1]), "float32")[:, None] * speeds
        waves = ops.where(np.arange(size) % 2 == 0, ops.sin(angles), ops.cos(angles))
        return inputs + ops.cast(waves, inputs.dtype)


def by_head(x, heads):
    """(batch, time, dimensions) as (batch, heads, time, dimensions of a head)."""
    x = ops.reshape(x, (-1, ops.shape(x)[1], heads, x.shape[-1] // heads))
    return ops.transpose(x, (0, 2, 1, 3))


def joined(x):
    """The heads side by side again."""
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] * x.shape[3]))


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
        """One step: the next frames and the states in, outputs and next states out. States may hold fewer frames than the window."""
        queries, keys, values = ops.split(ops.matmul(inputs, self.kernel), 3, axis=-1)
        time, before = inputs.shape[1], states[0].shape[1] if states else 0
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

    def extend(self, inputs, keys, values):
        """One step with all that came before: inputs (batch, 1, dimensions), keys and values (batch, frames so far, dimensions).

        Returns (outputs, keys, values), the latter with this frame; they grow to `window`.
        """
        query, key, value = ops.split(ops.matmul(inputs, self.kernel), 3, axis=-1)
        before = self.window - 1
        keys, values = (
            ops.concatenate([past[:, -before:] if before else past[:, :0], new], axis=1)
            for past, new in ((keys, key), (values, value))
        )
        positions = ops.arange(ops.shape(keys)[1])
        outputs = self._attend(query, keys, values, positions[-1:], positions, positions[None] >= 0)
        return outputs, keys, values

    def _attend(self, queries, keys, values, query_positions, key_positions, seen):
        """seen: (queries, keys) or (batch, 1, queries, keys) bool."""
        size = queries.shape[-1] // self.heads
        queries = self._rotate(by_head(queries, self.heads), query_positions)
        keys = self._rotate(by_head(keys, self.heads), key_positions)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) / size**0.5
        unseen = ops.min(scores, axis=-1, keepdims=True) - FLOOR
        shares = ops.softmax(ops.where(seen, scores, unseen), axis=-1)
        return ops.matmul(joined(ops.matmul(shares, by_head(values, self.heads))), self.output_kernel)

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
