"""CTC in plain NumPy: every path one by one, the notes' forward and backward recursions, decoders and trellises that are obviously right."""

import itertools

import numpy as np


def collapse(path, blank=0):
    """What a path of symbols says: repeats merged, then blanks dropped. A tuple."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != blank)


def paths(frames, symbols):
    """Every sequence of symbols, one a frame."""
    return itertools.product(range(symbols), repeat=frames)


def probabilities(rates, blank=0):
    """{labels: probability} of everything that can be said in (time, symbols) log probabilities, by going through all paths."""
    found = {}
    for path in paths(*rates.shape):
        said = collapse(path, blank)
        found[said] = found.get(said, 0.0) + np.exp(sum(rates[t, symbol] for t, symbol in enumerate(path)))
    return found


def with_blanks(labels, blank=0):
    """Blank, first label, blank, ..., blank."""
    return [blank, *(symbol for label in labels for symbol in (label, blank))]


def forward(rates, labels, blank=0):
    """alpha(t, r): the log probability of all paths that are at the r-th symbol of the labels with blanks at time t."""
    path = with_blanks(labels, blank)
    alpha = np.full((len(rates), len(path)), -np.inf)
    alpha[0, :2] = rates[0, path[:2]]
    for t in range(1, len(rates)):
        for r, symbol in enumerate(path):
            before = [alpha[t - 1, r]]
            if r > 0:
                before.append(alpha[t - 1, r - 1])
            if r > 1 and symbol not in (blank, path[r - 2]):
                before.append(alpha[t - 1, r - 2])
            alpha[t, r] = np.logaddexp.reduce(before) + rates[t, symbol]
    return alpha


def loss(rates, labels, blank=0):
    """Minus the log probability of labels."""
    return -np.logaddexp.reduce(forward(rates, labels, blank)[-1, -2:])


def loss_gradient(logits, labels, blank=0):
    """The derivative of the loss by logits: y - gamma, the softmax minus the expected symbols at each time."""
    rates = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    path = with_blanks(labels, blank)
    ahead = forward(rates, labels, blank)
    behind = forward(rates[::-1], labels[::-1], blank)[::-1, ::-1] - rates[:, path]  # what is emitted at t counts once
    gamma = np.exp(ahead + behind + loss(rates, labels, blank))
    expected = np.zeros_like(rates)
    for r, symbol in enumerate(path):
        expected[:, symbol] += gamma[:, r]
    return np.exp(rates) - expected


def prefix_beam(rates, width, blank=0, extra=lambda labels: 0.0):
    """[(labels, log probability of them)] best first: prefixes grow frame by frame, and the `width` best are kept.

    Hannun et al. 2014, arXiv:1408.2873. extra: what a prefix scores beside its log probability.
    """
    beams = {(): (0.0, -np.inf)}  # of each prefix, log probability that it ends with a blank, and with its last label
    for frame in rates:
        following = {}

        def add(prefix, ends_blank, rate, into=following):
            blank_rate, label_rate = into.get(prefix, (-np.inf, -np.inf))
            if ends_blank:
                into[prefix] = np.logaddexp(blank_rate, rate), label_rate
            else:
                into[prefix] = blank_rate, np.logaddexp(label_rate, rate)

        for prefix, (blank_rate, label_rate) in beams.items():
            both = np.logaddexp(blank_rate, label_rate)
            add(prefix, True, both + frame[blank])
            for symbol in range(len(frame)):
                if symbol == blank:
                    continue
                if prefix and symbol == prefix[-1]:
                    add(prefix, False, label_rate + frame[symbol])
                    add((*prefix, symbol), False, blank_rate + frame[symbol])
                else:
                    add((*prefix, symbol), False, both + frame[symbol])
        ranked = sorted(following, key=lambda prefix: -np.logaddexp(*following[prefix]) - extra(prefix))
        beams = {prefix: following[prefix] for prefix in ranked[:width]}
    return [(prefix, float(np.logaddexp(*rates))) for prefix, rates in beams.items()]


def best_path(rates, labels, blank=None):
    """The likeliest path that says labels: (log probability, place in the trellis at each time), by going through all of them.

    blank None: the notes' plain trellis, in which every label takes one frame at least and nothing stands between.
    """
    trellis = list(labels) if blank is None else with_blanks(labels, blank)
    allowed = [(r, r + 1, r + 2) for r in range(len(trellis))]
    best = (-np.inf, None)

    def go(time, place, score, path):
        nonlocal best
        score, path = score + rates[time, trellis[place]], [*path, place]
        if time == len(rates) - 1:
            if place >= len(trellis) - (1 if blank is None else 2) and score > best[0]:
                best = (score, path)
            return
        for following in allowed[place]:
            if following >= len(trellis):
                continue
            if following == place + 2 and (blank is None or trellis[following] in (blank, trellis[place])):
                continue
            go(time + 1, following, score, path)

    for start in range(1 if blank is None else min(2, len(trellis))):
        go(0, start, 0.0, [])
    return best
