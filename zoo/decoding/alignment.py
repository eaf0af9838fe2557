"""Viterbi alignment: which frames of a clip say which of its known labels. NumPy, all clips of a batch at once.

Source: the notes, Viterbi alignment of a known transcript (plain trellis); Graves et al. 2006 (trellis with blanks).
"""

import dataclasses

import numpy as np

from zoo.errors import InputError
from zoo.losses.ctc import check_feasible


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Where a clip's labels are.

    score: log probability of the path. path: (time,) int, the place in the labels of what each frame says, -1 for a blank.
    spans: (labels, 2) int, first frame and the one after the last. confidences: (labels,), the mean probability of a label over its frames.
    """

    score: float
    path: np.ndarray
    spans: np.ndarray
    confidences: np.ndarray


def align(log_probabilities, labels, label_lengths=None, frame_lengths=None, *, blank=0):
    """The likeliest path through each clip's frames that says its labels in order: [Alignment].

    log_probabilities: (batch, time, symbols). labels: (batch, labels) integers. The lengths: (batch,), all where they are None.
    blank: the symbol that may stand between labels, and must between two that are the same; None: the notes' plain trellis, where every
    frame says a label. Raises InputError that names the clips whose labels do not fit into their frames.
    """
    rates, labels = np.asarray(log_probabilities), np.asarray(labels)
    if rates.ndim != 3 or labels.ndim != 2 or len(labels) != len(rates):
        raise InputError(
            f"`log_probabilities`, `labels` have shapes {rates.shape}, {labels.shape}; expected (batch, time, symbols), (batch, labels)."
        )
    batch, time, symbols = rates.shape
    label_lengths = np.full(batch, labels.shape[1]) if label_lengths is None else np.asarray(label_lengths)
    frame_lengths = np.full(batch, time) if frame_lengths is None else np.asarray(frame_lengths)
    if blank is None:
        _check_plain(label_lengths, frame_lengths)
        path, ends = labels, [label_lengths - 1]
        skips = np.zeros(labels.shape, bool)
    else:
        check_feasible(labels, label_lengths, frame_lengths)
        path = np.full((batch, 2 * labels.shape[1] + 1), blank)
        path[:, 1::2] = labels
        ends = [2 * label_lengths, np.maximum(2 * label_lengths - 1, 0)]
        skips = np.zeros(path.shape, bool)
        skips[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    # what pads labels may be anything: paths do not come back from there
    emitted = np.take_along_axis(rates, np.clip(path, 0, symbols - 1)[:, None], axis=2)
    score = np.full(path.shape, -np.inf)
    starts = 1 if blank is None else 2
    score[:, :starts] = emitted[:, 0, :starts]
    came, final = np.zeros((time, *path.shape), np.int8), score.copy()
    ways = np.empty((3, *path.shape))
    for t in range(1, time):
        ways[0], ways[1:] = score, -np.inf
        ways[1, :, 1:] = score[:, :-1]
        ways[2, :, 2:] = np.where(skips[:, 2:], score[:, :-2], -np.inf)
        came[t] = np.argmax(ways, axis=0)
        score = ways.max(axis=0) + emitted[:, t]
        final[t < frame_lengths] = score[t < frame_lengths]
    rows = np.arange(batch)
    reached = np.stack([final[rows, end] for end in ends])
    places = np.stack(ends)[np.argmax(reached, axis=0), rows]
    states = np.empty((batch, time), int)
    for t in range(time - 1, -1, -1):
        states[:, t] = places
        places = places - np.where(t < frame_lengths, came[t, rows, places], 0)
    states = states if blank is None else np.where(states % 2, states // 2, -1)
    return [
        _alignment(reached[:, i].max(), states[i, :length], rates[i], labels[i], count)
        for i, (length, count) in enumerate(zip(frame_lengths, label_lengths))
    ]


def _alignment(score, path, rates, labels, count):
    spans, confidences = np.zeros((count, 2), int), np.zeros(count)
    for place in range(count):
        frames = np.flatnonzero(path == place)
        spans[place] = frames[0], frames[-1] + 1
        confidences[place] = np.exp(rates[frames, labels[place]]).mean()
    return Alignment(float(score), path, spans, confidences)


def _check_plain(label_lengths, frame_lengths):
    bad = np.flatnonzero((label_lengths > frame_lengths) | (label_lengths < 1))
    if len(bad):
        i = bad[0]
        raise InputError(
            f"clip {i} has {label_lengths[i]} labels and {frame_lengths[i]} frames; expected one label at least, and a frame for each."
        )
