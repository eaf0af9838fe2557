"""Writing text on the device, in NumPy: choosing tokens, beam search; zoo/decoding/sampling.py draws the same tokens in a graph."""

import dataclasses

import numpy as np

from .beam import beam_search, log_softmax
from .errors import InputError
from .interpreter import StepModel
from .manifest import read_manifest, read_model
from .randomness import exponentials
from .text import BOUNDARY, PADDING, Tokenizer

REMEMBERED = 128  # tokens that contrastive search looks back on, so that a token's cost does not grow
DRAWN = 8192  # random numbers at once


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a token is chosen. First what may not or must come, then the temperature, top-k, top-p, typical, and the draw.

    top_k: Fan et al. 2018, arXiv:1805.04833. top_p: Holtzman et al. 2019, arXiv:1904.09751. typical_p: Meister et al. 2022,
    arXiv:2202.00666. contrastive: Su et al. 2022, arXiv:2202.06417; their hidden states are seen here through the logits, which every
    model file gives. repetition_penalty: after Keskar et al. 2019, arXiv:1909.05858, who scale logits; here log probabilities.
    no_repeat: Paulus et al. 2017, arXiv:1705.04304. The unknown token never comes, whatever is banned.
    """

    temperature: float = 1.0
    """below 1: likelier texts; above: stranger ones"""
    top_k: int = 0
    """draw from the k likeliest tokens only; 0: all, 1: the likeliest always"""
    top_p: float = 1.0
    """draw from the fewest tokens that hold this probability"""
    typical_p: float = 1.0
    """draw from the tokens whose surprise is nearest to the expected one, the fewest that hold this probability"""
    contrastive: float = 0.0
    """above 0: no draw; the best of top_k by probability less this share of its likeness to what was written"""
    repetition_penalty: float = 1.0
    """above 1: tokens that were written before become less likely"""
    no_repeat: int = 0
    """no sequence of so many tokens comes twice; 0: any may"""
    banned: tuple[str, ...] = ()
    """tokens that never come"""
    required: tuple[str, ...] = ()
    """tokens without which a text does not end"""
    stop: tuple[str, ...] = ()
    """text before which to end"""

    def __post_init__(self):
        for name in ("banned", "required", "stop"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"`{name}` is the text {getattr(self, name)!r}; expected a list of texts.")
        if not 1e-6 <= self.temperature <= 1e6:
            raise InputError(
                f"`temperature` is {self.temperature}; expected a number above 0 (1e-6 to 1e6). Use top_k=1 for the likeliest token."
            )
        for name in ("top_k", "no_repeat"):
            if getattr(self, name) < 0:
                raise InputError(f"`{name}` is {getattr(self, name)}; expected 0 ({OFF[name]}) or more.")
        for name in ("top_p", "typical_p"):
            if not 1e-6 <= getattr(self, name) <= 1:
                raise InputError(f"`{name}` is {getattr(self, name)}; expected above 0 and at most 1 (all tokens).")
        if not 1 <= self.repetition_penalty <= 100:
            raise InputError(f"`repetition_penalty` is {self.repetition_penalty}; expected 1 (none) to 100.")
        if not 0 <= self.contrastive < 1:
            raise InputError(f"`contrastive` is {self.contrastive}; expected 0 (off) to below 1.")
        if self.contrastive and self.top_k < 2:
            raise InputError(f"`top_k` is {self.top_k}; expected at least 2 for contrastive search, which chooses among so many.")
        if "" in self.stop:
            raise InputError("`stop` has an empty string; expected text before which to end.")


OFF = {"top_k": "all tokens", "no_repeat": "any may repeat"}


def sample_token(logits, waits, temperature=1.0, top_k=0, top_p=1.0, typical_p=1.0):
    """Draws one token: every token waits exponentially, the likelier the shorter, and the first one comes.

    That is the Gumbel-max trick (Gumbel 1954): a rounding error decides only where two tokens come at almost the same time, however
    large the vocabulary is. logits: (vocabulary,) float, -inf for what may not come. waits: (vocabulary,) float64, exponential.
    Padding is never drawn. Equal logits: the lower index counts as the likelier. The options are those of `Sampling`.
    """
    logits = np.asarray(logits, np.float32) / np.float32(temperature)
    logits[PADDING] = -np.inf
    if top_k or top_p < 1 or typical_p < 1:
        logits = np.where(_kept(logits, top_k, top_p, typical_p), logits, -np.inf)
    return int(np.argmax(logits - np.log(waits)))


def _kept(logits, top_k, top_p, typical_p):
    """Which tokens may be drawn: (vocabulary,) bool."""
    order = np.argsort(-logits, kind="stable")
    weights = np.exp(logits[order] - logits[order[0]])
    if top_k:
        weights[top_k:] = 0
    before = np.cumsum(weights) - weights
    weights[before >= np.float32(top_p) * weights.sum()] = 0
    if typical_p < 1:
        weights[~_typical(weights / weights.sum(), typical_p)] = 0
    kept = np.zeros(len(logits), bool)
    kept[order[weights > 0]] = True
    return kept


def _typical(probabilities, share):
    """Whether each token is among the fewest that hold that share, the ones whose surprise is nearest to the entropy first."""
    surprise = -np.log(np.where(probabilities > 0, probabilities, 1))
    distance = np.where(probabilities > 0, np.abs(surprise - np.sum(probabilities * surprise)), np.inf)
    order = np.argsort(distance, kind="stable")
    ordered = probabilities[order]
    kept = np.zeros(len(order), bool)
    kept[order] = np.cumsum(ordered) - ordered < share
    return kept


class _Constraints:
    """What was written, and what may follow it; the cost of a token does not depend on how many there are."""

    def __init__(self, options, banned, required, size, ends):
        self._options, self._banned, self.missing, self._ends = options, list(banned), dict.fromkeys(required), ends
        self._seen, self._last, self._followers = np.zeros(size, bool), (), {}

    def add(self, token):
        self._seen[token] = True
        self.missing.pop(token, None)
        if self._options.no_repeat:
            if len(self._last) == self._options.no_repeat - 1:
                self._followers.setdefault(self._last, set()).add(token)
            self._last = (*self._last, token)[max(0, len(self._last) + 2 - self._options.no_repeat) :]

    def apply(self, logits, left):
        """The logits with -inf for what may not come; left: how many tokens the text may still have."""
        options = self._options
        logits = np.array(logits, np.float32)
        if options.repetition_penalty != 1:
            logits = log_softmax(logits).astype(np.float32)
            logits[self._seen] *= np.float32(options.repetition_penalty)
        logits[[*self._banned, *self._followers.get(self._last, ())]] = -np.inf
        if self.missing:
            if self._ends:
                logits[BOUNDARY] = -np.inf
            if left <= len(self.missing):
                others = np.setdiff1d(np.arange(len(logits)), list(self.missing))
                logits[others] = -np.inf
        return logits


class Generator:
    """Writes text with a language model, token by token; the cost of a token does not depend on the length.

    folder: a device folder of the kind 'generator'. precision: 'float' or 'int8'.
    """

    def __init__(self, folder, precision="float"):
        self.manifest = read_manifest(folder, "generator")
        self._model = StepModel(self.manifest, read_model(folder, self.manifest, precision))
        self.vocabulary = self.manifest["vocabulary"]
        self.tokenizer = Tokenizer(self.vocabulary, self.manifest.get("tokens", "characters"), self.manifest.get("lower", False))
        self.ends = self.manifest.get("boundary", "text") == "text"

    def stream(self, seed=0, index=0, prefix="", max_length=None, **options):
        """Yields text as it is made. Text `index` of a seed is the same here, in Keras and in the SavedModel.

        options: those of `Sampling`. max_length: tokens, the prefix's included; None: as many as the manifest allows.
        """
        options = Sampling(**options)
        forced, max_length = self._forced(prefix, max_length)
        pending, before = "", None
        for number, token in enumerate(self._tokens(seed, index, forced, max_length, options)):
            pending, before = pending + self.tokenizer.visible(token, before), token
            if number < len(forced):  # stop strings count in what is written
                yield pending
                pending = ""
                continue
            place = min((pending.find(stop) for stop in options.stop if stop in pending), default=-1)
            if place >= 0:
                yield from [pending[:place]] if place else []
                return
            held = _beginning(pending, options.stop)
            if len(pending) > held:
                yield pending[: len(pending) - held]
                pending = pending[len(pending) - held :]
        if pending:
            yield pending

    def sample(self, seed=0, index=0, **options):
        """One text; see `stream`."""
        return "".join(self.stream(seed, index, **options))

    def _forced(self, prefix, max_length):
        max_length = self.manifest["max_length"] if max_length is None else max_length
        if max_length < 1:
            raise InputError(f"`max_length` is {max_length}; expected at least 1.")
        forced = self.tokenizer.encode_prefix(prefix)
        if len(forced) > max_length:
            raise InputError(
                f"`prefix` has {len(forced)} {self.tokenizer.kind}; expected at most {max_length}, the longest text."
            )
        return forced, max_length

    def _tokens(self, seed, index, forced, max_length, options):
        banned, required = (self._single(name, getattr(options, name)) for name in ("banned", "required"))
        both = sorted(set(banned) & set(required))
        if both:
            raise InputError(f"{self.vocabulary[both[0]]!r} is both banned and required; expected one of them.")
        if self.ends and BOUNDARY in required:
            raise InputError(f"`required` has {self.vocabulary[BOUNDARY]!r}, with which a text ends; leave it out.")
        missing = set(required) - set(forced)
        if len(missing) > max_length - len(forced):
            raise InputError(
                f"`required` has {len(missing)} tokens; there is room for {max_length - len(forced)} after the prefix."
            )
        constraints = _Constraints(options, [*self.tokenizer.unwritten, *banned], required, len(self.vocabulary), self.ends)
        block = max(1, DRAWN // len(self.vocabulary))
        outputs, state = self._step(BOUNDARY, self._model.initial_state())
        remembered = []
        for position in range(max_length):
            following = None
            if position % block == 0:
                waits = exponentials(seed, index, position, min(block, max_length - position), len(self.vocabulary))
            if position < len(forced):
                token = forced[position]
            else:
                logits = constraints.apply(outputs, max_length - position)
                if np.isneginf(logits).all():  # nothing may follow
                    return
                if options.contrastive:
                    token, following = self._contrast(logits, outputs, state, remembered, options)
                else:
                    token = sample_token(
                        logits, waits[position % block], options.temperature, options.top_k, options.top_p, options.typical_p
                    )
            if token == BOUNDARY and self.ends:
                return
            yield token
            if position + 1 < max_length:
                constraints.add(token)
                if options.contrastive:
                    remembered = [*remembered[1 - REMEMBERED :], _direction(outputs)]
                outputs, state = following or self._step(token, state)

    def _step(self, token, state):
        outputs, state = self._model.step({"tokens": np.array([[token]], np.int32)}, state)
        return outputs["logits"][0, -1], state

    def _contrast(self, logits, outputs, state, remembered, options):
        """(token, what the model says after it): the best of top_k by probability less the likeness to what was written."""
        probabilities = np.exp(log_softmax(logits / np.float32(options.temperature)))
        best, found = -np.inf, None
        past = np.stack([*remembered, _direction(outputs)])
        for token in np.argsort(-probabilities, kind="stable")[: options.top_k]:
            if not probabilities[token]:
                break
            following = self._step(token, state)
            likeness = (past @ _direction(following[0])).max()
            score = (1 - options.contrastive) * probabilities[token] - options.contrastive * likeness
            if score > best:
                best, found = score, (int(token), following)
        return found

    def _single(self, name, texts):
        """The index of each token of an option; of a subword that one may stand for a word, with its space, that one."""
        found = []
        for text in texts:
            tokens, exact = self.tokenizer.encode(text), self.tokenizer.index.get(text, PADDING)
            token = tokens[0] if len(tokens) == 1 else exact
            if token in (None, PADDING, self.tokenizer.unknown):
                raise InputError(f"`{name}` has {text!r}, which is not one of the model's {len(self.vocabulary)} tokens.")
            found += [token, exact] if exact and name == "banned" else [token]
        return found

    def beam(self, prefix="", width=5, max_length=None, length_penalty=1.0, until=""):
        """The best continuations of a prefix by beam search, the best first: [(text after the prefix, log probability)].

        width: how many are kept at each step. They are ordered by log probability / length ** length_penalty. until: characters
        before which a continuation is complete once it has begun, such as ' ' and a line's end; its probability is then that one of
        them comes.
        """
        if width < 1:
            raise InputError(f"`width` is {width}; expected at least 1.")
        if not 0 <= length_penalty <= 10:
            raise InputError(f"`length_penalty` is {length_penalty}; expected 0 (longer texts lose) to 10.")
        forced, max_length = self._forced(prefix, max_length)
        outputs, state = self._step(BOUNDARY, self._model.initial_state())
        for token in forced:
            outputs, state = self._step(token, state)
        texts = beam_search(
            self._step,
            outputs,
            state,
            limit=max_length - len(forced),
            width=width,
            length_penalty=length_penalty,
            unwritten=self.tokenizer.unwritten,
            ending=lambda tokens: self._ending(tokens, until),
            cut=True,
        )
        found = {}
        for tokens, log_probability, _ in texts:
            # subwords may spell one text in two ways
            found.setdefault(self._continuation(forced, tokens), log_probability)
        return list(found.items())

    def _ending(self, tokens, until):
        """Whether each token would complete a continuation: (vocabulary,) bool."""
        mask = np.zeros(len(self.vocabulary), bool)
        if tokens and until:
            mask = np.array([self.tokenizer.visible(token, tokens[-1])[:1] in tuple(until) for token in range(len(mask))])
        mask[BOUNDARY] |= self.ends
        return mask

    def _continuation(self, forced, tokens):
        whole, given = self.tokenizer.decode([*forced, *tokens]), self.tokenizer.decode(forced)
        return whole[len(given) :]

    def nats(self, tokens):
        """Yields the negative log-likelihood, nats, of every token after the first. tokens: (n,) int."""
        state = self._model.initial_state()
        for token, following in zip(tokens[:-1], tokens[1:]):
            logits, state = self._step(token, state)
            yield -log_softmax(logits)[following]

    def score(self, tokens):
        """`nats` as an array: (n - 1,) float64."""
        return np.fromiter(self.nats(tokens), np.float64)


def _direction(logits):
    """Logits as a vector of length 1, whatever number is added to all of them."""
    centred = logits - logits.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-12)


def _beginning(text, stops):
    """How long the longest end of a text is that a stop string may begin with."""
    longest = min(len(text), max(map(len, stops), default=1) - 1)
    return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in stops)), 0)
