"""Threefry-2x32 (20 rounds): random numbers as a plain function of a seed and a counter.

Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". The same numbers come from this file,
from zoo/decoding/sampling.py (TensorFlow) and from any language with 32-bit integers: docs/randomness.md.
"""

import numpy as np

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF


def threefry2x32(key, counter):
    """Encrypts counters under a key. key: two uint32. counter: (..., 2) uint32. Returns (..., 2) uint32."""
    words = np.asarray(counter, np.uint32)
    x0, x1 = words[..., 0].copy(), words[..., 1].copy()
    schedule = [np.uint32(key[0]), np.uint32(key[1])]
    schedule.append(np.uint32(PARITY) ^ schedule[0] ^ schedule[1])
    with np.errstate(over="ignore"):
        x0 += schedule[0]
        x1 += schedule[1]
        for block in range(5):
            for rotation in ROTATIONS[block % 2]:
                x0 += x1
                x1 = (x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))
                x1 ^= x0
            x0 += schedule[(block + 1) % 3]
            x1 += schedule[(block + 2) % 3] + np.uint32(block + 1)
    return np.stack([x0, x1], axis=-1)


def uniforms(seed, stream, start, count):
    """`count` float32 in [0, 1): element i is a function of (seed, stream, start + i) alone.

    seed, stream: integers, taken modulo 2**32. start: the first counter, below 2**32.
    """
    bits = _bits(seed, stream, start, count, 1)[:, 0]
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def exponentials(seed, stream, start, count, size):
    """(count, size) float64 from the exponential distribution: row i, column j is a function of (seed, stream, start + i, j) alone."""
    bits = _bits(seed, stream, start, count, size)
    return -np.log1p(-(bits.astype(np.float64) + 0.5) * 2.0**-32)


def _bits(seed, stream, start, count, size):
    """The first words under the counters (start + i, j): (count, size) uint32."""
    counter = np.zeros((count, size, 2), np.uint32)
    counter[..., 0] = (np.arange(start, start + count, dtype=np.uint64) & np.uint64(_MASK)).astype(np.uint32)[:, None]
    counter[..., 1] = np.arange(size, dtype=np.uint32)
    return threefry2x32((seed & _MASK, stream & _MASK), counter)[..., 0]


class Stream:
    """Draws from `uniforms` one after another; two streams of one seed are independent.

    Every choice is arithmetic on float64 copies of the uniforms, so any machine makes the same one.
    """

    def __init__(self, seed, stream):
        self.seed, self.stream, self.counter = seed, stream, 0
        self._block, self._first = np.zeros(0, np.float32), 0  # drawn ahead: single draws are many

    def uniform(self, low=0.0, high=1.0):
        """A float in [low, high)."""
        if self.counter - self._first >= len(self._block):
            self._block, self._first = uniforms(self.seed, self.stream, self.counter, 128), self.counter
        value = float(self._block[self.counter - self._first])
        self.counter += 1
        return low + (high - low) * value

    def integer(self, bound):
        """An integer in [0, bound)."""
        if bound < 1:
            raise ValueError(f"`bound` is {bound}; expected at least 1.")
        return min(int(self.uniform() * bound), bound - 1)

    def chance(self, probability):
        """True with the given probability."""
        return self.uniform() < probability

    def choice(self, items):
        """One of the items."""
        return items[self.integer(len(items))]

    def array(self, count):
        """`count` float32 uniforms in [0, 1)."""
        values = uniforms(self.seed, self.stream, self.counter, count)
        self.counter += count
        return values

    def normal(self, count):
        """`count` float32 from the standard normal distribution (Box and Muller 1958)."""
        u = self.array(2 * count).astype(np.float64)
        radius = np.sqrt(-2.0 * np.log(1.0 - u[:count]))
        return (radius * np.cos(2.0 * np.pi * u[count:])).astype(np.float32)
