"""Text as token sequences: vocabulary, splits, batches; lines by themselves, or running text of any length."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from apps.data.epochs import from_step
from apps.data.splits import shuffled
from apps.data.subwords import learn_subwords
from apps.data.text import read_lines, read_set_lines, read_set_texts, text_chunks
from tflite.runtime.randomness import Stream
from tflite.runtime.text import BOUNDARY, BOUNDARY_NAME, NEWLINE, PADDING_NAME, UNKNOWN_NAME, Tokenizer, pretokens
from zoo.errors import InputError

BUNDLED = Path(__file__).with_name("names.txt")
LEAST = 30
LONGEST_LIST = 200_000_000  # bytes: lines are compared with each other, in memory
# of running text, in its order: the first part trains, the last tests
SHARES = (0.88, 0.02, 0.10)
VALIDATED, TESTED = 100_000, 500_000  # tokens of running text at most
CHUNK = 1 << 20  # tokens that are handled at once
BOOKS = {
    "test": ("arthur-conan-doyle_the-adventures-of-sherlock-holmes.txt", "bram-stoker_dracula.txt"),
    "val": ("jane-austen_emma.txt",),
}


@dataclasses.dataclass(frozen=True)
class Lines:
    """tokenizer: of characters. parts: lines by split ('train', 'val', 'test'). duplicates: lines dropped."""

    tokenizer: Tokenizer
    parts: dict
    duplicates: int
    source: str
    ends = True

    @property
    def vocabulary(self):
        """The token at each index."""
        return self.tokenizer.vocabulary

    def tokens(self, lines, length):
        """(lines, length) int32: boundary, characters, boundary, padding."""
        found = np.zeros((len(lines), length), np.int32)
        for row, line in enumerate(lines):
            found[row, : len(line) + 2] = [BOUNDARY, *self.tokenizer.encode(line), BOUNDARY]
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
        known = set(self.parts["train"])
        repeated = sum(line in known for line in self.parts["test"])
        what = (
            f"{repeated} of the tested ones also train" if repeated else f"{self.duplicates} duplicates dropped before the split"
        )
        return (
            f"{self.source}: {count['train']} lines to train, {count['val']} to validate, {count['test']} to test; "
            f"{what}; {len(self.vocabulary)} tokens, padding and boundary among them."
        )


@dataclasses.dataclass(frozen=True)
class Running:
    """Running text; token 1 is the end of a line, with which every text begins.

    text: (count,) int32, on disk, a line's end before the first token. bounds: by split where its tokens begin and end.
    documents: their names by split; none where one text is cut.
    """

    tokenizer: Tokenizer
    text: np.ndarray
    bounds: dict
    documents: dict
    source: str
    ends = False

    @property
    def vocabulary(self):
        """The token at each index."""
        return self.tokenizer.vocabulary

    def tokens(self, split, most=None):
        """(count + 1,) int32: the token before a split, then its tokens, at most so many."""
        first, last = self.bounds[split]
        return self.text[first - 1 : last if most is None else min(last, first + most)]

    def sequences(self, split, length=1000, most=None):
        """A split in pieces of `length` tokens, each with the one before it: arrays of tokens."""
        tokens = self.tokens(split, most)
        return [tokens[start : start + length + 1] for start in range(0, len(tokens) - 1, length)]

    @property
    def unknown(self):
        """The share of each split's tokens that the vocabulary lacks: {split: float}; empty for characters."""
        if self.tokenizer.unknown is None:
            return {}
        return {split: _share(self.tokens(split)[1:], self.tokenizer.unknown) for split in self.bounds}

    @property
    def summary(self):
        """What a report says of it."""
        count = {split: f"{last - first:,}" for split, (first, last) in self.bounds.items()}
        kind = self.tokenizer.kind
        if self.documents:
            named = {split: f" ({', '.join(names)})" if len(names) < 5 else "" for split, names in self.documents.items()}
            cut = ", ".join(
                f"{count[split]} {kind} of {len(names)} document{'s' * (len(names) > 1)}{named[split]} to {what}"
                for (split, names), what in zip(self.documents.items(), ("train", "validate", "test"))
            )
        else:
            cut = f"the first {count['train']} {kind} train, the next {count['val']} validate, the last {count['test']} test"
        unknown = ", ".join(f"{100 * share:.1f}% of {split}" for split, share in self.unknown.items())
        return f"{self.source}: {cut}; {len(self.vocabulary)} tokens, padding among them" + (
            f"; unknown: {unknown}." if unknown else "."
        )


def _share(tokens, token):
    return sum(int((part == token).sum()) for part in np.array_split(tokens, len(tokens) // CHUNK + 1)) / max(1, len(tokens))


def read_corpus(config):
    """The corpus of a configuration.

    Lines: distinct ones only, split by a hash of the line, 80% train, 10% val, 10% test; or all of them at random, or so many to val
    and test. Running text: the first 88% train, then 2% val, the last 10% test, the customary cut; of a folder, whole files by a hash of their names, a tenth each to val and test.
    Books: as their README splits them.
    """
    if config.text is not None and config.dataset != "bundled":
        raise InputError(f"`text` and `dataset` {config.dataset!r} are both given; expected one of them.")
    if config.layout == "running" and config.text is None:
        raise InputError(
            "`layout` is 'running' without a text of yours; give --text FILE, or --dataset shakespeare or books, without --layout."
        )
    if config.running:
        return _running(*_documents(config), config)
    if config.tokens != "characters":
        raise InputError(f"`tokens` is {config.tokens!r} for a list of lines; expected 'characters'. Give --layout running.")
    if config.text is not None:
        if config.text.is_dir():
            raise InputError(
                f"{config.text} is a folder; give --layout running for the text files in it, or a file with one item a line."
            )
        if config.text.is_file() and config.text.stat().st_size > LONGEST_LIST:
            raise InputError(
                f"{config.text} has {config.text.stat().st_size:,} bytes; expected at most {LONGEST_LIST:,} for a list of lines. "
                "Give --layout running, which reads a text of any length."
            )
        lines, source = read_lines(config.text), str(config.text)
    elif config.dataset == "names":
        lines, source = read_set_lines("names", "names/names.txt"), "names (32,033 names, MIT)"
    else:
        lines, source = read_lines(BUNDLED), "the bundled names"
    return _lines(lines, source, config)


def _lines(lines, source, config):
    lines = [line.lower() for line in lines] if config.lower else lines
    longest = max(lines, key=len)
    if len(longest) > config.max_length:
        raise InputError(
            f"a line of the text has {len(longest)} characters ({longest[:30]!r}...); expected at most {config.max_length}. "
            "Give --max-length, or --layout running for text that is no list of lines."
        )
    distinct = sorted(set(lines))
    if len(distinct) < LEAST:
        raise InputError(f"the text has {len(distinct)} distinct lines; expected at least {LEAST}, better thousands.")
    split = _split_lines(lines if config.repeated == "kept" else distinct, config)
    if not split["val"] or not split["test"]:
        raise InputError(f"the text's {len(distinct)} lines leave none to validate or test with; give more.")
    tokenizer = Tokenizer((PADDING_NAME, BOUNDARY_NAME, *sorted(set("".join(distinct)))), lower=config.lower)
    return Lines(tokenizer, split, len(lines) - sum(map(len, split.values())), source)


def _split_lines(lines, config):
    """{split: lines}: by a hash of the line, or in a random order where lines may come twice."""
    if config.repeated == "kept":
        order = np.argsort(Stream(config.seed + 2, 0).array(len(lines)), kind="stable")
        lines = [lines[i] for i in order]
    else:
        digests = {line: shuffled(config.seed, line) for line in lines}
        if not config.held_out:
            parts = {line: min(2, digest[0] * 10 // 256) for line, digest in digests.items()}
            return {
                name: [line for line in lines if parts[line] == part] for part, name in ((2, "train"), (1, "val"), (0, "test"))
            }
        lines = sorted(lines, key=digests.get, reverse=True)
    held = config.held_out or len(lines) // 10
    if 2 * held > len(lines) // 2:
        raise InputError(
            f"`held_out` is {held}; expected at most {len(lines) // 4}, so that half of the {len(lines)} lines train."
        )
    return {"train": lines[: -2 * held], "val": lines[-2 * held : -held] if held else [], "test": lines[-held:] if held else []}


def _documents(config):
    """({split: [(name, chunks of text)]}, source); a single text, which is to be cut, has the split None."""
    if config.text is None and config.dataset == "shakespeare":
        ((_, chunks),) = read_set_texts("tinyshakespeare", "tinyshakespeare/input.txt")
        return {None: [("", chunks)]}, "tiny Shakespeare (public domain)"
    if config.text is None:
        books = sorted(read_set_texts("books", "books/*.txt"))
        split = {"train": [], "val": [], "test": []}
        for name, chunks in books:
            part = next((part for part, names in BOOKS.items() if name in names), "train")
            split[part].append((name, chunks))
        return split, "24 English books (Standard Ebooks, CC0)"
    if config.text.is_file():
        return {None: [("", text_chunks(config.text))]}, str(config.text)
    if not config.text.is_dir():
        raise InputError(f"{config.text} does not exist; expected a text file or a folder of them.")
    files = [file for file in sorted(config.text.rglob("*.txt")) if file.is_file()]
    if len(files) < 3:
        raise InputError(
            f"{config.text} has {len(files)} text files (*.txt); expected at least 3, to train, validate and test with."
        )
    names = {file: str(file.relative_to(config.text)) for file in files}
    files.sort(key=lambda file: shuffled(config.seed, names[file]))
    tenth = max(1, len(files) // 10)
    parts = {"train": files[2 * tenth :], "val": files[tenth : 2 * tenth], "test": files[:tenth]}
    return {part: [(names[file], text_chunks(file)) for file in found] for part, found in parts.items()}, str(config.text)


def _running(split, source, config):
    """Reads the documents once, into files that are gone when the program ends, so that memory does not grow with the text."""
    words, file, ends = {NEWLINE: 0}, tempfile.TemporaryFile(), []
    numbered = _numbered_characters if config.tokens == "characters" else _numbered
    for documents in split.values():
        for _, chunks in documents:
            last = words[NEWLINE]
            for text in chunks:
                found = numbered(text, words, config)
                found.tofile(file)
                last = found[-1] if len(found) else last
            if None not in split and last != words[NEWLINE]:  # the next document begins on a line of its own
                np.array([words[NEWLINE]], np.int32).tofile(file)
        ends.append(file.tell() // 4)
    count = file.tell() // 4
    least = config.batch_size * config.window + 1
    if None in split:
        ends = [int(count * SHARES[0]), int(count * (SHARES[0] + SHARES[1])), count]
    kind = "characters" if config.tokens == "characters" else "words"  # of subwords too: they are cut later
    sizes = dict(zip(("to train", "to validate", "to test"), np.diff([0, *ends])))
    needed = {"to train": least, "to validate": least, "to test": 1}
    for use, size in sizes.items():
        if size < needed[use]:
            whole = f"the text has {count} {kind}" if None in split else f"{source} has {size} {kind} {use}"
            expected = round(least / SHARES[1]) if None in split else needed[use]
            raise InputError(
                f"{whole}; expected at least {expected}: a batch to validate with is {config.batch_size} rows of {config.window}. "
                "Give more text, or a smaller --batch-size or --window."
            )
    if len(words) == 1:
        raise InputError(f"{source} has blank lines only; expected text.")
    read = np.memmap(file, np.int32, "r")
    tokenizer, table = _vocabulary(list(words), read[: ends[0]], config)
    file = tempfile.TemporaryFile()
    np.array([BOUNDARY], np.int32).tofile(file)
    bounds, first = [], 0
    for last in ends:
        begins = file.tell() // 4
        for start in range(first, last, CHUNK):
            _expand(read[start : min(start + CHUNK, last)], *table).tofile(file)
        bounds.append((begins, file.tell() // 4))
        first = last
    file.flush()
    documents = {} if None in split else {part: [name for name, _ in found] for part, found in split.items()}
    return Running(tokenizer, np.memmap(file, np.int32, "r"), dict(zip(("train", "val", "test"), bounds)), documents, source)


def _numbered(text, words, config):
    """The number of each word or mark of a text: (n,) int32. words: the number of each that was seen, to which new ones are added."""
    return np.array([words.setdefault(word, len(words)) for word in pretokens(text, config.tokens, config.lower)], np.int32)


def _numbered_characters(text, words, config):
    codes = np.frombuffer((text.lower() if config.lower else text).encode("utf-32-le"), np.uint32)
    found, where = np.unique(codes, return_inverse=True)
    return np.array([words.setdefault(chr(code), len(words)) for code in found], np.int32)[where]


def _vocabulary(words, training, config):
    """A tokenizer, and the tokens of every word as (all of them in one array, where each begins, how many it has)."""
    if config.tokens == "characters":
        tokenizer = Tokenizer((PADDING_NAME, NEWLINE, *sorted(set(words) - {NEWLINE})), lower=config.lower)
    else:
        counts = sum(np.bincount(training[i : i + CHUNK], minlength=len(words)) for i in range(0, len(training), CHUNK))
        counts[0] = 0  # the end of a line has its place
        if config.tokens == "words":
            likeliest = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], words[i]))
            if len(likeliest) <= config.vocabulary_size:  # the unknown token must occur in training: what occurs once is unknown
                likeliest = [i for i in likeliest if counts[i] > 1]
            tokens = [words[i] for i in likeliest[: config.vocabulary_size]]
        else:
            tokens = learn_subwords({words[i]: int(counts[i]) for i in np.flatnonzero(counts)}, config.vocabulary_size)
        tokenizer = Tokenizer((PADDING_NAME, NEWLINE, UNKNOWN_NAME, *tokens), config.tokens, config.lower)
    found = [tokenizer.pieces(word) for word in words]
    lengths = np.array([len(tokens) for tokens in found])
    return tokenizer, (np.concatenate(found).astype(np.int32), np.cumsum(lengths) - lengths, lengths)


def _expand(words, tokens, starts, lengths):
    """The tokens of words, one after another."""
    many = lengths[words]
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    return tokens[np.repeat(starts[words], many) + within]


def line_batches(tokens, config, first_step):
    """Batches (inputs, targets) from a step on, for ever; every epoch has its own order."""
    size = min(config.batch_size, len(tokens))
    per_epoch = len(tokens) // size

    def arrange(epoch):
        order = np.argsort(Stream(config.seed + 1, epoch).array(len(tokens)), kind="stable")
        return order[: per_epoch * size].reshape(per_epoch, size)

    for chosen in from_step(first_step, per_epoch, arrange):
        yield inputs_and_targets(tokens[chosen])


def inputs_and_targets(tokens):
    """What the model reads and what it should say next. Where nothing follows the input is padding, so that it is masked."""
    targets = tokens[:, 1:]
    return np.where(targets == 0, 0, tokens[:, :-1]), {"logits": targets}


def window_batches(tokens, config, first_step):
    """Batches (inputs, targets) of running text from a step on, for ever, as `zoo.truncated_bptt.windows` cuts it.

    Each row goes on where it was in the batch before. Where no state is carried every pass begins at another place.
    """
    step, passes = first_step, batches_a_pass(tokens, config)
    streams = (len(tokens) - 1) // config.batch_size
    rows = np.arange(config.batch_size) * streams
    while True:
        start = step % passes * config.window
        if not config.carry:
            start += Stream(config.seed + 1, step // passes).integer(streams - passes * config.window + 1)
        block = np.stack([tokens[row + start : row + start + config.window + 1] for row in rows])
        yield block[:, :-1], {"logits": block[:, 1:]}
        step += 1


def batches_a_pass(tokens, config):
    """How many batches `window_batches` makes of the tokens before it begins again."""
    # where no state is carried, a window is left free for the pass to begin in
    return max(1, (len(tokens) - 1) // config.batch_size // config.window - (not config.carry))
