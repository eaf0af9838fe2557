"""Error rates of transcripts, by jiwer, with intervals by drawing utterances anew; errors of word boundaries."""

import jiwer
import numpy as np

from apps.intervals import bootstrap_rate, wilson

RESAMPLED = 1000


def scored(references, found):
    """{'words', 'characters'}: {'score', 'interval'} error rates; 'exact', 'interval': the share of utterances that are right."""
    rates = {}
    for name, process in (("words", jiwer.process_words), ("characters", jiwer.process_characters)):
        errors, sizes = zip(*(_errors(process, reference, text) for reference, text in zip(references, found)))
        total = sum(sizes)
        rates[name] = {
            "score": sum(errors) / max(total, 1),
            "interval": bootstrap_rate(errors, sizes, RESAMPLED) if total else (0.0, 1.0),
        }
    exact = sum(reference == text for reference, text in zip(references, found))
    return {**rates, "exact": exact / len(references), "interval": wilson(exact, len(references))}


def _errors(process, reference, found):
    """(errors, size of the reference) of an utterance."""
    if not reference:  # jiwer divides by its length
        return len(found.split() if process is jiwer.process_words else found), 0
    counts = process(reference, found)
    return counts.substitutions + counts.deletions + counts.insertions, counts.substitutions + counts.deletions + counts.hits


def boundary_errors(pairs):
    """{'median_s', 'percentile_90_s', 'late_s', 'boundaries'} of [(found spans, true spans)] of words, (start, end) in seconds each.

    late_s: the median of found less true: how late the boundaries are on the whole.
    """
    differences = np.concatenate([(np.asarray(found) - np.asarray(true)).ravel() for found, true in pairs])
    sizes = np.abs(differences)
    return {
        "median_s": float(np.median(sizes)),
        "percentile_90_s": float(np.percentile(sizes, 90)),
        "late_s": float(np.median(differences)),
        "boundaries": len(sizes),
    }
