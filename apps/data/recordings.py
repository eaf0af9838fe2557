"""Recordings in a folder of the user's, with what its metadata.csv says of them; split by speaker wherever speakers are known."""

import dataclasses

import numpy as np
from tqdm import tqdm

from apps.data.audio import CLIPPED, SILENCE, clipped, read_audio
from apps.data.speech import Clip, to_int16
from apps.data.splits import shuffled
from apps.data.text import read_table
from zoo.errors import InputError

SPLITS = ("train", "val", "test")
SHORTEST_S = 0.1


def read_take(path, folder, text, note):
    """A recording of a word or text, checked. note: its row of metadata.csv."""
    samples = read_audio(path)
    if len(samples) < SHORTEST_S * 16000:
        raise InputError(
            f"{path} is {1000 * len(samples) / 16000:.0f} ms long; expected a whole word. Record it again or remove it."
        )
    if np.abs(samples).max() < SILENCE:
        raise InputError(f"{path} is silent (peak below -80 dB); record it again or remove it.")
    full_scale = clipped(samples)
    if full_scale > CLIPPED:
        tqdm.write(
            f"warning: {path} is clipped ({100 * full_scale:.0f}% of its samples are at full scale); record it with less gain"
        )
    name, speaker, split = path.relative_to(folder), note.get("speaker", ""), note.get("split", "")
    return Clip(to_int16(samples), str(name), str(folder), speaker, text, split)


def read_metadata(folder, paths, text=False):
    """The rows of a folder's metadata.csv by path; {} where there is none. text: whether it has to say what is said."""
    path, wanted = folder / "metadata.csv", "path, text, and speaker where known" if text else "path, and speaker or split"
    if not path.is_file():
        if text:
            raise InputError(f"{folder} has no metadata.csv; expected a table with the columns {wanted}.")
        return {}
    rows = read_table(path)
    if not rows or "path" not in rows[0] or text and "text" not in rows[0]:
        raise InputError(f"{path} has the columns {', '.join(rows[0]) if rows else 'none'}; expected {wanted}.")
    for key in ("path", "speaker", "split"):
        given = [bool(row.get(key)) for row in rows]
        if any(given) and not all(given):
            raise InputError(f"{path} has a `{key}` in some rows only; expected one in each row, or no such column.")
    if not (text or rows[0].get("speaker") or rows[0].get("split")):
        raise InputError(f"{path} has the columns {', '.join(filter(None, rows[0]))}; expected {wanted}.")
    if len({row["path"] for row in rows}) < len(rows):
        raise InputError(f"{path} names a recording twice; expected one row for each.")
    notes, present = {row["path"]: row for row in rows}, {found.relative_to(folder).as_posix() for found in paths}
    lost, unnamed = sorted(notes.keys() - present), sorted(present - notes.keys())
    if lost or unnamed:
        which = f"names {lost[0]}, which is not there" if lost else f"does not name {unnamed[0]}"
        raise InputError(f"{path} {which}; expected a row for each recording, with its path from that folder.")
    for row in rows:
        if row.get("split") and row["split"] not in SPLITS:
            raise InputError(f"{path} has the split {row['split']!r}; expected train, val or test.")
    sides = {(row["speaker"], row["split"]) for row in rows if row.get("speaker") and row.get("split")}
    if len({speaker for speaker, _ in sides}) < len(sides):
        raise InputError(f"{path} has a speaker in more than one split; expected each on one side only.")
    return notes


def how_split(clips):
    if all(clip.split for clip in clips):
        return "split as its metadata says"
    if all(clip.speaker for clip in clips):
        return f"split by speaker ({len({clip.speaker for clip in clips})})"
    return "split by clip, speakers unknown: optimistic"


def split_anew(clips, seed):
    """`split_clips` whatever splits they name; a clip whose speaker is not known stands for itself."""
    return split_clips([dataclasses.replace(clip, split="", speaker=clip.speaker or clip.name) for clip in clips], seed)


def split_clips(clips, seed):
    """Clips by split: as given, else by speaker, else by clip (60% train, 20% val, 20% test; at least one each)."""
    if all(clip.split for clip in clips):
        return {split: [clip for clip in clips if clip.split == split] for split in SPLITS}
    known = all(clip.speaker for clip in clips)
    groups = sorted({clip.speaker if known else clip.name for clip in clips}, key=lambda group: shuffled(seed, group))
    if len(groups) < 3:
        raise InputError(
            f"the recordings are of {len(groups)} speakers; expected at least 3, one each to train, to choose the threshold and to test. "
            "For a detector of one person give --personal."
        )
    held = max(1, len(groups) // 5)
    places = {g: "test" if i < held else "val" if i < 2 * held else "train" for i, g in enumerate(groups)}
    return {split: [clip for clip in clips if places[clip.speaker if known else clip.name] == split] for split in SPLITS}
