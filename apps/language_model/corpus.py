"""Text as token sequences: vocabulary, splits, batches; lines by themselves, or running text."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from apps.data.text import read_lines, read_set_lines, read_set_text, read_text
from tflite.runtime.randomness import Stream
from zoo.errors import InputError
from zoo.truncated_bptt import windows

BUNDLED = Path(__file__).with_name("names.txt")
PADDING, BOUNDARY, NEWLINE = "<padding>", "<boundary>", "\n"
LEAST = 30
# of running text, in its order: the first part trains, the last tests
SHARES = (0.88, 0.02, 0.10)


@dataclasses.dataclass(frozen=True)
class Lines:
    """vocabulary: the token at each index. parts: distinct lines by split ('train', 'val', 'test'). duplicates: lines dropped."""

    vocabulary: tuple
    parts: dict
    duplicates: int
    source: str
    ends = True

    def tokens(self, lines, length):
        """(lines, length) int32: boundary, characters, boundary, padding."""
        index = {character: i for i, character in enumerate(self.vocabulary)}
        found = np.zeros((len(lines), length), np.int32)
        for row, line in enumerate(lines):
            found[row, : len(line) + 2] = [1, *(index[character] for character in line), 1]
        return found

    def sequences(self, split):
        """The lines of a split by themselves: arrays of tokens from boundary to boundary."""
        lines = self.parts[split]
        rows = self.tokens(lines, max(map(len, lines)) + 2)
        return [row[: len(line) + 2] for row, line in zip(rows, lines)]

    @property
    def summary(self):
        """What a report says of it."""
        count = {split: len(lines) for split, lines in self.parts.items()}
        return (
            f"{self.source}: {count['train']} lines to train, {count['val']} to validate, {count['test']} to test; "
            f"{self.duplicates} duplicates dropped before the split; {len(self.vocabulary)} tokens, padding and boundary among them."
        )


@dataclasses.dataclass(frozen=True)
class Running:
    """Running text, character by character; token 1 is the end of a line, with which every text begins."""

    vocabulary: tuple
    parts: dict
    source: str
    ends = False

    def tokens(self, split):
        """(count,) int32: a line's end, then the characters of a split."""
        index = {character: i for i, character in enumerate(self.vocabulary)}
        return np.array([1, *(index[character] for character in self.parts[split])], np.int32)

    def sequences(self, split, length=1000):
        """A split in pieces of `length` characters, each with the one before it: arrays of tokens."""
        tokens = self.tokens(split)
        return [tokens[start : start + length + 1] for start in range(0, len(tokens) - 1, length)]

    @property
    def summary(self):
        """What a report says of it."""
        count = {split: f"{len(text):,}" for split, text in self.parts.items()}
        return (
            f"{self.source}: the first {count['train']} characters train, the next {count['val']} validate, the last {count['test']} test; "
            f"{len(self.vocabulary)} tokens, padding among them."
        )


def read_corpus(config):
    """The corpus of a configuration.

    Lines: distinct ones only, split by a hash of the line, 80% train, 10% val, 10% test. Running text: the first 88% train, then
    2% val, the last 10% test, the customary cut.
    """
    if config.text is not None and config.dataset != "bundled":
        raise InputError(f"`text` and `dataset` {config.dataset!r} are both given; expected one of them.")
    if config.layout == "running" and config.text is None:
        raise InputError(
            "`layout` is 'running' without a text of yours; give --text FILE, or --dataset shakespeare, without --layout."
        )
    if config.running:
        if config.text is not None:
            text, source = read_text(config.text), str(config.text)
        else:
            text, source = read_set_text("tinyshakespeare", "tinyshakespeare/input.txt"), "tiny Shakespeare (public domain)"
        return _running(text, source, config)
    if config.text is not None:
        lines, source = read_lines(config.text), str(config.text)
    elif config.dataset == "names":
        lines, source = read_set_lines("names", "names/names.txt"), "names (32,033 names, MIT)"
    else:
        lines, source = read_lines(BUNDLED), "the bundled names"
    return _lines(lines, source, config)


def _lines(lines, source, config):
    longest = max(lines, key=len)
    if len(longest) > config.max_length:
        raise InputError(
            f"a line of the text has {len(longest)} characters ({longest[:30]!r}...); expected at most {config.max_length}. "
            "Give --max-length, or --layout running for text that is no list of lines."
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
    return Lines(vocabulary, split, len(lines) - len(distinct), source)


def _running(text, source, config):
    first, second = (int(len(text) * share) for share in (SHARES[0], SHARES[0] + SHARES[1]))
    parts = {"train": text[:first], "val": text[first:second], "test": text[second:]}
    least = config.batch_size * config.window + 1
    if len(parts["val"]) < least:
        raise InputError(
            f"the text has {len(text)} characters; expected at least {round(least / SHARES[1])}, so that 2% of it are a validation batch "
            f"of {config.batch_size} rows of {config.window}. Give more text, or a smaller --batch-size or --window."
        )
    return Running((PADDING, NEWLINE, *sorted(set(text) - {NEWLINE})), parts, source)


def line_batches(tokens, config, first_step):
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


def window_batches(tokens, config, first_step):
    """Batches (inputs, targets) of running text from a step on, for ever, each row going on where it was in the batch before."""
    x, y = windows(tokens, batch_size=config.batch_size, length=config.window)
    step = first_step
    while True:
        start = step % batches_a_pass(tokens, config) * config.batch_size
        rows = slice(start, start + config.batch_size)
        yield x[rows], {"logits": y[rows]}
        step += 1


def batches_a_pass(tokens, config):
    """How many batches `window_batches` makes of the tokens before it begins again."""
    return (len(tokens) - 1) // config.batch_size // config.window
