"""Epoch after epoch, from any step on, so that a training resumes where it was."""

import itertools


def from_step(first_step, per_epoch, arrange):
    """Yields the items of epochs from a step on, for ever. arrange(epoch): its `per_epoch` items in their order."""
    epoch = None
    for step in itertools.count(first_step):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            items = arrange(epoch)
        yield items[step % per_epoch]
