"""From text to text on the device, in NumPy: an encoder's file once a text, a decoder's step for each token."""

import unicodedata

import numpy as np

from .beam import beam_search, greedy_search
from .errors import InputError
from .interpreter import StepModel
from .manifest import read_manifest, read_model
from .text import BOUNDARY, PADDING, SPACE, Tokenizer

LONGEST = 10_000  # characters of a text
NO_NUMBERS = "the model gives no finite numbers for this text; train it again, or copy the folder again."


def normalised(text):
    """Composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def checked(line, tokenizer, most):
    """(the text to translate, None) or (None, why it cannot be). line: bytes, or a text. most: tokens, the end counted."""
    try:
        text = (line if isinstance(line, str) else line.decode("utf-8-sig")).rstrip("\r\n")
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 (byte {error.start})"
    if len(text) > LONGEST:
        return None, f"{len(text):,} characters; expected at most {LONGEST:,}"
    text = normalised(text)
    if not text:
        return None, "empty"
    control = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs")), None)
    if control:
        return None, f"holds the control character {control!r}"
    tokens = tokenizer.encode(text)
    if len(tokens) + 1 > most:
        return None, f"{len(tokens)} {tokenizer.kind}; expected at most {most - 1}: cut it into parts"
    if not any(token != tokenizer.unknown and tokenizer.vocabulary[token].strip(f" {SPACE}") for token in tokens):
        return None, f"has no {tokenizer.kind} that the model knows"
    return text, None


class Translator:
    """Turns texts into texts; a beam's every open text costs a run of the step.

    folder: a device folder of the kind 'translator'. precision: 'float' or 'int8'.
    """

    def __init__(self, folder, precision="float"):
        self.manifest = read_manifest(folder, "translator")
        encoder, source = self.manifest["encoder"], self.manifest["source"]
        self._encoder = StepModel({**encoder, "states": []}, read_model(folder, encoder, precision))
        self._model = StepModel(self.manifest, read_model(folder, self.manifest, precision))
        self._places = source["max_length"]
        self.source = Tokenizer(source["vocabulary"], source["tokens"], source["lower"])
        self.target = Tokenizer(
            self.manifest["vocabulary"], self.manifest.get("tokens", "characters"), self.manifest.get("lower", False)
        )

    def translate(self, text, n_best=1, width=None, length_penalty=None):
        """The best translations of a text by beam search, the best first: [(translation, score)].

        width: texts that are kept, length_penalty: the score is log probability / tokens ** it; None: the manifest's. InputError for a
        text that is empty, too long, or of nothing that the model knows.
        """
        width = self.manifest["width"] if width is None else width
        length_penalty = self.manifest["length_penalty"] if length_penalty is None else length_penalty
        if not 1 <= n_best <= width:
            raise InputError(f"`n_best` is {n_best}, `width` {width}; expected 1 to `width` texts.")
        if not 0 <= length_penalty <= 10:
            raise InputError(f"`length_penalty` is {length_penalty}; expected 0 to 10.")
        found = beam_search(
            *self.begin(text),
            limit=self.manifest["max_length"],
            width=width,
            best=n_best,
            length_penalty=length_penalty,
            unwritten=self.target.unwritten,
        )
        if not found:
            raise InputError(NO_NUMBERS)
        return [(self.target.decode(tokens), score) for tokens, _, score in found]

    def greedy(self, text):
        """(translation, log probability): the likeliest token at each step."""
        tokens, log_probability = greedy_search(
            *self.begin(text), limit=self.manifest["max_length"], unwritten=self.target.unwritten
        )
        if not np.isfinite(log_probability):
            raise InputError(NO_NUMBERS)
        return self.target.decode(tokens), log_probability

    def begin(self, text):
        """(step, logits, state) of a text's translation, for the searches."""
        text, reason = checked(text, self.source, self._places)
        if reason:
            raise InputError(f"the text cannot be translated: {reason}.")
        tokens = [*self.source.encode(text), BOUNDARY]
        source = np.full((1, self._places), PADDING, np.int32)
        source[0, : len(tokens)] = tokens
        given, _ = self._encoder.step({"source": source}, {})
        state = {one["input"]: given.pop(one["input"]) for one in self.manifest["states"]}

        def step(token, state):
            outputs, state = self._model.step({"tokens": np.array([token], np.int32), **given}, state)
            return outputs["logits"][0], state

        return step, *step(BOUNDARY, state)
