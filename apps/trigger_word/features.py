"""What each size of detector hears: mel frames, or the pretrained encoder's embeddings of them."""

import dataclasses
import functools
import hashlib

import numpy as np
import tensorflow as tf

from apps.data import encoder
from apps.data.sound import RATE
from tflite.runtime import FrontEnd
from zoo.layers.audio import MelFrontEnd, speech_embedding_front_end
from zoo.models.speech_embedding import FRAMES_PER_EMBEDDING

STRIDE = {"tcn_trigger_word": 2, "conv_gru_trigger_word": 4, "course_trigger_word": 4}  # with their defaults
PIECE_S = 57.6  # of a long stream
HISTORY_S = 1.6  # the encoder sees 0.76 s


@dataclasses.dataclass(frozen=True)
class Features:
    """The way from samples to what is trained on. layer: the front end. encoder: after it, or None. stride: frames a score."""

    layer: object
    stride: int
    encoder: object = None

    @functools.cached_property
    def identity(self):
        """What the features depend on, JSON-able: of the encoder a checksum of its weights."""
        weights = b"".join(array.tobytes() for array in self.encoder.get_weights()) if self.encoder else b""
        return [self.layer.options, hashlib.sha256(weights).hexdigest()]

    @property
    def score_s(self):
        """The time from one score to the next, seconds."""
        return self.stride * self.layer.options["shift"] / RATE

    @functools.cached_property
    def of_batch(self):
        """A function of samples (batch, n) float32 that gives features (batch, time, size) float32."""

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
        def features(samples):
            frames = self.layer(samples)
            return self.encoder(frames, training=False)["embedding"] if self.encoder else frames

        return features

    def of_stream(self, samples):
        """The features of a stream of any length, (time, size) float16."""
        if not self.encoder:
            # the device's front end computes the same in blocks, so that hours fit into memory
            return FrontEnd(self.layer.manifest(), RATE).push(samples).astype(np.float16)
        return in_pieces(self.of_batch, samples, round(self.score_s * RATE), self.score_s, HISTORY_S).astype(np.float16)


def in_pieces(run, stream, stride, score_s, history_s, side_by_side=1):
    """What a causal network says of a long stream (time, ...), `stride` steps a score: (time // stride, size), piece by piece.

    run: a function of (batch, time, ...) float32. Each piece but the first comes after history_s of what was before it.
    """
    piece, history = (round(seconds / score_s) for seconds in (PIECE_S, history_s))
    scores = len(stream) // stride
    width = min(history + piece, scores)
    starts, found = np.arange(0, max(1, scores - history), piece), []
    for some in np.split(starts, range(side_by_side, len(starts), side_by_side)):
        batch = np.zeros((len(some), width * stride, *stream.shape[1:]), np.float32)
        for row, start in zip(batch, some):
            part = stream[start * stride : min(start + width, scores) * stride]
            row[: len(part)] = part
        found += [row[0 if start == 0 else history :] for start, row in zip(some, np.asarray(run(batch)))]
    return np.concatenate(found)[:scores]


@functools.lru_cache(2)  # an encoder is read once, and its graph traced once
def features(config):
    """The features of a configuration's detector."""
    if config.size == "standard":
        return Features(speech_embedding_front_end(), FRAMES_PER_EMBEDDING, encoder.speech_embedding(config.encoder))
    if config.size == "micro":
        return Features(MelFrontEnd(), FRAMES_PER_EMBEDDING)
    return Features(MelFrontEnd(compression=config.compression), STRIDE[config.builder])
