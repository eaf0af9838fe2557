"""Lines of text as token sequences: vocabulary, splits, batches."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from apps.data.text import read_lines, read_set_lines
from tflite.runtime.randomness import Stream
from zoo.errors import InputError

BUNDLED = Path(__file__).with_name("names.txt")
PADDING, BOUNDARY = "<padding>", "<boundary>"
LEAST = 30


@dataclasses.dataclass(frozen=True)
class Corpus:
    """vocabulary: the token at each index. lines: distinct texts by split ('train', 'val', 'test'). duplicates: lines dropped."""

    vocabulary: tuple
    lines: dict
    duplicates: int
    source: str

    def tokens(self, lines, length):
        """(lines, length) int32: boundary, characters, boundary, padding."""
        index = {character: i for i, character in enumerate(self.vocabulary)}
        found = np.zeros((len(lines), length), np.int32)
        for row, line in enumerate(lines):
            found[row, : len(line) + 2] = [1, *(index[character] for character in line), 1]
        return found


def read_corpus(config):
    """The corpus of a configuration. Distinct lines only, split by a hash of the line: 80% train, 10% val, 10% test."""
    if config.text is not None:
        lines, source = read_lines(config.text), str(config.text)
    elif config.dataset == "names":
        lines, source = read_set_lines("names", "names/names.txt"), "names (32,033 names, MIT)"
    else:
        lines, source = read_lines(BUNDLED), "the bundled names"
    longest = max(lines, key=len)
    if len(longest) > config.max_length:
        raise InputError(
            f"a line of the text has {len(longest)} characters ({longest[:30]!r}...); expected at most {config.max_length}. Give --max-length."
        )
    distinct = sorted(set(lines))
    if len(distinct) < LEAST:
        raise InputError(f"the text has {len(distinct)} distinct lines; expected at least {LEAST}, better thousands.")
    split = {"train": [], "val": [], "test": []}
    for line in distinct:
        place = hashlib.sha256(f"{config.seed}:{line}".encode()).digest()[0] * 10 // 256
        split["test" if place == 0 else "val" if place == 1 else "train"].append(line)
    if not split["val"] or not split["test"]:
        raise InputError(f"the text's {len(distinct)} lines leave none to validate or test with; give more.")
    vocabulary = (PADDING, BOUNDARY, *sorted(set("".join(distinct))))
    return Corpus(vocabulary, split, len(lines) - len(distinct), source)


def batches(tokens, config, first_step):
    """Batches (inputs, targets) from a step on, for ever; every epoch has its own order."""
    size = min(config.batch_size, len(tokens))
    per_epoch = len(tokens) // size
    step, epoch, order = first_step, None, None
    while True:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = np.argsort(Stream(config.seed + 1, epoch).array(len(tokens)), kind="stable")
        start = step % per_epoch * size
        chosen = tokens[order[start : start + size]]
        yield inputs_and_targets(chosen)
        step += 1


def inputs_and_targets(tokens):
    """What the model reads and what it should say next. Where nothing follows the input is padding, so that it is masked."""
    targets = tokens[:, 1:]
    return np.where(targets == 0, 0, tokens[:, :-1]), {"logits": targets}
