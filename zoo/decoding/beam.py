"""Searches for the likeliest text of a decoder, inside a graph: greedy, and beam search with length normalisation and constraints.

TensorFlow only, stock operations: a search is part of a SavedModel. step and state are those of zoo.layers.decoders, or anything like
them: step(tokens (batch,), state) -> (logits (batch, vocabulary), state), a state a dictionary of arrays, batch first, of which "memory",
where it is there, is never reordered. Token 0 is padding, which no search writes.
"""

import dataclasses

import tensorflow as tf

from zoo.decoding.sampling import BOUNDARY, PADDING
from zoo.errors import InputError, check_sizes

NEVER = -1e30  # the log probability of what may not come: finite, so that sums of it are


@dataclasses.dataclass(frozen=True)
class Constraints:
    """What a search may write. min_length, max_length: tokens of a text, its end included. no_repeat_ngram: no n tokens come twice (0: they
    may). banned: tokens that never come. required: tokens of which each comes before the end; the last places are kept for them.
    """

    max_length: int = 100
    min_length: int = 1
    no_repeat_ngram: int = 0
    banned: tuple = ()
    required: tuple = ()
    end: int = BOUNDARY

    def __post_init__(self):
        check_sizes(max_length=self.max_length, min_length=self.min_length)
        check_sizes(least=0, no_repeat_ngram=self.no_repeat_ngram)
        needed = max(self.min_length, len(set(self.required)) + 1)
        if needed > self.max_length:
            raise InputError(f"`max_length` is {self.max_length}; expected at least {needed}, which the other constraints need.")
        if min((1, *self.required)) <= PADDING:
            raise InputError(f"`required` is {self.required}; expected tokens above {PADDING}, which is padding.")
        if self.end in (*self.banned, *self.required) or set(self.banned) & set(self.required):
            raise InputError("a token is both banned and required, or is the end; expected each in one place.")

    def forbidden(self, written, position, vocabulary):
        """(texts, vocabulary) bool: what may not come at a position; where nothing may, the end. written: (texts, max_length) int32,
        padded from there on.
        """
        if max((0, *self.required)) >= vocabulary:
            raise InputError(f"`required` is {self.required}; expected tokens below {vocabulary}, the vocabulary's size.")
        never = tf.reduce_any(tf.range(vocabulary)[:, None] == tf.constant((PADDING, *self.banned)), axis=-1)
        end = tf.range(vocabulary) == self.end
        last = position == self.max_length - 1
        found = tf.tile((never | (end & (position + 1 < self.min_length)) | (~end & last))[None], [tf.shape(written)[0], 1])
        if self.no_repeat_ngram:
            found = found | (self._repeated(written, position, vocabulary) & ~end)
        if self.required:
            asked = tf.constant(tuple(dict.fromkeys(self.required)))
            missing = ~tf.reduce_any(written[:, :, None] == asked, axis=1)
            left = tf.reduce_sum(tf.cast(missing, tf.int32), axis=1)[:, None]
            wanted = tf.reduce_any((tf.range(vocabulary)[:, None] == asked)[None] & missing[:, None], axis=-1)
            now = left >= self.max_length - 1 - position
            found = (found | (left > 0) & (end | ~wanted & now)) & ~(wanted & now)
        return found & ~(tf.reduce_all(found, axis=1, keepdims=True) & end)

    def _repeated(self, written, position, vocabulary):
        """(texts, vocabulary) bool: tokens that would end an n-gram which is there already."""
        size = self.no_repeat_ngram
        starts = tf.range(tf.maximum(0, self.max_length - size + 1))
        same = tf.tile((starts + size - 1 < position)[None], [tf.shape(written)[0], 1])
        for offset in range(size - 1):
            latest = tf.gather(written, tf.maximum(0, position - size + 1 + offset), axis=1)
            same = same & (tf.gather(written, starts + offset, axis=1) == latest[:, None])
        rows, places = tf.unstack(tf.cast(tf.where(same), tf.int32), num=2, axis=1)
        tokens = tf.gather_nd(written, tf.stack([rows, places + size - 1], axis=1))
        found = tf.zeros([tf.shape(written)[0], vocabulary], tf.bool)
        return tf.tensor_scatter_nd_update(found, tf.stack([rows, tokens], axis=1), tf.ones_like(rows, tf.bool))


def greedy_search(step, state, batch, constraints=Constraints(), prefix=None):
    """The likeliest next token, again and again. batch: how many texts. prefix: (batch, n) int, with which they begin
    whatever the constraints say, 0 from where on they do not.

    Returns a dictionary: tokens (batch, max_length) int32 with the end and padding after it, log_probability (batch,) float32.
    """
    limit, prefix = constraints.max_length, _checked_prefix(prefix, constraints)

    def body(position, tokens, written, log_probability, ended, state):
        logits, state = _stepped(step, tokens, state)
        rates = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        rates = _forced(rates, constraints, written, position, prefix)
        tokens = tf.where(ended, PADDING, tf.argmax(rates, axis=-1, output_type=tf.int32))
        gained = tf.gather(rates, tokens, batch_dims=1)
        log_probability += tf.where(ended, 0.0, gained)
        written = tf.where(tf.range(limit) == position, tokens[:, None], written)
        return position + 1, tokens, written, log_probability, ended | (tokens == constraints.end), state

    start = tf.fill([batch], BOUNDARY)
    variables = (0, start, tf.zeros([batch, limit], tf.int32), tf.zeros([batch]), tf.zeros([batch], tf.bool), state)
    _, _, written, log_probability, _, _ = tf.while_loop(
        lambda position, tokens, written, rates, ended, state: (position < limit) & ~tf.reduce_all(ended),
        body,
        variables,
        shape_invariants=_invariants(variables),
    )
    return {"tokens": written, "log_probability": log_probability}


def beam_search(
    step,
    state,
    batch,
    width=5,
    best=1,
    constraints=Constraints(),
    length_penalty=0.0,
    coverage_penalty=0.0,
    groups=1,
    diversity=0.5,
    prefix=None,
):
    """The texts with the highest scores that a search with `width` open texts finds. batch: how many sources; prefix: as greedy_search's.

    score: log probability / length ** length_penalty (the notes' alpha; a number or a scalar tensor), the end counted, plus
    coverage_penalty times the sum over the source's places of log(min(1, what each was attended to)) (Wu et al. 2016,
    arXiv:1609.08144). best: how many texts of each source.
    groups: parts of the beam that each avoid, by `diversity` a time, the tokens that the parts before chose at a position (Vijayakumar
    et al. 2018, arXiv:1610.02424); scores are without that. The search ends when no open text can come among the best any more.
    Returns a dictionary: tokens (batch, best, max_length) int32 with the end and padding after it, score and log_probability (batch,
    best) float32; where fewer texts were found, the rest is padding with a score below -1e29.
    """
    check_sizes(width=width, best=best, groups=groups)
    if width % groups or best > width:
        raise InputError(
            f"`width` is {width}, `groups` {groups}, `best` {best}; expected groups that divide it, and no more best than it."
        )
    length_penalty = tf.cast(length_penalty, tf.float32)
    if min(tf.get_static_value(length_penalty) or 0, coverage_penalty, diversity) < 0:
        raise InputError("`length_penalty`, `coverage_penalty` or `diversity` is below 0; expected 0 or more of each.")
    limit, each, prefix = constraints.max_length, width // groups, _checked_prefix(prefix, constraints)
    parts = batch * groups  # a group of a source
    needed = min(best, each)
    state = tf.nest.map_structure(lambda x: tf.repeat(x, width, axis=0), state)
    memory = {"memory": state.pop("memory")} if "memory" in state else {}
    mask = memory.get("memory", {}).get("mask")
    attends = coverage_penalty > 0
    if attends and "weights" not in state:
        raise InputError("`coverage_penalty` is asked for, but the decoder has no attention; expected 0.")

    def normalised(log_probability, length, covered):
        score = log_probability / tf.cast(length, tf.float32) ** length_penalty
        return score + coverage_penalty * covered

    def coverage(attended):
        """(parts, each): the logarithms, added up over the places of the source."""
        logs = tf.math.log(tf.clip_by_value(attended, 1e-9, 1.0))
        logs = logs if mask is None else tf.where(mask, logs, 0.0)
        return tf.reshape(tf.reduce_sum(logs, axis=-1), [parts, each])

    def body(position, tokens, written, rates, attended, done, state):
        logits, state = _stepped(step, tf.reshape(tokens, [-1]), {**state, **memory})
        state = {name: value for name, value in state.items() if name != "memory"}
        vocabulary = logits.shape[-1]
        flat = tf.reshape(written, [-1, limit])
        next_rates = _forced(tf.nn.log_softmax(tf.cast(logits, tf.float32)), constraints, flat, position, prefix, width)
        total = tf.maximum(NEVER, rates[..., None] + tf.reshape(next_rates, [parts, each, vocabulary]))
        attended = attended + state["weights"] if attends else attended
        covered = coverage(attended) if attends else tf.zeros([parts, each])
        chosen, parents = _choose(total, 2 * each, groups, diversity, constraints.end)
        rates = tf.gather(tf.reshape(total, [parts, -1]), parents * vocabulary + chosen, batch_dims=1)
        written = tf.gather(written, parents, batch_dims=1)
        written = tf.where(tf.range(limit) == position, chosen[..., None], written)

        ended = chosen == constraints.end
        score = normalised(rates, position + 1, tf.gather(covered, parents, batch_dims=1))
        score = tf.where(ended & (rates > NEVER), score, NEVER)
        done = _highest(each, *(tf.concat(pair, axis=1) for pair in zip(done, (score, rates, written))))
        rates, parents, chosen, written = _highest(each, tf.where(ended, NEVER, rates), parents, chosen, written)
        rows = tf.reshape(parents + each * tf.range(parts)[:, None], [-1])
        state, attended = tf.nest.map_structure(lambda x: tf.gather(x, rows), (state, attended))
        return position + 1, chosen, written, rates, attended, done, state

    def open(position, tokens, written, rates, attended, done, state):
        # log probabilities only fall, and a length of `limit` divides them the most
        reachable = normalised(tf.reduce_max(rates, axis=1), limit, 0.0)
        hopeful = (reachable > done[0][:, needed - 1]) & (tf.reduce_max(rates, axis=1) > NEVER)
        return (position < limit) & tf.reduce_any(hopeful)

    nothing = tf.zeros([parts, each, limit], tf.int32)
    never = tf.fill([parts, each], NEVER)
    first = tf.concat([tf.zeros([parts, 1]), tf.fill([parts, each - 1], NEVER)], axis=1)
    attended = tf.zeros_like(state["weights"]) if attends else tf.zeros([parts * each, 0])
    variables = (0, tf.fill([parts, each], BOUNDARY), nothing, first, attended, (never, never, nothing), state)
    done = tf.while_loop(open, body, variables, shape_invariants=_invariants(variables))[5]
    done = (tf.reshape(array, [batch, width, *array.shape[2:]]) for array in done)
    score, rates, written = _highest(best, *done)
    return {"tokens": written, "score": score, "log_probability": rates}


def _highest(count, scores, *arrays):
    """The `count` highest scores of each row, and what belongs to them: arrays (rows, columns, ...)."""
    order = tf.math.top_k(scores, count).indices
    return tuple(tf.gather(array, order, batch_dims=1) for array in (scores, *arrays))


def _stepped(step, tokens, state):
    """A step whose state keeps its types, as a loop needs it: in mixed precision some come back wider."""
    logits, new = step(tokens, state)
    return logits, tf.nest.map_structure(lambda value, old: tf.cast(value, old.dtype), new, state)


def _checked_prefix(prefix, constraints):
    """The prefix as int32; an InputError where it leaves no place for the end."""
    if prefix is None:
        return None
    prefix = tf.cast(prefix, tf.int32)
    if (prefix.shape[1] or 0) >= constraints.max_length:
        raise InputError(f"`prefix` has {prefix.shape[1]} tokens; expected fewer than `max_length`, {constraints.max_length}.")
    return prefix


def _forced(rates, constraints, written, position, prefix, copies=1):
    """Log probabilities (texts, vocabulary), NEVER for what the constraints forbid; where a prefix says something, for all the rest."""
    vocabulary = rates.shape[-1]
    forbidden = constraints.forbidden(written, position, vocabulary)
    if prefix is not None:
        given = tf.concat([prefix, tf.zeros_like(prefix[:, :1])], axis=1)
        given = tf.repeat(tf.gather(given, tf.minimum(position, tf.shape(prefix)[1]), axis=1), copies, axis=0)[:, None]
        forbidden = tf.where(given == PADDING, forbidden, tf.range(vocabulary) != given)
    return tf.where(forbidden, NEVER, tf.maximum(rates, NEVER))


def _choose(total, count, groups, diversity, end):
    """The best `count` continuations of each part: tokens and which text each continues, (parts, count) both."""
    each, vocabulary = total.shape[1:]
    count = min(count, each * vocabulary)
    if groups == 1:
        found = tf.math.top_k(tf.reshape(total, [-1, each * vocabulary]), count).indices
        return found % vocabulary, found // vocabulary
    by_group = tf.unstack(tf.reshape(total, [-1, groups, each, vocabulary]), axis=1)
    taken, found = tf.zeros_like(by_group[0][:, 0]), []
    for part in by_group:
        flat = tf.reshape(part - diversity * taken[:, None], [-1, each * vocabulary])
        found.append(tf.math.top_k(flat, count).indices)
        tokens = found[-1] % vocabulary
        goes_on = tf.cast(tokens != end, tf.int32)
        goes_on *= tf.cast(tf.cumsum(goes_on, axis=1) <= each, tf.int32)
        taken += tf.reduce_sum(tf.one_hot(tokens, vocabulary) * tf.cast(goes_on, tf.float32)[..., None], axis=1)
    found = tf.reshape(tf.stack(found, axis=1), [-1, count])
    return found % vocabulary, found // vocabulary


def _invariants(variables):
    """Shapes that stay as a loop goes on: batches, and what grows along time, may change."""

    def shape(x):
        known = tf.convert_to_tensor(x).shape
        return (
            tf.TensorShape([None, None, *known[2:]])
            if known.rank == 3
            else tf.TensorShape([None, *known[1:]] if known.rank else [])
        )

    return tf.nest.map_structure(shape, variables)
