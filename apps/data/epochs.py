"""Epoch after epoch, from any step on, so that a training resumes where it was; batches of like lengths, padded."""

import itertools

import numpy as np

from tflite.runtime.randomness import Stream

POOL = 1000  # batches whose items are sorted by length together


def from_step(first_step, per_epoch, arrange):
    """Yields the items of epochs from a step on, for ever. arrange(epoch): its `per_epoch` items in their order."""
    epoch = None
    for step in itertools.count(first_step):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            items = arrange(epoch)
        yield items[step % per_epoch]


def like_lengths(lengths, config, epoch):
    """The items of each batch of an epoch, (batches, batch size): items of like lengths together, every epoch in its own order.

    lengths: (items, kinds), sorted by the last kind first. config: has `batch_size` and `seed`.
    """
    size, random = config.batch_size, Stream(config.seed + 1, epoch)
    count = len(lengths) // size
    # what no whole batch has room for is another part of the items each time
    mixed = np.argsort(random.array(len(lengths)), kind="stable")[: count * size]
    pools = [mixed[start : start + POOL * size] for start in range(0, len(mixed), POOL * size)]
    ordered = np.concatenate([pool[np.lexsort(lengths[pool].T)] for pool in pools])
    return ordered.reshape(count, size)[np.argsort(random.array(count), kind="stable")]


def padded(rows, filler=0):
    """(rows, the longest) int32, `filler` after each."""
    found = np.full((len(rows), max(map(len, rows))), filler, np.int32)
    for row, items in zip(found, rows):
        row[: len(items)] = items
    return found
