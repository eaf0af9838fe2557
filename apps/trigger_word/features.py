"""What each size of detector hears: mel frames, or the pretrained encoder's embeddings of them."""

import dataclasses
import functools
import hashlib

import numpy as np
import tensorflow as tf

from apps.data import encoder
from apps.trigger_word.sound import RATE
from tflite.runtime import FrontEnd
from zoo.layers.audio import MelFrontEnd, speech_embedding_front_end
from zoo.models.speech_embedding import FRAMES_PER_EMBEDDING

STRIDE = {"tcn_trigger_word": 2, "conv_gru_trigger_word": 4, "course_trigger_word": 4}  # with their defaults
PIECE_S, HISTORY_S = 57.6, 1.6  # of a long stream: the encoder sees 0.76 s


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
        pieces, piece, history = [], int(PIECE_S * RATE), int(HISTORY_S * RATE)
        for start in range(0, len(samples), piece):
            before = min(start, history)
            found = np.asarray(self.of_batch(samples[None, start - before : start + piece]))[0]
            pieces.append(found[round(before / RATE / self.score_s) :].astype(np.float16))
        return np.concatenate(pieces)


@functools.lru_cache(2)  # an encoder is read once, and its graph traced once
def features(config):
    """The features of a configuration's detector."""
    if config.size == "standard":
        return Features(speech_embedding_front_end(), FRAMES_PER_EMBEDDING, encoder.speech_embedding(config.encoder))
    if config.size == "micro":
        return Features(MelFrontEnd(), FRAMES_PER_EMBEDDING)
    return Features(MelFrontEnd(compression=config.compression), STRIDE[config.builder])
