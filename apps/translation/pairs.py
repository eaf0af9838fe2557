"""Pairs of texts as token sequences: data sets, splits by source, vocabularies, batches of like lengths."""

import dataclasses
import hashlib
import json
import re
from collections import Counter

import numpy as np

from apps.data.epochs import from_step, like_lengths, padded
from apps.data.splits import shuffled
from apps.data.subwords import learn_subwords
from apps.data.text import read_rows, read_set_rows
from apps.translation import dates
from tflite.runtime.text import BOUNDARY, BOUNDARY_NAME, PADDING_NAME, UNKNOWN_NAME, Tokenizer, pretokens
from tflite.runtime.translator import normalised
from zoo.errors import InputError

LEAST = 100
HELD_OUT = {"val": 1000, "test": 2000}  # distinct sources at most
DATES = {"train": 20_000, "val": 1000, "test": 2000, "unseen formats": 2000}
TATOEBA = {
    "tatoeba-spanish": ("tatoeba_spa_eng", "tatoeba_spa_eng/spa.txt", "Tatoeba, English to Spanish (CC BY 2.0 FR)"),
    "tatoeba-german": ("tatoeba_deu_eng", "tatoeba_deu_eng/deu.txt", "Tatoeba, English to German (CC BY 2.0 FR)"),
}
MULTI30K = {"train": "train", "val": "val", "test": "test_2016_flickr"}


@dataclasses.dataclass(frozen=True)
class Pairs:
    """source, target: a Tokenizer a side. parts: [(source, target)] by split; 'test' has each source once.

    known: {source: its translations} of what is tested. tokens: 'train' and 'val', encoded. left_out: pairs that were too long for that.
    """

    source: Tokenizer
    target: Tokenizer
    parts: dict
    known: dict
    tokens: dict
    left_out: int
    name: str

    def encoded(self, pairs):
        """[encoded_pair] of pairs."""
        return [encoded_pair(self.source, self.target, *pair) for pair in pairs]

    @property
    def tested(self):
        """The splits that are measured."""
        return [split for split in self.parts if split not in ("train", "val")]

    @property
    def fingerprint(self):
        """What tells whether a run's pairs are still the same."""
        content = [self.parts, self.source.vocabulary, self.target.vocabulary]
        return {"pairs": hashlib.sha256(json.dumps(content).encode()).hexdigest()}

    def summary(self, padding):
        """What a report says of it."""
        held = ", ".join(
            f"{len(self.parts[split]):,} to {'test' if split == 'test' else f'test ({split})'}" for split in self.tested
        )
        return (
            f"{self.name}: {len(self.parts['train']):,} pairs to train, {len(self.parts['val']):,} to validate, {held}; no tested source "
            f"is trained on; {self.left_out:,} left out as too long; {len(self.source.vocabulary):,} {self.source.kind} and "
            f"{len(self.target.vocabulary):,} {self.target.kind}; {100 * padding:.1f}% of a batch's tokens are padding."
        )


def encoded_pair(source_tokenizer, target_tokenizer, source, target):
    """(source tokens with a boundary after them, target tokens between boundaries)"""
    return np.array([*source_tokenizer.encode(source), BOUNDARY]), np.array(
        [BOUNDARY, *target_tokenizer.encode(target), BOUNDARY]
    )


def read_pairs(config):
    """The pairs of a configuration: split by a hash of the source, so that no source is both trained on and tested."""
    if config.pairs is not None and config.dataset != "dates":
        raise InputError(f"`pairs` and `dataset` {config.dataset!r} are both given; expected one of them.")
    if config.pairs is not None:
        parts, name = _split(_two(read_rows(config.pairs), config.pairs), config), str(config.pairs)
    elif config.dataset == "dates":
        parts, name = _dates(config.seed), "dates of 1900 to 2099 in 20 forms of 8 languages, generated"
    elif config.dataset == "multi30k":
        sides = ("de", "en")
        parts = {split: _aligned(file, sides) for split, file in MULTI30K.items()}
        name = "Multi30k, German to English (no licence stated: for measuring only)"
    elif config.dataset == "pronounce":
        parts, name = (
            _split(_pronounced(), config, tenth=True),
            "CMUdict, English words to phonemes without stress (BSD-style licence)",
        )
    else:
        archive, member, name = TATOEBA[config.dataset]
        parts = _split(_two(read_set_rows(archive, member), member), config)
    if config.reverse:
        parts, name = {split: [(b, a) for a, b in found] for split, found in parts.items()}, f"{name}, the other way around"
    return _tokenised(parts, name, config)


def _aligned(file, sides):
    """[(source, target)] of two files of Multi30k, line by line."""
    source, target = (dict(read_set_rows("multi30k", f"multi30k/raw/{file}.{side}")) for side in sides)
    return [(normalised(source[number]), normalised(target[number])) for number in source if number in target]


def _two(rows, where):
    """[(source, target)] of numbered lines with a tab; further columns are no text of the pair."""
    pairs = []
    for number, line in rows:
        sides = [normalised(side) for side in line.split("\t")]
        if len(sides) < 2 or not all(sides[:2]):
            raise InputError(f"{where}, line {number} is {line[:60]!r}; expected two texts with a tab between them.")
        pairs.append(tuple(sides[:2]))
    return pairs


def _pronounced():
    """[(word, its phonemes)] of CMUdict, without stress; words of letters and apostrophes alone."""
    pairs = []
    for _, line in read_set_rows("cmudict", "cmudict/cmudict"):
        word, _, *phonemes = line.split()
        if re.fullmatch("[A-Z']*[A-Z][A-Z']*", word):
            pairs.append((word.lower(), " ".join(phoneme.rstrip("012") for phoneme in phonemes)))
    return pairs


def _dates(seed):
    chosen, parts, first = dates.days(seed), {}, 0
    for place, (split, count) in enumerate(DATES.items()):
        forms = dates.UNSEEN if split == "unseen formats" else dates.TRAINED
        parts[split] = dates.write(chosen[first : first + count], forms, seed + place)
        first += count
    return parts


def _split(pairs, config, tenth=False):
    """{split: pairs}; a tenth of the sources at most is validated, and tested, with. tenth: a whole one is tested with."""
    pairs = list(dict.fromkeys(pairs))
    sources = sorted({source for source, _ in pairs}, key=lambda source: shuffled(config.seed, source))
    if len(sources) < LEAST:
        raise InputError(f"there are {len(sources)} distinct sources; expected at least {LEAST}, better many thousands.")
    counts = {split: min(most, len(sources) // 10) for split, most in HELD_OUT.items()}
    if tenth:
        counts["test"] = len(sources) // 10
    where = dict.fromkeys(sources, "train")
    where.update(dict.fromkeys(sources[: counts["test"]], "test"))
    where.update(dict.fromkeys(sources[counts["test"] : counts["test"] + counts["val"]], "val"))
    parts = {"train": [], "val": [], "test": []}
    for pair in pairs:
        parts[where[pair[0]]].append(pair)
    return parts


def _tokenised(parts, name, config):
    if config.lower:
        parts = {split: [(a.lower(), b.lower()) for a, b in found] for split, found in parts.items()}
    tested = {split: found for split, found in parts.items() if split not in ("train", "val")}
    known = {source: [] for found in tested.values() for source, _ in found}
    for source, target in (pair for found in parts.values() for pair in found):
        if source in known:
            known[source].append(target)
    for split, found in parts.items():
        if split in tested:
            parts[split] = list({source: (source, target) for source, target in reversed(found)}.values())[::-1]
        else:  # the customary split of a set, or the other way around, may have a source on both sides
            parts[split] = [pair for pair in found if pair[0] not in known]
    tokenizers = [
        _vocabulary([pair[side] for pair in parts["train"]], *config.cutting[side], config.vocabulary_size) for side in (0, 1)
    ]
    tokens, whole = {}, sum(map(len, parts.values()))
    for split in ("train", "val"):
        encoded = [(pair, encoded_pair(*tokenizers, *pair)) for pair in parts[split]]
        # their ends counted; a target also has its beginning
        fits = [(pair, (a, b)) for pair, (a, b) in encoded if max(len(a), len(b) - 1) <= config.max_tokens]
        parts[split], tokens[split] = ([row[place] for row in fits] for place in (0, 1))
    if len(parts["train"]) < config.batch_size or not parts["val"]:
        raise InputError(
            f"{len(parts['train'])} pairs to train and {len(parts['val'])} to validate have at most {config.max_tokens} tokens; expected at least "
            f"a batch, {config.batch_size}. Give more pairs, a higher --max-tokens or a smaller --batch-size."
        )
    return Pairs(*tokenizers, parts, known, tokens, whole - sum(map(len, parts.values())), name)


def _vocabulary(texts, kind, lower, size):
    """A tokenizer of the training texts of one side."""
    counts = Counter(part for text in texts for part in pretokens(text, kind, lower))
    if kind == "characters":
        tokens = sorted(counts)
    elif kind == "words":
        tokens = sorted((word for word in counts if counts[word] > 1), key=lambda word: (-counts[word], word))[:size]
    else:
        tokens = learn_subwords(counts, size)
    return Tokenizer((PADDING_NAME, BOUNDARY_NAME, UNKNOWN_NAME, *tokens), kind, lower)


def batch(pairs):
    """(inputs, targets) of encoded pairs."""
    source, target = padded([a for a, _ in pairs]), padded([b for _, b in pairs])
    return {"source": source, "target": target[:, :-1]}, {"logits": target[:, 1:]}


def batches(pairs, config, first_step):
    """Batches from a step on, for ever: pairs of like lengths together, every epoch in its own order."""
    lengths = _lengths(pairs)
    for chosen in from_step(first_step, len(pairs) // config.batch_size, lambda epoch: like_lengths(lengths, config, epoch)):
        yield batch([pairs[i] for i in chosen])


def padding_share(pairs, config):
    """The share of an epoch's tokens that is padding."""
    lengths = _lengths(pairs)
    lengths = lengths[like_lengths(lengths, config, 0)] - [0, 1]  # what is read, what is to be written
    return 1 - lengths.sum() / (config.batch_size * lengths.max(axis=1).sum())


def _lengths(pairs):
    """(pairs, 2): tokens of source and target."""
    return np.array([(len(a), len(b)) for a, b in pairs])
