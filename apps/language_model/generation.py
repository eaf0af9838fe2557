"""Generation inside a graph, text in and text out: what the SavedModel holds, and what Keras samples."""

import tensorflow as tf

from tflite.runtime.text import NEWLINE, NO_SPACE_AFTER, NO_SPACE_BEFORE, SPACE
from tflite.streaming import to_step_model
from zoo.decoding.sampling import BOUNDARY, exponentials, sample_token

# what Python's \w and \s are, for RE2
LETTERS, SPACES = r"\pL\pN_", r"[\t\v\f\r\x1c-\x1f\x{85}\pZ]"
APOSTROPHES = (("'", "\ufdd0"), ("\u2019", "\ufdd1"))  # within a word, while marks are set apart: no text has these two
DRAWN = 2**17  # random numbers that are drawn at once, for several positions where texts and tokens are few


class TextSampler(tf.Module):
    """Samples texts with a language model; text i of a seed equals that of tflite.runtime.Generator.

    model: tokens (batch, time) -> logits (batch, time, vocabulary). tokenizer: a tflite.runtime.text.Tokenizer.
    ends: whether a text ends with token 1; otherwise that is the end of a line, and every text has `max_length` tokens.
    """

    def __init__(self, model, tokenizer, max_length, ends=True):
        super().__init__()
        self._step, self._states = to_step_model(model, batch_size=None)
        self.model_variables = [variable.value for variable in model.variables]
        self._kind, self._lower, self.max_length, self.ends = tokenizer.kind, tokenizer.lower, max_length, ends
        self.vocabulary = tf.constant(tokenizer.vocabulary)
        self._skipped = tokenizer.unwritten
        places = tf.range(len(tokenizer.vocabulary))
        self.index = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(self.vocabulary, places), -1)
        self.no_space_before = tf.constant([token in NO_SPACE_BEFORE or token == NEWLINE for token in tokenizer.vocabulary])
        self.no_space_after = tf.constant([token in NO_SPACE_AFTER or token == NEWLINE for token in tokenizer.vocabulary])

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32, "seed"),
            tf.TensorSpec([], tf.int32, "first"),
            tf.TensorSpec([], tf.int32, "count"),
            tf.TensorSpec([], tf.float32, "temperature"),
            tf.TensorSpec([], tf.int32, "top_k"),
            tf.TensorSpec([], tf.float32, "top_p"),
            tf.TensorSpec([], tf.string, "prefix"),
        ]
    )
    def sample(self, seed, first, count, temperature, top_k, top_p, prefix):
        """Texts `first` to `first + count` of a seed, each beginning with the prefix: {'text': (count,) string}."""
        streams = tf.range(first, first + count)
        forced = self._encode(prefix)
        tf.debugging.Assert(tf.size(forced) <= self.max_length, ["`prefix` is longer than the longest text,", self.max_length])
        state = [tf.fill([count, *state.shape[1:]], state.initial) for state in self._states]
        tokens, ended = tf.fill([count], BOUNDARY), tf.zeros([count], tf.bool)
        written = tf.TensorArray(tf.int32, self.max_length, element_shape=[None])
        vocabulary = self.vocabulary.shape[0]
        ahead = tf.clip_by_value(DRAWN // tf.maximum(1, count * vocabulary), 1, self.max_length)
        waits = tf.zeros([ahead, count, vocabulary], tf.float64)
        for position in tf.range(self.max_length):
            if position % ahead == 0:
                waits = exponentials(seed, streams, position + tf.range(ahead), vocabulary)
            inputs = {s.input: tensor for s, tensor in zip(self._states, state)}
            outputs = self._step({"tokens": tokens[:, None], **inputs}, training=False)
            drawn = sample_token(outputs["logits"][:, -1], waits[position % ahead], temperature, top_k, top_p, self._skipped)
            given = tf.fill([count], tf.concat([forced, [BOUNDARY]], 0)[tf.minimum(position, tf.size(forced))])
            tokens = tf.where(ended, BOUNDARY, tf.where(position < tf.size(forced), given, drawn))
            if self.ends:
                ended = ended | (tokens == BOUNDARY)
            written = written.write(position, tokens)
            state = [outputs[s.output] for s in self._states]
        return {"text": self._decode(tf.transpose(written.stack()))}

    def _encode(self, text):
        """Tokens of a text: (n,) int32."""
        tokens = self.index.lookup(self._parts(text))
        what = "word" if self._kind == "words" else "character"
        tf.debugging.Assert(tf.reduce_all(tokens >= 0), [f"`prefix` has a {what} that the model does not know:", text])
        return tokens

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

    def _decode(self, tokens):
        """Texts of tokens: (count, time) int32 -> (count,) string."""
        texts = tf.gather(self.vocabulary, tokens)
        if self._kind == "words":
            joined = tf.gather(self.no_space_before, tokens[:, 1:]) | tf.gather(self.no_space_after, tokens[:, :-1])
            spaces = tf.where(tf.concat([tf.ones_like(tokens[:, :1], tf.bool), joined], 1), "", " ")
            texts = tf.strings.join([spaces, texts])
        if self.ends:
            texts = tf.where(tokens == BOUNDARY, "", texts)
        texts = tf.strings.reduce_join(texts, axis=-1)
        if self._kind == "subwords":
            texts = tf.strings.regex_replace(tf.strings.regex_replace(texts, SPACE, " "), "(?m)^ ", "")
        return texts


def texts(sample, seed=0, first=0, count=10, temperature=1.0, top_k=0, top_p=1.0, prefix=""):
    """The texts as a list of str. sample: a TextSampler's, live or the signature of a SavedModel."""
    found = sample(
        seed=tf.constant(seed),
        first=tf.constant(first),
        count=tf.constant(count),
        temperature=tf.constant(float(temperature)),
        top_k=tf.constant(top_k),
        top_p=tf.constant(float(top_p)),
        prefix=tf.constant(prefix),
    )
    return [text.decode() for text in found["text"].numpy()]
