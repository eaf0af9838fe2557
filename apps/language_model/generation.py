"""Generation inside a graph, text in and text out: what the SavedModel holds, and what Keras samples."""

import tensorflow as tf

from apps.data.graph_text import GraphTokenizer
from tflite.streaming import to_step_model
from zoo.decoding.sampling import BOUNDARY, exponentials, sample_token

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
        self.tokenizer, self.max_length, self.ends = GraphTokenizer(tokenizer), max_length, ends
        self._skipped = tokenizer.unwritten

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
        forced = self.tokenizer.encode_known(prefix)
        tf.debugging.Assert(tf.size(forced) <= self.max_length, ["`prefix` is longer than the longest text,", self.max_length])
        state = [tf.fill([count, *state.shape[1:]], state.initial) for state in self._states]
        tokens, ended = tf.fill([count], BOUNDARY), tf.zeros([count], tf.bool)
        written = tf.TensorArray(tf.int32, self.max_length, element_shape=[None])
        vocabulary = self.tokenizer.vocabulary.shape[0]
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
        return {"text": self.tokenizer.decode(tf.transpose(written.stack()), self.ends)}


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
