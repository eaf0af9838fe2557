"""Generation inside a graph: what the SavedModel holds, and what Keras samples."""

import tensorflow as tf

from tflite.streaming import to_step_model
from zoo.decoding.sampling import BOUNDARY, sample_token, uniforms


class TextSampler(tf.Module):
    """Samples texts with a recurrent Keras model; text i of a seed equals that of tflite.runtime.Generator.

    model: tokens (batch, time) -> logits (batch, time, vocabulary). vocabulary: the token at each index.
    ends: whether a text ends with token 1; otherwise that is the end of a line, and every text has `max_length` tokens.
    """

    def __init__(self, model, vocabulary, max_length, ends=True):
        super().__init__()
        self._step, self._states = to_step_model(model, batch_size=None)
        self.model_variables = [variable.value for variable in model.variables]
        self.vocabulary, self.max_length, self.ends = tf.constant(vocabulary), max_length, ends

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32, "seed"),
            tf.TensorSpec([], tf.int32, "first"),
            tf.TensorSpec([], tf.int32, "count"),
            tf.TensorSpec([], tf.float32, "temperature"),
            tf.TensorSpec([], tf.int32, "top_k"),
            tf.TensorSpec([], tf.float32, "top_p"),
        ]
    )
    def sample(self, seed, first, count, temperature, top_k, top_p):
        """Texts `first` to `first + count` of a seed: {'text': (count,) string}."""
        streams = tf.range(first, first + count)
        state = [tf.fill([count, *state.shape[1:]], state.initial) for state in self._states]
        tokens, ended = tf.fill([count], BOUNDARY), tf.zeros([count], tf.bool)
        written = tf.TensorArray(tf.int32, self.max_length, element_shape=[None])
        for position in tf.range(self.max_length):
            inputs = {s.input: tensor for s, tensor in zip(self._states, state)}
            outputs = self._step({"tokens": tokens[:, None], **inputs}, training=False)
            drawn = sample_token(outputs["logits"][:, -1], uniforms(seed, streams, position), temperature, top_k, top_p)
            tokens = tf.where(ended, BOUNDARY, drawn)
            if self.ends:
                ended = ended | (tokens == BOUNDARY)
            written = written.write(position, tokens)
            state = [outputs[s.output] for s in self._states]
        characters = tf.gather(self.vocabulary, tf.transpose(written.stack()))
        visible = tf.where(tf.transpose(written.stack()) == BOUNDARY, "", characters) if self.ends else characters
        return {"text": tf.strings.reduce_join(visible, axis=-1)}

    def texts(self, seed=0, first=0, count=10, temperature=1.0, top_k=0, top_p=1.0):
        """The texts as a list of str."""
        found = self.sample(
            tf.constant(seed),
            tf.constant(first),
            tf.constant(count),
            tf.constant(float(temperature)),
            tf.constant(top_k),
            tf.constant(float(top_p)),
        )
        return [text.decode() for text in found["text"].numpy()]
