"""A detector scored on anyone's recording, with the times at which words are said in it."""

from pathlib import Path

import numpy as np

from apps.data.audio import read_audio
from apps.data.text import read_table
from apps.intervals import percent
from apps.trigger_word import evaluation
from tflite.runtime import Detector
from zoo.errors import InputError

COLUMNS = ("word", "start", "end")


def read_labels(path, words, seconds):
    """The utterances of a CSV file with the columns word, start, end (seconds): (word index, start, end) each, in order of time."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"`labels` is {path}, which is no file; expected a CSV with the columns {', '.join(COLUMNS)}.")
    rows = read_table(path)
    if not rows or not set(COLUMNS) <= set(rows[0]):
        found = ", ".join(filter(None, rows[0])) if rows else "none"
        raise InputError(f"{path} has the columns {found}; expected {', '.join(COLUMNS)}, and a row for each word that is said.")
    labels = []
    for number, row in enumerate(rows, 2):
        try:
            start, end = float(row["start"]), float(row["end"])
        except (TypeError, ValueError):
            raise InputError(
                f"{path}, line {number}: start and end are {row['start']!r} and {row['end']!r}; expected seconds."
            ) from None
        if row["word"] not in words:
            raise InputError(f"{path}, line {number}: the word is {row['word']!r}; this detector's are {', '.join(words)}.")
        if not 0 <= start < end <= seconds:
            raise InputError(
                f"{path}, line {number}: {start:g} to {end:g} s is no stretch of the recording, which has {seconds:.2f} s."
            )
        labels.append((words.index(row["word"]), start, end))
    return sorted(labels, key=lambda label: label[1])


def score(folder, stream, labels, precision="float"):
    """What a device folder's detector does on a recording: metrics with intervals, misses and false accepts by their times."""
    detector, samples = Detector(folder, precision), read_audio(stream)
    hours = len(samples) / 16000 / 3600
    said = read_labels(labels, detector.words, len(samples) / 16000)
    scores = detector.scores(samples)[1]

    def at(rules):
        return evaluation.count_events(evaluation.fire(rules, scores, detector.score_s), said)

    hits, accepts = at(detector.rules)
    curve = []
    for threshold in evaluation.THRESHOLDS:
        found, false = at(evaluation.at_threshold(detector.rules, threshold))
        curve.append({"threshold": threshold, "missed": len(said) - len(found), "false_accepts": len(false), "hours": hours})
    # a rate that allows less than one false accept in the recording cannot be read off it
    at_rates = {f"{rate:g}": evaluation.at_rate(curve, rate) for rate in evaluation.RATES if rate * hours >= 1}
    missed = [label for index, label in enumerate(said) if index not in hits]
    return {
        "seconds": len(samples) / 16000,
        "words": len(said),
        "thresholds": {rule.word: rule.threshold for rule in detector.rules},
        "missed": {
            "count": len(missed),
            "rate": len(missed) / max(len(said), 1),
            "interval": evaluation.wilson(len(missed), len(said)),
        },
        "false_accepts": {
            "count": len(accepts),
            "per_hour": len(accepts) / hours,
            "interval": evaluation.poisson(len(accepts), hours),
        },
        "missed_at": [{"word": detector.words[w], "start": start, "end": end} for w, start, end in missed],
        "false_accepts_at": np.round(accepts, 2).tolist(),
        "missed_at_false_accepts_per_hour": {rate: point and point["missed"] for rate, point in at_rates.items()},
    }


def lines(found):
    """The result for people."""
    missed, accepts = found["missed"], found["false_accepts"]
    text = [
        f"{found['seconds']:.1f} s, {found['words']} words said; at the shipped threshold:",
        f"missed {missed['count']} of {found['words']}: {percent(missed['rate'], missed['interval'])}",
        f"false accepts {accepts['count']}: {accepts['per_hour']:.2f} an hour ({accepts['interval'][0]:.2f} to {accepts['interval'][1]:.2f})",
    ]
    text += [f"  missed {m['word']} from {m['start']:.2f} to {m['end']:.2f} s" for m in found["missed_at"]]
    text += [f"  fired falsely at {time:.2f} s" for time in found["false_accepts_at"]]
    for rate, count in found["missed_at_false_accepts_per_hour"].items():
        cell = "not reached" if count is None else f"{count} missed"
        text.append(f"at <= {rate} false accepts an hour, by the best threshold for this recording: {cell}")
    return text
