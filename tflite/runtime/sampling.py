"""Choosing the next token on the device, in NumPy; zoo/decoding/sampling.py is the same in a graph."""

import math

import numpy as np

from .errors import InputError
from .interpreter import StepModel
from .manifest import read_manifest, read_model
from .randomness import uniforms

PADDING, BOUNDARY = 0, 1


def check_sampling(temperature, top_k, top_p):
    """Raises InputError unless temperature > 0, top_k >= 0 (0: all) and 0 < top_p <= 1."""
    if not (math.isfinite(temperature) and np.float32(temperature) > 0):
        raise InputError(f"`temperature` is {temperature}; expected a number above 0. Use top_k=1 for the likeliest token.")
    if top_k < 0:
        raise InputError(f"`top_k` is {top_k}; expected 0 (all tokens) or more.")
    if not 0 < top_p <= 1:
        raise InputError(f"`top_p` is {top_p}; expected above 0 and at most 1 (all tokens).")


def sample_token(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    """Draws one token by the inverse of the cumulative distribution over tokens sorted by falling probability.

    logits: (vocabulary,) float. uniform: in [0, 1). Padding is never drawn. Equal logits: the lower index first.
    top_k: Fan et al. 2018, arXiv:1805.04833. top_p: Holtzman et al. 2019, arXiv:1904.09751.
    """
    logits = np.asarray(logits, np.float32) / np.float32(temperature)
    logits[PADDING] = -np.inf
    order = np.argsort(-logits, kind="stable")
    weights = np.exp(logits[order] - logits[order[0]])
    if top_k:
        weights[top_k:] = 0
    before = np.cumsum(weights) - weights
    weights[before >= np.float32(top_p) * weights.sum()] = 0
    total = np.cumsum(weights)
    index = np.searchsorted(total, np.float32(uniform) * total[-1], side="right")
    return int(order[min(index, np.flatnonzero(weights)[-1])])


class Generator:
    """Writes text with a recurrent model, token by token; the cost of a token does not depend on the length.

    folder: a device folder of the kind 'generator'. precision: 'float' or 'int8'.
    """

    def __init__(self, folder, precision="float"):
        self.manifest = read_manifest(folder, "generator")
        self._model = StepModel(self.manifest, read_model(folder, self.manifest, precision))
        self.vocabulary = self.manifest["vocabulary"]
        self._ends = self.manifest.get("boundary", "text") == "text"
        self._writable = self.vocabulary[2 if self._ends else 1 :]

    def stream(self, seed=0, index=0, prefix="", temperature=1.0, top_k=0, top_p=1.0, max_length=None):
        """Yields tokens as they are made. Text `index` of a seed is the same here, in Keras and in the SavedModel."""
        check_sampling(temperature, top_k, top_p)
        unknown = sorted({character for character in prefix if character not in self._writable})
        if unknown:
            raise InputError(f"`prefix` has {unknown[0]!r}, which the model has never seen; it knows {''.join(self._writable)}")
        max_length = max_length or self.manifest["max_length"]
        if len(prefix) > max_length:
            raise InputError(f"`prefix` has {len(prefix)} characters; expected at most {max_length}, the longest text.")
        forced = [self.vocabulary.index(character) for character in prefix]
        draws = uniforms(seed, index, 0, max_length)
        state, token = self._model.initial_state(), BOUNDARY
        for position in range(max_length):
            outputs, state = self._model.step({"tokens": np.array([[token]], np.int32)}, state)
            token = (
                forced[position]
                if position < len(forced)
                else sample_token(outputs["logits"][0, -1], draws[position], temperature, top_k, top_p)
            )
            if token == BOUNDARY and self._ends:
                return
            yield self.vocabulary[token]

    def score(self, tokens):
        """The negative log-likelihood, nats, of every token after the first: (n - 1,) float64. tokens: (n,) int."""
        state, nats = self._model.initial_state(), []
        for token, following in zip(tokens[:-1], tokens[1:]):
            outputs, state = self._model.step({"tokens": np.array([[token]], np.int32)}, state)
            logits = outputs["logits"][0, -1].astype(np.float64)
            nats.append(np.log(np.sum(np.exp(logits - logits.max()))) + logits.max() - logits[following])
        return np.array(nats)

    def sample(self, seed=0, index=0, **options):
        """One text; see `stream`."""
        return "".join(self.stream(seed, index, **options))
