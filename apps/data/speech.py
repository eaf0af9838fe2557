"""Recorded speech and sound of the public data sets, in memory, with speakers and splits."""

import contextlib
import dataclasses
import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from apps.data.audio import Archive, read_audio
from apps.data.sources import cache_folder, fetch
from apps.run_folder import replacing


@dataclasses.dataclass(frozen=True)
class Clip:
    """A recording. samples: (n,) int16 at 16 kHz. speaker, text: '' where not known. split: '', train, val or test."""

    samples: np.ndarray
    name: str
    source: str
    speaker: str = ""
    text: str = ""
    split: str = ""

    @property
    def seconds(self):
        return len(self.samples) / 16000

    @property
    def coded(self):
        """Whether it went through a lossy codec, by its name."""
        return self.name.lower().endswith((".opus", ".ogg", ".mp3"))


def to_int16(samples):
    """(n,) float in [-1, 1] to int16, rounded and clipped."""
    return np.clip(np.round(np.asarray(samples) * 32768), -32768, 32767).astype(np.int16)


def one_in(count, name):
    """Whether a speaker's or clip's name is the one in `count` that is held out, the same on every machine."""
    return hashlib.sha256(name.encode()).digest()[0] % count == 0


def read_set(name, keep=lambda row: True):
    """The clips of a speech data set whose rows `keep` accepts.

    Rows have path, speaker, split and text ('transcript', 'word' or 'label').
    """
    archive, rows = open_set(name)
    kept = [row for row in rows if keep(row)]
    # decoders leave Python's lock alone; archives are read by one thread
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda row, file: _clip(file, name, row), kept, [archive.open(row["path"]) for row in kept]))


def open_set(name):
    """(archive, rows) of a speech data set; each row's `path` names a file in the archive."""
    path, form = fetch(name)
    archive = Archive(path)
    rows = _CANONICAL[form.layout](archive) if form.layout in _CANONICAL else _mirror_rows(archive, name)
    return archive, rows


def _clip(file, name, row):
    samples = read_audio(file, name=f"{name}/{row['path']}")
    return Clip(to_int16(samples), row["path"], name, row.get("speaker") or "", row["text"], row.get("split") or "")


def _mirror_rows(archive, name):
    rows = archive.rows(f"{name}/metadata.csv")
    return [
        {
            **row,
            "path": f"{name}/{row['path']}",
            "text": row.get("transcript") or row.get("word") or row.get("label") or row.get("description") or "",
        }
        for row in rows
    ]


def _speech_commands_rows(archive):
    rows = []
    for member in archive.members:
        parts = member.lstrip("./").split("/")
        if len(parts) == 2 and parts[1].endswith(".wav"):
            speaker = parts[1].split("_nohash_")[0].split("_")[-1] if "_nohash_" in parts[1] else ""
            word = parts[1].split("_")[0] if parts[0] == "_unknown_" else parts[0]
            rows.append({"path": member, "speaker": speaker, "text": word, "split": "test"})
    return rows


def _librispeech_rows(archive):
    rows = []
    for member in archive.members:
        if member.endswith(".trans.txt"):
            folder = member.rsplit("/", 1)[0]
            for line in archive.open(member).read().decode("utf8").splitlines():
                name, text = line.split(" ", 1)
                rows.append({"path": f"{folder}/{name}.flac", "speaker": name.split("-")[0], "text": text, "split": "test"})
    return rows


def _speechocean_rows(archive):
    tables = {}
    for table in ("text", "utt2spk", "wav.scp"):
        (member,) = [m for m in archive.members if m.endswith(f"train/{table}")]
        tables[table] = dict(line.split(maxsplit=1) for line in archive.open(member).read().decode("utf8").splitlines())
    root = archive.members[0].split("/")[0]
    return [
        {"path": f"{root}/{tables['wav.scp'][u]}", "speaker": tables["utt2spk"][u], "text": tables["text"][u], "split": "train"}
        for u in sorted(tables["text"])
    ]


_CANONICAL = {"speech_commands": _speech_commands_rows, "librispeech": _librispeech_rows, "speechocean762": _speechocean_rows}


def kept(name, make):
    """The clips of that name in the cache, made where they are not there; a broken file is made again."""
    path = cache_folder() / "rendered" / f"{name}.npz"
    with contextlib.suppress(FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
        with np.load(path, allow_pickle=False) as arrays:
            samples, ends, *columns = (arrays[key] for key in ("samples", "ends", "speakers", "texts", "splits"))
        pieces = np.split(samples, ends[:-1])
        return [
            Clip(piece, f"{name}_{i}", "rendered", *map(str, column)) for i, (piece, *column) in enumerate(zip(pieces, *columns))
        ]
    clips = list(make())
    if not clips:
        return []
    with replacing(path) as temporary:
        np.savez(
            temporary,
            samples=np.concatenate([c.samples for c in clips]),
            ends=np.cumsum([len(c.samples) for c in clips]),
            speakers=np.array([c.speaker for c in clips]),
            texts=np.array([c.text for c in clips]),
            splits=np.array([c.split for c in clips]),
        )
    return [dataclasses.replace(clip, name=f"{name}_{i}") for i, clip in enumerate(clips)]
