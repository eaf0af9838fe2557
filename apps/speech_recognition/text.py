"""Text to symbols and back: words, characters, subwords or phonemes, the blank first."""

from collections import Counter

from apps.data.subwords import learn_subwords
from apps.data.text import read_set_rows
from tflite.runtime.text import SPACE as STARTS
from tflite.runtime.text import merged, pretokens
from zoo.errors import InputError

BLANK = ""
BOUNDARIES = {"characters": "space", "subwords": "prefix", "words": "symbol", "phonemes": "symbol"}


class Symbols:
    """names: what each symbol stands for, the blank first. kind: words, characters, subwords or phonemes."""

    def __init__(self, names, kind):
        self.names, self.kind = list(names), kind
        self.index = {name: i for i, name in enumerate(self.names)}
        self._pronounced = pronunciations() if kind == "phonemes" else None

    @property
    def boundary(self):
        """Where words begin, as a device folder's manifest has it."""
        return BOUNDARIES[self.kind]

    def parts(self, text):
        """The names of a text's symbols; None where a word is not in CMUdict."""
        if self.kind == "characters":
            return list(text)
        if self.kind == "words":
            return text.split()
        if self.kind == "subwords":
            return [piece for word in pretokens(text, "subwords") for piece in merged(word, self.index)]
        return spelled(text, self._pronounced)

    def encode(self, text):
        """The symbols of a text of lower-case words; InputError for what is none of them."""
        parts = self.parts(text)
        if parts is None:
            raise InputError(f"{text!r} has a word that is not in CMUdict; expected words whose phonemes are known.")
        unknown = [part for part in parts if part not in self.index]
        if unknown:
            known = " ".join(name for name in self.names[1:] if name != STARTS)
            raise InputError(f"{text!r} has {unknown[0]!r}, which is none of the symbols; expected {known[:100]}.")
        return [self.index[part] for part in parts]


def learnt(texts, kind, size):
    """The symbols of training texts. size: of subwords."""
    texts = [text for text in texts if text]
    if not texts:
        raise InputError("no clip to train on has a transcript; expected words that are said.")
    if kind == "characters":
        return Symbols((BLANK, *sorted({" "}.union(*texts))), kind)
    if kind == "words":
        return Symbols((BLANK, *sorted({word for text in texts for word in text.split()})), kind)
    if kind == "subwords":
        counts = Counter(word for text in texts for word in pretokens(text, "subwords"))
        return Symbols((BLANK, *learn_subwords(counts, size)), kind)
    table = pronunciations()
    return Symbols((BLANK, *sorted({phoneme for phonemes in table.values() for phoneme in phonemes})), kind)


def pronunciations():
    """{word: its first phonemes in CMUdict, without stress}."""
    table = {}
    for _, line in read_set_rows("cmudict", "cmudict/cmudict"):
        word, _, *phonemes = line.split()
        table.setdefault(word.lower(), [phoneme.rstrip("012") for phoneme in phonemes])
    return table


def spelled(text, table):
    """The phonemes of a text, or None where a word's are not known."""
    words = text.split()
    return [phoneme for word in words for phoneme in table[word]] if all(word in table for word in words) else None
