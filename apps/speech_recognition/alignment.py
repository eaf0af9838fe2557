"""When the symbols and words of a known text are said."""

import dataclasses

import numpy as np

from apps.speech_recognition import features
from apps.speech_recognition.criteria import with_silence, without_prior
from tflite.runtime.ctc import Span, words_of
from tflite.runtime.recognizer import BOUNDARIES
from zoo.decoding.alignment import align
from zoo.errors import InputError

SHORTEST_S = 0.02  # of a word


def frame_s(config):
    """Seconds from one of the network's frames to the next."""
    return config.stride * features.front_end(config).options["shift"] / features.RATE


def symbol_spans(rates, labels, symbols, config):
    """[Span] of each label, or None where they do not fit. A network taught by alignment says something at each frame, so that its trellis is
    the plain one with silence."""
    try:
        if config.criterion == "align":
            rows, counts = with_silence(np.array([labels]), symbols.kind == "words")
            fair = without_prior(rates[None], np.ones((1, len(rates)), bool))
            (found,) = align(fair, rows, counts, blank=None)
            places = np.flatnonzero(rows[0])
        else:
            (found,) = align(rates[None], np.array([labels]))
            places = np.arange(len(labels))
    except InputError:
        return None
    step = frame_s(config)
    return [
        Span(symbols.names[label], float(start * step), float(end * step), float(np.exp(rates[start:end, label]).mean()))
        for label, (start, end) in zip(labels, found.spans[places])
    ]


def grouped(spans, symbols):
    """Spans of words, of those of symbols."""
    return words_of(spans, BOUNDARIES[symbols.boundary])


def placed(words, lateness):
    """[Span] of words, moved by how late a network is with their starts and ends (seconds each), in order and none empty."""
    found, position = [], 0.0
    for word in words:
        start = max(word.start_s - lateness[0], position)
        position = max(word.end_s - lateness[1], start + SHORTEST_S)
        found.append(dataclasses.replace(word, start_s=start, end_s=position))
    return found


def lateness(pairs):
    """(start, end): how late the words of [(found, true)] lists of (start, end) are in the middle, in seconds."""
    differences = [np.asarray(found) - np.asarray(true) for found, true in pairs]
    return np.median(np.concatenate(differences), axis=0).tolist() if differences else [0.0, 0.0]


def word_spans(rates, utterance, labels, symbols, config, late=(0.0, 0.0)):
    """([(start, end)] in seconds of each word as found, and as it is), or None where an utterance cannot be aligned or its times are not known."""
    spans = symbol_spans(rates, labels, symbols, config) if labels and utterance.spans else None
    words = placed(grouped(spans, symbols), late) if spans else []
    return ([(word.start_s, word.end_s) for word in words], utterance.spans) if len(words) == len(utterance.spans) > 0 else None
