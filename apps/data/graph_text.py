"""tflite.runtime.text inside a graph, of stock operations: the same tokens of a text (subwords: but for words of over
128 characters, which the runtime cuts), and the same text of tokens."""

import unicodedata

import tensorflow as tf

from tflite.runtime.text import BOUNDARY, NEWLINE, NO_SPACE_AFTER, NO_SPACE_BEFORE, SPACE

# what Python's \w and \s are, for RE2
LETTERS, SPACES = r"\pL\pN_", r"[\t\v\f\r\x1c-\x1f\x{85}\pZ]"
APOSTROPHES = (("'", "\ufdd0"), ("\u2019", "\ufdd1"))  # within a word, while marks are set apart: no text has these two


class GraphNormaliser:
    """Composed characters (Unicode's NFC, as far as the vocabulary has them; marks in their canonical order) and single spaces, in a graph.

    vocabulary: tokens, of whose characters alone the tokenizer makes anything. lower: it reads in lower case.
    """

    def __init__(self, vocabulary, lower=False):
        known = {character for token in vocabulary for character in token}
        known |= {character.upper() for character in known if lower}
        # another name of a character: the sign for Angstrom
        found = {chr(code): unicodedata.normalize("NFC", chr(code)) for code in range(0x300, 0x10000)}
        found = {one: composed for one, composed in found.items() if one != composed and set(composed) <= known}
        left = [character for character in known if len(character) == 1]
        while left:
            character = left.pop()
            *base, last = unicodedata.normalize("NFD", character)
            base = unicodedata.normalize("NFC", "".join(base))
            if base + last not in found and unicodedata.normalize("NFC", base + last) == character != base + last:
                found[base + last] = character
                left += base
        # what others are made of comes first
        self._pairs = sorted(found.items(), key=lambda item: len(unicodedata.normalize("NFD", item[0])))

    def __call__(self, text):
        """Normalised strings of the same shape."""
        for pair, character in self._pairs:
            text = tf.strings.regex_replace(text, pair, character)
        return tf.strings.strip(tf.strings.regex_replace(text, f"({SPACES}|\n)+", " "))


class GraphTokenizer(tf.Module):
    """tokenizer: a tflite.runtime.text.Tokenizer."""

    def __init__(self, tokenizer):
        super().__init__()
        self._kind, self._lower, self._unknown = tokenizer.kind, tokenizer.lower, tokenizer.unknown
        self.vocabulary = tf.constant(tokenizer.vocabulary)
        places = tf.range(len(tokenizer.vocabulary))
        self.index = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(self.vocabulary, places), -1)
        self.no_space_before = tf.constant([token in NO_SPACE_BEFORE or token == NEWLINE for token in tokenizer.vocabulary])
        self.no_space_after = tf.constant([token in NO_SPACE_AFTER or token == NEWLINE for token in tokenizer.vocabulary])

    def encode_known(self, text):
        """Tokens of a text: (n,) int32. Fails where the vocabulary lacks a word or character."""
        tokens = self.index.lookup(self._parts(text))
        what = "word" if self._kind == "words" else "character"
        tf.debugging.Assert(tf.reduce_all(tokens >= 0), [f"`prefix` has a {what} that the model does not know:", text])
        return tokens

    def encode(self, text):
        """Tokens of a text: (n,) int32, the unknown token for what the vocabulary lacks."""
        tokens = self.index.lookup(self._parts(text))
        return tf.where(tokens < 0, self._unknown, tokens)

    def _parts(self, text):
        """What a text is cut into: (n,) string; the same as tflite.runtime.text."""
        text = tf.strings.lower(text, encoding="utf-8") if self._lower else text
        if self._kind == "words":
            text = tf.strings.regex_replace(text, SPACES, " ")
            for plain, kept in APOSTROPHES * 2:  # twice: matches that share a letter
                text = tf.strings.regex_replace(text, f"([{LETTERS}]){plain}([{LETTERS}])", rf"\1{kept}\2")
            text = tf.strings.regex_replace(text, rf"([^{LETTERS} \x{{fdd0}}\x{{fdd1}}])", r" \1 ")
            for plain, kept in APOSTROPHES:
                text = tf.strings.regex_replace(text, kept, plain)
            parts = tf.strings.split(text, " ")
            return tf.boolean_mask(parts, tf.strings.length(parts) > 0)
        if self._kind == "subwords":
            text = tf.strings.regex_replace(text, r"[ \t]+$", "")
            text = tf.strings.regex_replace(tf.strings.regex_replace(text, r"[ \t]", SPACE), "(?m)^(.)", rf"{SPACE}\1")
            return self._merge(tf.strings.unicode_split(text, "UTF-8"))
        return tf.strings.unicode_split(text, "UTF-8")

    def _merge(self, parts):
        """Byte-pair encoding; see tflite.runtime.text."""
        last = tf.size(self.vocabulary)

        def ranks(parts):
            found = self.index.lookup(tf.strings.join([parts[:-1], parts[1:]]))
            return tf.where(found < 0, last, found)

        def join(parts):
            place = tf.argmin(ranks(parts), output_type=tf.int32)
            return (tf.concat([parts[:place], [parts[place] + parts[place + 1]], parts[place + 2 :]], 0),)

        def mergeable(parts):
            return tf.reduce_min(tf.concat([ranks(parts), [last]], 0)) < last

        return tf.while_loop(mergeable, join, (parts,), shape_invariants=(tf.TensorShape([None]),))[0]

    def decode(self, tokens, ends):
        """Texts of tokens: (count, time) int32 -> (count,) string. ends: whether a boundary is the end rather than that of a line."""
        texts = tf.gather(self.vocabulary, tokens)
        if self._kind == "words":
            joined = tf.gather(self.no_space_before, tokens[:, 1:]) | tf.gather(self.no_space_after, tokens[:, :-1])
            spaces = tf.where(tf.concat([tf.ones_like(tokens[:, :1], tf.bool), joined], 1), "", " ")
            texts = tf.strings.join([spaces, texts])
        if ends:
            texts = tf.where(tokens == BOUNDARY, "", texts)
        texts = tf.strings.reduce_join(texts, axis=-1)
        if self._kind == "subwords":
            texts = tf.strings.regex_replace(tf.strings.regex_replace(texts, SPACE, " "), "(?m)^ ", "")
        return texts
