"""The order in which names are dealt to splits: random, the same everywhere, and a name's own, whatever else is there."""

import hashlib


def shuffled(seed, name):
    """The key to sort a name by, or to deal it out by: bytes, a hash of seed and name."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
