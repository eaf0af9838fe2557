"""Translation inside a graph, text in and text out: what the SavedModel holds, and what Keras translates with."""

import tensorflow as tf

from apps.data.graph_text import GraphNormaliser, GraphTokenizer
from tflite.runtime.quiet import quiet_stderr
from tflite.runtime.text import BOUNDARY, PADDING, UNKNOWN
from tflite.runtime.translator import Translator as OnDevice
from zoo.decoding.beam import Constraints, beam_search, greedy_search

TOGETHER = 64  # texts that are translated at once


class Translator(tf.Module):
    """Greedy and beam search with a model of zoo.models.seq2seq, of at least one text.

    source, target: tflite.runtime.text.Tokenizer. limit: tokens of a translation at most, its end included. width: of the beam.
    """

    def __init__(self, model, source, target, limit, width):
        super().__init__()
        self._part = model.get_layer  # a function: as layers they would be saved a second time
        self.model_variables = [variable.value for variable in model.variables]
        self.source, self.target = GraphTokenizer(source), GraphTokenizer(target)
        self._normalised = GraphNormaliser(source.vocabulary, source.lower)
        self._limit, self._width = limit, width
        self._constraints = Constraints(limit, banned=(UNKNOWN,))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def greedy(self, text):
        """{'text': (n,) string, 'log_probability': (n,) float32}"""
        found = greedy_search(self._part("decoder").step, self._begin(text), tf.size(text), self._constraints)
        return {"text": self._written(found["tokens"]), "log_probability": found["log_probability"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([], tf.float32, "length_penalty")])
    def beam(self, text, length_penalty):
        """{'text': (n, width) string, 'score' and 'log_probability': (n, width) float32}, the best first."""
        found = beam_search(
            self._part("decoder").step,
            self._begin(text),
            tf.size(text),
            self._width,
            self._width,
            self._constraints,
            length_penalty,
        )
        written = self._written(tf.reshape(found["tokens"], [-1, self._limit]))
        return {**{name: found[name] for name in ("score", "log_probability")}, "text": tf.reshape(written, [-1, self._width])}

    def tokens(self, text):
        """(n, time) int32 of sources, a boundary after each."""
        rows = tf.map_fn(self.source.encode, self._normalised(text), fn_output_signature=tf.RaggedTensorSpec([None], tf.int32, 0))
        ends = tf.fill([tf.size(text), 1], BOUNDARY)
        return tf.concat([rows, tf.RaggedTensor.from_tensor(ends)], axis=1).to_tensor(PADDING)

    def _begin(self, text):
        return self._part("decoder").initial_state(self._part("encoder")(self.tokens(text), training=False))

    def _written(self, tokens):
        return self.target.decode(tf.where(tokens == PADDING, BOUNDARY, tokens), ends=True)


def signatures(translator):
    """What a SavedModel of a translator offers."""
    return {"serving_default": translator.beam, "greedy": translator.greedy}


def searched(search, texts, alpha):
    """[[(score, translation), the best first]] of texts. search: a Translator's, or a SavedModel's signature; alpha: a beam's, None: greedy."""
    rows, further = [], {} if alpha is None else {"length_penalty": tf.constant(float(alpha))}
    for start in range(0, len(texts), TOGETHER):
        found = search(text=tf.constant(texts[start : start + TOGETHER]), **further)
        scores, written = found["log_probability" if alpha is None else "score"].numpy(), found["text"].numpy()
        if alpha is None:
            scores, written = scores[:, None], written[:, None]
        rows += [[(float(score), text.decode()) for score, text in zip(*row)] for row in zip(scores, written)]
    return rows


def saved_searches(folder):
    """search(texts, alpha) -> [[(score, translation)]] by a run's SavedModel; alpha None: greedy."""
    saved = tf.saved_model.load(str(folder / "saved_model")).signatures
    return lambda texts, alpha: searched(saved["greedy" if alpha is None else "serving_default"], texts, alpha)


def device_searches(folder, precision="float", best=1):
    """The same by a run's device files, one text at a time. best: translations of each."""
    with quiet_stderr():  # the interpreter notes which delegate it takes
        translator = OnDevice(folder / "device", precision)

    def search(texts, alpha):
        if alpha is None:
            return [[translator.greedy(text)[::-1]] for text in texts]
        return [[one[::-1] for one in translator.translate(text, best, length_penalty=alpha)] for text in texts]

    return search
