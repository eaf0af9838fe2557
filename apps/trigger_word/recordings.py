"""Which recordings a training uses, and how they are split: by speaker wherever speakers are known."""

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from apps.data.audio import SILENCE, find_recordings, read_audio, through_opus
from apps.data.sentences import sentence
from apps.data.sources import available, cache_folder, find
from apps.data.speech import Clip, read_set, to_int16
from apps.data.synthesis import ACCENTS, VARIANTS, Manner, espeak_installed, speak
from apps.run_folder import replacing
from apps.trigger_word import bundle
from tflite.runtime.randomness import Stream
from zoo.errors import InputError

SPLITS = ("train", "val", "test")
LEAST = 6
PUBLIC = ("librispeech_sample", "speechocean762_train", "negatives_small")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """words: {word: {split: [Clip]}}. negatives: {split: [Clip]}. sources: what the report says of them, (name, text) each."""

    words: dict
    negatives: dict
    sources: tuple


def gather(config):
    """The recordings that a configuration asks for."""
    if config.recordings is None:
        if config.words != (bundle.WORD,):
            raise InputError(
                f"`recordings` is not given and `words` are {' '.join(config.words)}; the bundled recordings are of "
                f"{bundle.WORD!r} only. Give --recordings DIR."
            )
        words, sources = (
            {bundle.WORD: bundled(bundle.WORD)},
            [("words", f"{bundle.WORD!r}: bundled, rendered voices, split by voice")],
        )
    else:
        words, sources = {}, []
        for word in config.words:
            words[word], text = read_words(config.recordings, word, len(config.words) > 1, config.seed)
            sources.append(("words", text))
    negatives, more = gather_negatives(config)
    return Recordings(words, negatives, (*sources, *more))


def bundled(kind):
    """The bundled recordings of a kind, 'computer' or 'other', by split."""
    with open(bundle.FOLDER / "metadata.csv", newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].split("/")[1] == kind]
    return {
        split: [
            Clip(to_int16(read_audio(bundle.FOLDER / row["path"])), row["path"], "bundled", row["voice"], row["text"], split)
            for row in rows
            if row["split"] == split
        ]
        for split in SPLITS
    }


def read_words(folder, word, several, seed):
    """The recordings of a word in a folder of the user's, by split, and a line that says how they were split.

    A metadata.csv (path, and speaker or split) in the folder decides; else clips are drawn, and speakers are unknown.
    """
    folder = Path(folder)
    inner = folder / word
    if several and not inner.is_dir():
        raise InputError(f"{folder} has no folder {word!r}; expected one for each of the words.")
    folder = inner if inner.is_dir() else folder
    paths = find_recordings(folder)
    if len(paths) < LEAST:
        raise InputError(
            f"{folder} has {len(paths)} recording{'s' * (len(paths) != 1)} of {word!r}; expected at least {LEAST}, better 100 by many "
            "people: some to train, some to choose the threshold, some to test. Record more."
        )
    notes = _metadata(folder)
    clips = []
    for path in tqdm(paths, desc=f"reading {word}", leave=False):
        samples = read_audio(path)
        if np.abs(samples).max() < SILENCE:
            raise InputError(f"{path} is silent (peak below -80 dB); record it again or remove it.")
        if np.mean(np.abs(samples) > 0.999) > 0.01:
            tqdm.write(
                f"warning: {path} is clipped ({100 * np.mean(np.abs(samples) > 0.999):.0f}% of its samples are at full scale); record it with less gain"
            )
        if path.suffix.lower() not in (".opus", ".ogg", ".mp3"):
            # other speech mostly went through such a codec: the detector shall not learn the codec
            samples = through_opus(samples, bundle.QUALITY)
        note = notes.get(str(path.relative_to(folder)), {})
        clips.append(
            Clip(
                to_int16(samples),
                str(path.relative_to(folder)),
                str(folder),
                note.get("speaker", ""),
                word,
                note.get("split", ""),
            )
        )
    return split_clips(clips, seed), f"{word!r}: {len(clips)} recordings, {_how_split(clips)}"


def _metadata(folder):
    path = folder / "metadata.csv"
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    if rows and "path" not in rows[0]:
        raise InputError(f"{path} has the columns {', '.join(rows[0])}; expected path, and speaker or split.")
    return {row["path"]: row for row in rows}


def _how_split(clips):
    if all(clip.split for clip in clips):
        return "split as its metadata says"
    if all(clip.speaker for clip in clips):
        return f"split by speaker ({len({clip.speaker for clip in clips})})"
    return "split by clip, speakers unknown: optimistic"


def split_clips(clips, seed):
    """Clips by split: as given, else by speaker, else by clip (60% train, 20% val, 20% test; at least one each)."""
    if all(clip.split for clip in clips):
        return {split: [clip for clip in clips if clip.split == split] for split in SPLITS}
    known = all(clip.speaker for clip in clips)
    groups = sorted(
        {clip.speaker if known else clip.name for clip in clips}, key=lambda g: hashlib.sha256(f"{seed}:{g}".encode()).digest()
    )
    if len(groups) < 3:
        raise InputError(
            f"the recordings are of {len(groups)} speakers; expected at least 3, one each to train, to choose the threshold and to test."
        )
    held = max(1, len(groups) // 5)
    places = {g: "test" if i < held else "val" if i < 2 * held else "train" for i, g in enumerate(groups)}
    return {split: [clip for clip in clips if places[clip.speaker if known else clip.name] == split] for split in SPLITS}


def gather_negatives(config):
    """Speech without the words by split, and lines that say what it is."""
    if config.negatives:
        clips = []
        for folder in config.negatives:
            for path in tqdm(find_recordings(folder), desc="reading negatives", leave=False):
                clips.append(Clip(to_int16(read_audio(path)), str(path), str(folder)))
        return split_clips(clips, config.seed), [
            ("negatives", f"{', '.join(map(str, config.negatives))}: {hours(clips):.2f} h, speakers unknown")
        ]
    if config.recordings is not None:
        sets = [name for name in PUBLIC if available(name) or (config.download and find(name).canonical)]
        if sets:
            return _public(sets)
    return _rendered(config)


def _public(sets):
    negatives = {split: [] for split in SPLITS}
    lines = []
    for name in sets:
        form = available(name)
        if form is None:
            canonical = find(name).canonical
            tqdm.write(f"downloading {canonical.url}" + (f", {canonical.size / 1e6:.0f} MB" if canonical.size else ""))
        clips = read_set(name)
        for split, chosen in (split_clips(clips, 0) if not any(clip.split for clip in clips) else by_split(clips)).items():
            negatives[split] += chosen
        lines.append(("negatives", f"{name} ({find(name).licence}): {hours(clips):.2f} h of people"))
    return negatives, lines


def by_split(clips):
    """Clips by their own split; those without one go to train."""
    return {split: [clip for clip in clips if (clip.split or "train") == split] for split in SPLITS}


def _rendered(config):
    negatives = bundled("other")
    lines = [
        (
            "negatives",
            f"bundled rendered words and sentences: {sum(hours(clips) for clips in negatives.values()):.2f} h, split by voice",
        )
    ]
    if not espeak_installed():
        return negatives, [*lines, ("negatives", "no further speech was rendered: the package espeakng-loader is not installed")]
    if config.rendered_hours:
        for number, split in enumerate(SPLITS):
            negatives[split] = negatives[split] + rendered(split, config.rendered_hours, number)
        lines.append(
            (
                "negatives",
                f"rendered by espeak-ng: {config.rendered_hours:g} h of distinct sentences each for train, validation and test, by the voices of each",
            )
        )
    return negatives, lines


def rendered(split, hours_wanted, seed):
    """Hours of distinct sentences by espeak-ng's voices of a split; cached."""
    path = cache_folder() / "rendered" / f"{split}_{hours_wanted:g}h_{seed}_v1.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            samples, ends, speakers = arrays["samples"], arrays["ends"], arrays["speakers"]
        starts = np.concatenate([[0], ends[:-1]])
        return [
            Clip(samples[a:b], f"{split}_{i}", "rendered", str(s), "", split)
            for i, (a, b, s) in enumerate(zip(starts, ends, speakers))
        ]
    voices = [voice for voice in VARIANTS if bundle.split_of(voice) == split]
    draw, clips, length = Stream(7000 + seed, 0), [], 0
    with tqdm(total=round(hours_wanted * 60), unit="min", desc=f"rendering {split} speech", leave=False) as bar:
        while length < hours_wanted * 3600 * 16000:
            manner = Manner(draw.choice(ACCENTS), 120 + draw.integer(110), 20 + draw.integer(60), 20 + draw.integer(75))
            voice = draw.choice(voices)
            samples = to_int16(0.7 * speak(sentence(draw), voice, manner))
            clips.append(Clip(samples, f"{split}_{len(clips)}", "rendered", voice, "", split))
            length += len(samples)
            bar.update(round(length / 16000 / 60) - bar.n)
    with replacing(path) as temporary:
        np.savez(
            temporary,
            samples=np.concatenate([c.samples for c in clips]),
            ends=np.cumsum([len(c.samples) for c in clips]),
            speakers=np.array([c.speaker for c in clips]),
        )
    return clips


def hours(clips):
    """Hours of audio in clips."""
    return sum(clip.seconds for clip in clips) / 3600
