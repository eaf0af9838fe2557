"""Clips as frames: changed copies to train on, each made once; batches of like lengths."""

import dataclasses
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from apps.data import encoder
from apps.data.epochs import from_step, like_lengths, padded
from apps.data.sound import backgrounds, disturb, levelled, recorded, respeak, room
from tflite.runtime.front_end import FrontEnd
from tflite.runtime.randomness import Stream
from tflite.runtime.samples import as_float
from zoo.errors import InputError
from zoo.layers.audio import MelFrontEnd, speech_embedding_front_end
from zoo.losses.ctc import frames_needed
from zoo.models.speech_embedding import FRAMES_PER_EMBEDDING

RATE = 16000
LEAD_S, TAIL_S = 0.1, 0.4  # silence around a clip; a network that looks back only says things late
LEADS_S = (0.0, 0.6)  # before a training clip
LEVELS_DB = (-45.0, -15.0)  # active speech level of training clips, dBov
SNR_DB = (3.0, 30.0)
TEMPO = (0.85, 1.18)
FAINT = 3e-5  # noise that every microphone has: no frame of a clip is quite zero
BLOCK = 1600  # samples
ROOMS, NOISES, BABBLE = 60, 60, 40
BANDS, FEATURES = 32, 96  # of a pretrained encoder


def front_end(config):
    """The front end of a configuration's recogniser: the pretrained encoder's, or the usual one."""
    return speech_embedding_front_end() if config.embedded else MelFrontEnd()


@functools.lru_cache(1)  # an encoder is read once
def encoder_of(name):
    """A pretrained encoder, which makes embeddings (batch, time // 8, features) of mel frames (batch, time, bands) float32."""
    network = encoder.speech_embedding(name)
    shapes = network.input.shape[2:] + network.output["embedding"].shape[2:]
    if shapes != (BANDS, FEATURES):
        raise InputError(
            f"`encoder` is {name!r}, which makes {shapes[1]} numbers of {shapes[0]} bands; expected {FEATURES} of {BANDS}."
        )
    return network


@functools.lru_cache(1)  # and its graph traced once
def _encode(name):
    signature = [tf.TensorSpec([None, None, BANDS], tf.float32)]
    return tf.function(functools.partial(encoder_of(name), training=False), input_signature=signature)


def outputs(frames, config):
    """How many logits a network gives for so many of the frames that it is trained on."""
    return frames * (FRAMES_PER_EMBEDDING // config.stride) if config.embedded else -(-frames // config.stride)


@dataclasses.dataclass(frozen=True)
class Examples:
    """frames: (time, bands) float16 of each clip, or its embeddings. labels: its symbols."""

    frames: list
    labels: list

    def lengths(self):
        """(clips, 1): frames of each."""
        return np.array([[len(frames)] for frames in self.frames])


def plain(utterances, symbols, config, encoded=True):
    """Examples of clips as they are. encoded: as embeddings, where the configuration's network is trained on those."""

    def samples(number):
        return _between_silence(utterances[number].clip.samples.astype(np.float32) / 32768, LEAD_S)

    return _made(samples, utterances, symbols, config, encoded, 1, "reading")


def _between_silence(samples, lead_s):
    """Samples with silence before and after, (n,) float32; n is what Fourier transforms are quick at."""
    lead, tail = (round(seconds * RATE) for seconds in (lead_s, TAIL_S))
    whole = np.zeros(-(-(lead + len(samples) + tail) // BLOCK) * BLOCK, np.float32)
    whole[lead : lead + len(samples)] = samples
    return whole


def changed(utterances, symbols, config):
    """Examples of `copies` changed copies of each clip: tempo, level, room, noise, codec; a share of them in none of the last three."""
    seed = config.seed
    speech = [said.clip.samples for said in utterances[:BABBLE]]
    heard, rooms = recorded()
    noises = [*backgrounds(Stream(seed + 21, 0), speech, NOISES), *heard["train"]]
    rooms = [*(room(Stream(seed + 22, number)) for number in range(ROOMS)), *rooms["train"]]

    def samples(number):
        draw = Stream(seed + 23, number)
        speech = respeak(draw, levelled(utterances[number % len(utterances)].clip.samples), *TEMPO)
        speech = _between_silence(speech, draw.uniform(*LEADS_S))
        if not draw.chance(config.clean_share):
            speech = disturb(draw, speech, rooms, noises, SNR_DB)
        return np.clip(speech * np.float32(10 ** (draw.uniform(*LEVELS_DB) / 20)), -1.0, 1.0)

    return _made(samples, utterances, symbols, config, True, config.copies, "preparing clips")


def with_tail(samples):
    """float32 samples and the silence after which everything is said."""
    return np.concatenate([as_float(samples), np.zeros(round(TAIL_S * RATE), np.float32)])


def _made(samples, utterances, symbols, config, encoded, copies, label):
    """Examples of each copy of each clip. samples(number) -> (n,) float32."""
    count, ends = len(utterances) * copies, threading.local()
    manifest, faint = front_end(config).manifest(), FAINT * Stream(31, 0).normal(20 * RATE)
    encode = _encode(config.encoder) if config.embedded and encoded else None

    def frames(number):
        if not hasattr(ends, "front_end"):
            ends.front_end = FrontEnd(manifest, RATE)
        ends.front_end.reset()
        heard = samples(number)
        noise = np.resize(np.roll(faint, 997 * number), len(heard))
        found = ends.front_end.push(heard + noise)
        return (encode(found[None])["embedding"][0].numpy() if encode else found).astype(np.float16)

    with ThreadPoolExecutor(2) as threads:
        found = list(tqdm(threads.map(frames, range(count)), total=count, desc=label, unit="clip", leave=False))
    return Examples(found, [symbols.encode(said.text) for said in utterances] * copies)


def fitting(examples, config):
    """(the examples whose labels fit into their frames, how many did not)."""
    labels = padded_labels(examples.labels)
    needed = np.asarray(frames_needed(labels, [len(row) for row in examples.labels]))
    kept = [i for i, frames in enumerate(examples.frames) if needed[i] <= outputs(len(frames), config)]
    return Examples([examples.frames[i] for i in kept], [examples.labels[i] for i in kept]), len(examples.frames) - len(kept)


def batch(examples, chosen):
    """(frames (batch, time, bands or embedding) float32, labels (batch, labels) int32): zeros after a clip's frames, -1 after its labels."""
    frames = [examples.frames[i] for i in chosen]
    whole = np.zeros((len(frames), max(map(len, frames)), frames[0].shape[1]), np.float32)
    for row, some in zip(whole, frames):
        row[: len(some)] = some
    return whole, padded_labels([examples.labels[i] for i in chosen])


def padded_labels(labels):
    """(clips, labels) int32, -1 after each clip's; at least one column."""
    return padded(labels, -1) if any(labels) else np.full((len(labels), 1), -1, np.int32)


def batches(examples, config, first_step):
    """Batches from a step on, for ever: clips of like lengths together, every epoch in its own order."""
    lengths = examples.lengths()
    for chosen in from_step(first_step, len(lengths) // config.batch_size, lambda epoch: like_lengths(lengths, config, epoch)):
        yield batch(examples, chosen)


class Validation(keras.utils.PyDataset):
    """Batches of examples in order of length, made when they are first asked for: an evaluation alone needs none.

    make() -> Examples. targets(step, frames, labels) -> (y, or y and weights) as training has them.
    """

    def __init__(self, make, batch_size, targets):
        super().__init__()
        self._make, self._batch_size, self._targets = make, batch_size, targets

    @functools.cached_property
    def plain(self):
        """(frames, labels) of each batch."""
        examples = self._make()
        order = np.argsort(examples.lengths()[:, 0], kind="stable")
        return [batch(examples, order[start : start + self._batch_size]) for start in range(0, len(order), self._batch_size)]

    def __len__(self):
        return len(self.plain)

    def __getitem__(self, index):
        frames, labels = self.plain[index]
        return (frames, *self._targets(None, frames, labels))
