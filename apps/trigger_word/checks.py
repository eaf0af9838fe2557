"""Recordings of a word, looked over before they are trained on: what was cut, and which to listen to."""

import numpy as np

from apps.data.audio import CLIPPED, active_speech_level, clipped, speech_span
from apps.data.sound import RATE

QUIET_DB, NOISY_DB = -45.0, 10.0
LEAD_S = 0.8  # of silence before a word that is embedded: what the encoder sees
ENDS = 8  # embeddings up to the word's end that are compared
UNLIKE = 1 / 3  # of the median agreement: of 200 people's "computer" 9 are below it, of 12 other words put among them all
ODD = 3.5  # deviations from the median, each of them 1.48 median absolute deviations (Iglewicz & Hoaglin 1993)


def look_over(clips, features):
    """Figures of each recording: a list of dictionaries. clips: of one word. features: of the size standard.

    start, end: of the word, seconds. level_db: active speech level. snr_db: the word above the rest of its recording.
    clipped: share of samples at full scale. agreement: cosine of its embeddings with the others' mean. notes: what is odd, in words.
    """
    found, embedded = [], []
    for clip in clips:
        samples = clip.samples.astype(np.float32) / 32768
        start, end = speech_span(samples)
        rest = np.concatenate([samples[:start], samples[end:]])
        level, _ = active_speech_level(samples[start:end])
        noise = 10 * np.log10(np.mean(rest**2) + 1e-10) if len(rest) > RATE // 20 else -100.0
        found.append(
            {"name": clip.name, "start": start / RATE, "end": end / RATE, "seconds": len(samples) / RATE}
            | {"level_db": float(level), "snr_db": float(level - noise), "clipped": clipped(samples)}
        )
        lead = np.zeros(int(LEAD_S * RATE), np.float32)
        word = samples[start:end] * np.float32(10 ** ((-26 - max(level, -60.0)) / 20))
        whole = np.concatenate([lead, word])
        whole = np.pad(whole, (-len(whole) % round(features.score_s * RATE), 0))
        embedded.append(np.asarray(features.of_batch(whole[None]))[0][-ENDS:])
    embedded = np.stack(embedded)
    # without what all speech has in common
    _compare(found, (embedded - embedded.mean(axis=(0, 1))).reshape(len(embedded), -1))
    return found


def _compare(found, embedded):
    """Adds the agreement with the others, and notes."""
    unit = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    others = (unit.sum(axis=0) - unit) / max(len(unit) - 1, 1)
    agreement = np.sum(unit * others, axis=1) / (np.linalg.norm(others, axis=1) + 1e-9)
    length = np.log([row["end"] - row["start"] for row in found])
    long = _deviations(length)
    for index, row in enumerate(found):
        row["agreement"] = float(agreement[index])
        notes = []
        if row["clipped"] > CLIPPED:
            notes.append(f"clipped ({100 * row['clipped']:.0f}% of its samples at full scale)")
        if row["level_db"] < QUIET_DB:
            notes.append(f"very quiet ({row['level_db']:.0f} dB)")
        if row["snr_db"] < NOISY_DB:
            notes.append(f"noisy ({row['snr_db']:.0f} dB above the rest)")
        if abs(long[index]) > ODD:
            notes.append(f"{'longer' if long[index] > 0 else 'shorter'} than the others ({row['end'] - row['start']:.2f} s)")
        if agreement[index] < UNLIKE * np.median(agreement):
            notes.append("sounds unlike the others: another word, or cut off?")
        row["notes"] = notes


def _deviations(values):
    """How many robust standard deviations each value is above the median."""
    values = np.asarray(values)
    spread = 1.4826 * np.median(np.abs(values - np.median(values)))
    return (values - np.median(values)) / max(spread, 1e-6)
