"""Debian's prompts, read from packages as they are; the packages here are made by dpkg-deb on the spot."""

import gzip
import io
import shutil
import struct
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


def archive(path, files, form=dialogue.MP3):
    """A game's archive: {name: bytes, or samples at 11025 Hz}."""
    parts = {name: content if isinstance(content, bytes) else mp3(content) for name, content in files.items()}
    at = dialogue.HEADER.size + len(parts) * dialogue.ENTRY.size
    content = dialogue.HEADER.pack(b"QTBL", b"CEM10", form, len(parts))
    for name, part in parts.items():
        content += dialogue.ENTRY.pack(name.encode(), 1, at, len(part))
        at += len(part)
    path.write_bytes(content + b"".join(parts.values()))


def mp3(samples):
    with io.BytesIO() as file:
        soundfile.write(file, samples, 11025, format="MP3")
        return file.getvalue()


def string(text, align):
    """As the game keeps it, after an even number of bytes: its length, the text, up to a multiple of `align`; what follows an empty one is next to it."""
    content = bytes([len(text)]) + text.encode()
    return content + bytes(-len(content) % align if text else 0)


def conversation(key, hero, person, again):
    """A conversation of one level: {number: sentence} of both, and what they say when they meet again."""
    said = [
        b"".join(bytes(2) + struct.pack(">H", number) + string(text, 4) for number, text in lines.items())
        for lines in (hero, person)
    ]
    start = dialogue.TALK.size + 4 + dialogue.LEVEL
    offsets = (start + len(said[0]), 0, start + len(said[0]) + len(said[1]))
    head = dialogue.TALK.pack(-1, 0, key, len(hero), len(person), *offsets)
    return bytes(dialogue.BANK) + head + bytes(start - len(head)) + said[0] + said[1] + b"".join(string(t, 2) for t in again)


def scene(*sentences):
    head = dialogue.SCENE.pack(len(sentences), dialogue.SCENE.size)
    return bytes(dialogue.BANK) + head + string("*FL", 2) + b"".join(string(text, 2) for text in sentences)


RESPONSES = [f"Response {number}*24" for number in range(1, dialogue.RESPONSES + 1)]
DESCRIPTIONS = ["It looks nice*03", "Neat*02But old*03"]
TEXTS = ("\r\n".join(DESCRIPTIONS) + dialogue.VERBS + "\r\n".join([*"abcdefghi", *RESPONSES, "klunk.act"])).encode()


def test_dialogue_comes_with_what_the_game_shows_and_without_its_noises(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert not dialogue.fetched()
    line = 0.3 * np.sin(np.arange(11025) / 9)
    talk = conversation(
        7, {6: "Hello there!", 0x1A: "*FLGo  away.*XY00(12,140)Now."}, {6: "It is*24", 7: "Who?"}, ("You again!", "Me again!")
    )
    files = {
        "KLUNK2.DOG": talk,
        "C9A.CUT": scene("Run!", "*24Help!"),
        "QUEEN2.JAS": TEXTS,
        **dict.fromkeys(("070006J1.SB", "07001AJ2.SB", "07001AJ3.SB", "070006P1.SB", "07XXXXP1.SB", "C9A__022.SB"), line),
        **dict.fromkeys(("JOE00031.SB", "JOE00422.SB", "DOOR.SB", "HOTEL.PCX"), line),
        "07XXXXJ1.SB": line[:500],
    }
    package(tmp_path, dialogue.PACKAGE, {dialogue.FILE: lambda path: archive(path, files)})
    clips = dialogue.read_dialogue()
    said = {clip.name.split("/")[1].removesuffix(".SB.mp3"): (clip.text, clip.speaker) for clip in clips}
    assert said == {
        "070006J1": ("Hello there!", "JOE"),
        "07001AJ2": ("Go away.", "JOE"),
        "07001AJ3": ("Now.", "JOE"),
        "070006P1": ("It is", "KLUNK"),
        "07XXXXP1": ("You again!", "KLUNK"),
        "C9A__022": ("Help!", ""),
        "JOE00031": ("Response 3", "JOE"),
        "JOE00422": ("But old", "JOE"),
    }
    assert all(clip.coded and abs(clip.seconds - 1) < 0.15 and clip.split == dialogue.split_of(clip.speaker) for clip in clips)
    assert abs(int(clips[0].samples[4000:12000].max()) - 9830) < 900
    assert dialogue.split_of("") == dialogue.split_of("JOE") == "train"


def test_another_archive_of_the_game_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    package(tmp_path, dialogue.PACKAGE, {dialogue.FILE: lambda path: archive(path, {}, form=0)})
    with pytest.raises(InputError, match="is not the archive that is known"):
        dialogue.read_dialogue()


def test_an_archive_without_the_texts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    broken = {"KLUNK2.DOG": b"short", "QUEEN2.JAS": TEXTS}
    for number, files in enumerate(({}, {"QUEEN2.JAS": b"no verbs"}, broken)):
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / str(number)))
        (tmp_path / str(number)).mkdir()
        package(tmp_path / str(number), dialogue.PACKAGE, {dialogue.FILE: lambda path, files=files: archive(path, files)})
        with pytest.raises(InputError, match="is not the archive that is known"):
            dialogue.read_dialogue()
