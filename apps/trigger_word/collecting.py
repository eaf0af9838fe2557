"""Recordings of a word from the microphone, one take after another, each listened to before it is kept."""

import re

import numpy as np
from tqdm import tqdm

from apps.data.audio import CLIPPED, SUFFIXES, active_speech_level, clipped, speech_span, write_audio
from apps.data.sound import RATE
from apps.data.text import read_table
from apps.run_folder import write_table
from apps.trigger_word.checks import QUIET_DB
from zoo.errors import InputError

EDGE_S = 0.08  # of a take that has to be silent before and after the word
ATTEMPTS = 5  # at a take before it is given up
COUNT = (3, 2, 1)


def collect(folder, word, speaker, takes, seconds, microphone, beat_s=1.0):
    """Records `takes` more recordings; returns the paths. microphone: a generator of int16 chunks, as long as it is asked.

    Goes on after what is in the folder. A take that is silent, clipped or cut off is said so and asked for again. beat_s: of the count-down.
    """
    rows = _rows(folder)
    _record(0.1, microphone)  # one that is not there is known before anybody speaks
    tqdm.write(
        f"say {word!r} {takes} times, a take of {seconds:g} s each, as you would say it every day; stop when you like (Ctrl-C)"
    )
    kept = []
    for take in range(takes):
        samples = _take(f"take {take + 1} of {takes}", word, seconds, microphone, beat_s)
        number = 1 + max((int(n) for row in rows for n in re.findall(r"_(\d+)\.wav$", row["path"])), default=0)
        name = f"{_plain(word)}_{_plain(speaker)}_{number:04d}.wav"
        folder.mkdir(parents=True, exist_ok=True)
        write_audio(folder / name, samples)
        rows.append({"path": name, "speaker": speaker})
        write_table(folder / "metadata.csv", rows)
        kept.append(folder / name)
    return kept


def _rows(folder):
    """What was collected into a folder before; anything else in it is refused."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder for the takes.")
    path = folder / "metadata.csv"
    rows = read_table(path) if path.is_file() else []
    if rows and set(rows[0]) != {"path", "speaker"}:
        raise InputError(
            f"{path} has the columns {', '.join(map(str, rows[0]))}; expected path and speaker. Collect into a new folder."
        )
    named = {row["path"] for row in rows}
    for found in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if found.suffix.lower() in SUFFIXES and not found.name.startswith(".") and str(found.relative_to(folder)) not in named:
            raise InputError(f"{folder} holds {found.name}, which was not collected into it; collect into a new folder.")
    return rows


def _take(label, word, seconds, microphone, beat_s):
    for _ in range(ATTEMPTS):
        for count in COUNT:
            tqdm.write(f"{label}: {count} ...")
            _record(beat_s, microphone)  # heard and forgotten, so that nothing old stands before the word
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
    """The next samples of the microphone, (n,) float32."""
    wanted, chunks, length = int(seconds * RATE), [], 0
    with tqdm(total=wanted, bar_format="{desc} {bar} {elapsed}", desc="listening", leave=False) as bar:
        while length < wanted:
            chunk = next(microphone, None)
            if chunk is None:
                raise InputError("the microphone stopped; connect it again, then go on with the same command.")
            chunks.append(chunk)
            length += len(chunk)
            bar.update(min(wanted, length) - bar.n)
    return np.concatenate(chunks)[:wanted].astype(np.float32) / 32768 if chunks else np.zeros(0, np.float32)


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
