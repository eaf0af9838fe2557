"""Recordings of a word from the microphone, one take after another, each listened to before it is kept."""

import csv
import io
import time

import numpy as np
from tqdm import tqdm

from apps.data.audio import CLIPPED, active_speech_level, clipped, speech_span, write_audio
from apps.data.text import read_table
from apps.run_folder import write_text
from apps.trigger_word.checks import QUIET_DB
from apps.trigger_word.sound import RATE
from zoo.errors import InputError

EDGE_S = 0.08  # of a take that has to be silent before and after the word
ATTEMPTS = 5  # at a take before it is given up
BAR = 30


def collect(folder, word, speaker, takes, seconds, microphone, pause_s=1.0):
    """Records `takes` more recordings; returns the paths. microphone: a generator of int16 chunks, as long as it is asked.

    Goes on after what is in the folder. A take that is silent, clipped or cut off is said so and asked for again.
    """
    path = folder / "metadata.csv"
    rows = [{"path": row["path"], "speaker": row["speaker"]} for row in read_table(path)] if path.is_file() else []
    unnamed = (
        [found for found in folder.glob("*.wav") if found.name not in {row["path"] for row in rows}] if folder.is_dir() else []
    )
    if unnamed:
        raise InputError(
            f"{folder} holds {unnamed[0].name}, which its metadata.csv does not name; collect into a folder of its own."
        )
    tqdm.write(
        f"say {word!r} {takes} times, a take of {seconds:g} s each, as you would say it every day; Ctrl-C ends it, nothing is lost"
    )
    kept = []
    for take in range(takes):
        samples = _take(f"take {take + 1} of {takes}", word, seconds, microphone, pause_s)
        number = 1 + max((int(row["path"].rsplit("_", 1)[1][:-4]) for row in rows), default=0)
        name = f"{_plain(word)}_{_plain(speaker)}_{number:04d}.wav"
        folder.mkdir(parents=True, exist_ok=True)
        write_audio(folder / name, samples)
        rows.append({"path": name, "speaker": speaker})
        text = io.StringIO()
        writer = csv.DictWriter(text, ("path", "speaker"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())
        kept.append(folder / name)
    return kept


def _take(label, word, seconds, microphone, pause_s):
    for _ in range(ATTEMPTS):
        for count in (3, 2, 1):
            tqdm.write(f"{label}: {count} ...")
            time.sleep(pause_s)
        tqdm.write(f"{label}: now, {word!r}")
        samples = _record(seconds, microphone)
        wrong = what_is_wrong(samples)
        if not wrong:
            start, end = speech_span(samples)
            tqdm.write(f"{label}: kept, {(end - start) / RATE:.2f} s")
            return samples
        tqdm.write(f"{label}: {wrong}; once more")
    raise InputError(
        f"{label} failed {ATTEMPTS} times, the last time it was {wrong}; check the microphone, then go on with the same command."
    )


def _record(seconds, microphone):
    chunks, length = [], 0
    with tqdm(total=BAR, bar_format="{desc} {bar} {elapsed}", desc="recording", leave=False) as bar:
        while length < seconds * RATE:
            chunk = np.asarray(next(microphone, None))
            if chunk.ndim != 1:
                raise InputError("the microphone stopped; connect it again, then go on with the same command.")
            chunks.append(chunk)
            length += len(chunk)
            bar.update(min(BAR, int(BAR * length / (seconds * RATE))) - bar.n)
    return np.concatenate(chunks)[: int(seconds * RATE)].astype(np.float32) / 32768


def what_is_wrong(samples):
    """Why a take cannot be used, in words; '' where it can."""
    level, _ = active_speech_level(samples)
    if level < QUIET_DB:
        return f"too quiet ({level:.0f} dB); come nearer or turn the gain up"
    if clipped(samples) > CLIPPED:
        return f"too loud ({100 * clipped(samples):.0f}% of it at full scale); go back or turn the gain down"
    start, end = speech_span(samples)
    if start < EDGE_S * RATE or end > len(samples) - EDGE_S * RATE:
        return "cut off, or the room is loud; wait for 'now' and say it at once"
    return ""


def _plain(text):
    return "".join(c if c.isalnum() else "_" for c in text)
