"""Text to tokens and back, from a vocabulary alone: characters, words, or subwords (byte-pair encoding).

Subwords: Sennrich et al. 2016, arXiv:1508.07909. Two neighbouring pieces whose union is in the vocabulary are merged, the union of
the lowest index first, until none is left; that is what SentencePiece does with the pieces of its BPE models.
"""

import re

from .errors import InputError

PADDING, BOUNDARY, UNKNOWN = 0, 1, 2
PADDING_NAME, BOUNDARY_NAME, UNKNOWN_NAME = "<padding>", "<boundary>", "<unknown>"
NEWLINE, SPACE = "\n", "\u2581"
KINDS = ("characters", "words", "subwords")
NO_SPACE_BEFORE = set(".,:;!?%)]}\u2019\u201d\u2026\u2014\u2013-/\u2060")
NO_SPACE_AFTER = set("([{\u2018\u201c$\u00a3#\u2014\u2013-/\u2060")
_WORDS = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]|\n")
LONGEST = 128  # characters of a pretoken of subwords: merging takes the square of its length
_SPACED = re.compile(rf"{SPACE}[^{SPACE}\n]{{0,{LONGEST - 1}}}|[^{SPACE}\n]{{1,{LONGEST}}}|\n")


def pretokens(text, kind, lower=False):
    """The parts of a text that are tokens, or that tokens do not cross: characters, words and marks, or words with their space.

    A subword's space is '\u2581' before it (so is a tab); every line begins with one.
    """
    text = text.lower() if lower else text
    if kind == "characters":
        return list(text)
    if kind == "words":
        return _WORDS.findall(text)
    spaced = re.sub(r"(?m)^(?=.)", SPACE, text.replace(" ", SPACE).replace("\t", SPACE))
    return _SPACED.findall(spaced)


class Tokenizer:
    """vocabulary: the token at each index; 0 is padding, 1 the boundary. kind: 'characters', 'words' or 'subwords'.

    Words and subwords have the unknown token at 2, characters may have it there. lower: the text is read in lower case.
    """

    def __init__(self, vocabulary, kind="characters", lower=False):
        self.vocabulary, self.kind, self.lower = list(vocabulary), kind, lower
        self.index = {token: i for i, token in enumerate(self.vocabulary)}
        self.unknown = UNKNOWN if self.vocabulary[UNKNOWN : UNKNOWN + 1] == [UNKNOWN_NAME] else None
        self.unwritten = (PADDING,) if self.unknown is None else (PADDING, UNKNOWN)
        self._pieces = {}

    def encode(self, text):
        """The tokens' indices; None for a character of a character model that it has never seen."""
        return [token for word in pretokens(text, self.kind, self.lower) for token in self.pieces(word)]

    def pieces(self, word):
        """The tokens of a pretoken."""
        if self.kind != "subwords":
            return [self.index.get(word, self.unknown)]
        if word not in self._pieces:
            self._pieces[word] = [self.index.get(piece, self.unknown) for piece in merged(word, self.index)]
        return self._pieces[word]

    def visible(self, token, before=None):
        """A token's text where `before` is the token before it, None at a text's start."""
        text = self.vocabulary[token]
        if self.kind == "characters":
            return text
        starts = before is None or self.vocabulary[before] == NEWLINE
        if self.kind == "subwords":
            return text.replace(SPACE, " ")[starts and text.startswith(SPACE) :]
        spaced = not starts and text != NEWLINE and text not in NO_SPACE_BEFORE and self.vocabulary[before] not in NO_SPACE_AFTER
        return " " * spaced + text

    def decode(self, tokens):
        """The text of tokens."""
        tokens = list(tokens)
        return "".join(self.visible(token, before) for before, token in zip([None, *tokens], tokens))

    def encode_prefix(self, text):
        """The tokens of a text that is to be continued; InputError for a character or word that the model does not know."""
        words = pretokens(self.trimmed(text), self.kind, self.lower)
        unknown = [word for word in words if self.unknown in self.pieces(word)]
        if unknown and self.kind == "characters":
            known = "".join(sorted(set(self.vocabulary[BOUNDARY + 1 :])))
            raise InputError(
                f"`prefix` has {min(unknown)!r}, which the model has never seen; it knows {known[:100]}{'...' * (len(known) > 100)}"
            )
        if unknown:
            raise InputError(
                f"`prefix` has {unknown[0].replace(SPACE, '')!r}, which the model's {len(self.vocabulary)} tokens do not make; "
                "use another word."
            )
        return [token for word in words for token in self.pieces(word)]

    def trimmed(self, text):
        """A prefix without spaces at its end where tokens bring their own."""
        return text if self.kind == "characters" else text.rstrip(" \t")


def merged(word, ranks):
    """The pieces of a word by byte-pair encoding. ranks: the index of each piece; the lowest is merged first."""
    parts = list(word)
    while len(parts) > 1:
        pairs = [(ranks.get(a + b, len(ranks)), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))]
        rank, place = min(pairs)
        if rank == len(ranks):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts
