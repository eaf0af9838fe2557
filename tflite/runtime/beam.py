"""Beam search on the device, in NumPy; zoo/decoding/beam.py finds the same texts in a graph."""

import numpy as np

from .text import BOUNDARY, PADDING


def log_softmax(logits):
    """Natural logarithms of the probabilities: float64."""
    logits = np.asarray(logits, np.float64)
    return logits - logits.max() - np.log(np.sum(np.exp(logits - logits.max())))


def greedy_search(step, logits, state, *, limit, unwritten=(PADDING,)):
    """(tokens, log probability) of the likeliest next token, again and again, until the boundary or for `limit` tokens, the end counted.

    step(token, state) -> (logits (vocabulary,), state); logits and state: before the first token.
    """
    tokens, total = [], 0.0
    for position in range(limit):
        rates = log_softmax(logits)
        rates[list(unwritten)] = -np.inf
        token = int(np.argmax(rates)) if position + 1 < limit else BOUNDARY
        total += rates[token]
        if token == BOUNDARY:
            break
        tokens.append(token)
        logits, state = step(token, state)
    return tokens, float(total)


def beam_search(
    step, logits, state, *, limit, width, best=None, length_penalty=1.0, unwritten=(PADDING,), ending=None, cut=False
):
    """The likeliest texts that a search with `width` open ones finds: [(tokens without their end, log probability, score)], the best first.

    Score: log probability / length ** length_penalty (Wu et al. 2016, arXiv:1609.08144, in its simpler form; the notes' alpha), the end
    counted. limit: tokens of a text at most, its end included. best: how many texts; None: `width`. unwritten: tokens that never come.
    ending(tokens) -> (vocabulary,) bool: which tokens would end a text; None: the boundary alone. cut: a text may also be over because
    of the limit. The search ends when no open text can come among the best. The other arguments are greedy_search's.
    """
    best, unwritten = best or width, list(unwritten)
    boundary = np.arange(len(logits)) == BOUNDARY
    open_texts, done = [((), 0.0, logits, state)], []

    def found(tokens, total, length):
        return tokens, float(total), float(total / max(1, length) ** length_penalty)

    for position in range(limit):
        reached = []
        for tokens, total, logits, state in open_texts:
            rates = log_softmax(logits)
            rates[unwritten] = -np.inf
            ends = boundary if ending is None else ending(tokens)
            if ends.any():
                reached.append((total + np.logaddexp.reduce(rates[ends]), tokens, None, state))
            rates[ends] = -np.inf
            if cut or position + 1 < limit:
                reached += [(total + rates[token], tokens, token, state) for token in _likeliest(rates, 2 * width)]
        # twice the width: as many as the width go on, though as many end
        reached = sorted((one for one in reached if np.isfinite(one[0])), key=lambda one: -one[0])[: 2 * width]
        done += [found(tokens, total, position + 1) for total, tokens, token, _ in reached if token is None]
        done = sorted(done, key=lambda one: -one[2])[:width]
        goes_on = [one for one in reached if one[2] is not None][:width]
        # log probabilities only fall, and a length of `limit` divides them the most
        if not goes_on or len(done) >= best and goes_on[0][0] / limit**length_penalty <= done[best - 1][2]:
            return done[:best]
        if position + 1 == limit:  # a text that was cut
            done += [found((*tokens, token), total, limit) for total, tokens, token, _ in goes_on]
            return sorted(done, key=lambda one: -one[2])[:best]
        open_texts = [((*tokens, token), total, *step(token, state)) for total, tokens, token, state in goes_on]
    return [found((), 0.0, 0)]


def _likeliest(rates, count):
    """The `count` tokens of the highest rates, the highest first, of equal ones the lower token first."""
    least = np.partition(rates, -count)[-count] if count < len(rates) else -np.inf
    tokens = np.flatnonzero(rates >= least)
    return [int(token) for token in tokens[np.argsort(-rates[tokens], kind="stable")][:count]]
