"""Debian's prompts, read from packages as they are; the packages here are made by dpkg-deb on the spot."""

import gzip
import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from apps.data import dialogue, prompts
from apps.data.audio import write_audio
from zoo.errors import InputError

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not here")


def package(folder, name, files):
    root = folder / f"{name}_root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n"
    )
    for path, write in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write(root / path)
    (folder / "debian").mkdir(exist_ok=True)
    subprocess.run(
        ["dpkg-deb", "--build", str(root), str(folder / "debian" / f"{name}_1_all.deb")], check=True, capture_output=True
    )


def tone(path):
    write_audio(path, 0.3 * np.sin(np.arange(8000) / 9), 8000)


def test_prompts_come_with_speakers_texts_and_splits(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert not prompts.fetched()
    for number, (sounds, _, texts, file) in enumerate(prompts.PACKAGES):
        folder = f"usr/share/asterisk/sounds/voice_{number}"
        empty = {f"{folder}/empty.wav": lambda path: path.write_bytes(b""), f"{folder}/silence/1.wav": tone}
        package(tmp_path, sounds, {f"{folder}/dir/hello.wav": tone, **empty})
        if texts:
            lines = b"; a remark\ndir/hello: Hello, world.\n"
            package(
                tmp_path, texts, {f"usr/share/doc/x/{file}": lambda path, lines=lines: path.write_bytes(gzip.compress(lines))}
            )
    assert prompts.fetched()
    clips = prompts.read_prompts()
    assert [clip.speaker for clip in clips] == [speaker for _, speaker, *_ in prompts.PACKAGES]
    assert all(clip.text.strip() == "Hello, world." for clip in clips[:-1]) and clips[-1].text == ""
    assert {clip.split for clip in clips} == {"train", "val", "test"} and all(abs(clip.seconds - 1) < 0.01 for clip in clips)
    speakers = {clip.speaker: clip.split for clip in clips}
    assert all(speakers[clip.speaker] == clip.split for clip in clips)


def test_a_missing_or_broken_package_ends_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="is not in the cache; run `python -m apps.data.prompts`"):
        prompts.read_prompts()
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / f"{prompts.PACKAGES[0][0]}_1_all.deb").write_bytes(b"no package")
    with pytest.raises(InputError, match="is no whole package; remove it"):
        prompts.read_prompts()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="run this on Debian or Ubuntu"):
        prompts.fetch(prompts.package_names())


def archive(path, entries, form=dialogue.MP3):
    """A game's archive of (name, samples at 11025 Hz)."""
    sounds = []
    for _, samples in entries:
        with io.BytesIO() as file:
            soundfile.write(file, samples, 11025, format="MP3")
            sounds.append(file.getvalue())
    at = dialogue.HEADER.size + len(entries) * dialogue.ENTRY.size
    content = dialogue.HEADER.pack(b"QTBL", b"CEM10", form, len(entries))
    for (name, _), sound in zip(entries, sounds):
        content += dialogue.ENTRY.pack(name.encode(), 1, at, len(sound))
        at += len(sound)
    path.write_bytes(content + b"".join(sounds))


def test_dialogue_is_read_without_the_games_noises(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert not dialogue.fetched()
    line = 0.3 * np.sin(np.arange(11025) / 9)
    entries = [("020001P2.SB", line), ("DOOR.SB", line), ("020002J1.SB", line[:500]), ("HOTEL.PCX", line)]
    package(tmp_path, dialogue.PACKAGE, {dialogue.FILE: lambda path: archive(path, entries)})
    (clip,) = dialogue.read_dialogue()
    assert (
        clip.split == "train"
        and clip.coded
        and abs(clip.seconds - 1) < 0.15
        and abs(int(clip.samples[4000:12000].max()) - 9830) < 900
    )


def test_another_archive_of_the_game_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    package(tmp_path, dialogue.PACKAGE, {dialogue.FILE: lambda path: archive(path, [], form=0)})
    with pytest.raises(InputError, match="is not the archive that is known"):
        dialogue.read_dialogue()
