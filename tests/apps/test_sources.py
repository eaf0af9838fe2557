"""Data sources: cache, mirror, URL, in that order; nothing is trusted before its sum matches."""

import hashlib
import io
import json
import os
import tarfile

import numpy as np
import pytest
import soundfile

from apps.data import sources
from apps.data.audio import Archive
from apps.data.sources import SOURCES, Form, Source
from apps.data.speech import read_set
from apps.data.text import read_lines, read_set_lines
from zoo.errors import InputError

CONTENT = b"one\ntwo\n"
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty cache, a mirror with one data set 'tiny', and a URL for it."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "tiny.txt").write_bytes(CONTENT)
    (tmp_path / "mirror" / "index.json").write_text(json.dumps([{"name": "tiny", "file": "tiny.txt", "sha256": SUM}]))
    (tmp_path / "web.txt").write_bytes(CONTENT)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_DATA_MIRROR", str(tmp_path / "mirror"))
    canonical = Form("tiny.canonical.txt", SUM, len(CONTENT), "text", (tmp_path / "web.txt").as_uri())
    monkeypatch.setitem(
        SOURCES, "tiny", Source("tiny", "CC0", "somewhere", Form("tiny.txt", SUM, len(CONTENT), "text"), canonical)
    )
    return tmp_path


def test_the_mirror_serves_and_is_checked(places):
    path, form = sources.fetch("tiny")
    assert path == places / "mirror" / "tiny.txt" and form.layout == "text"
    assert read_set_lines("tiny", "ignored") == ["one", "two"]
    (places / "mirror" / "tiny.txt").write_bytes(b"evil\ntwo\n")
    with pytest.raises(InputError, match="has the checksum .* expected .* Remove it and fetch it again"):
        sources.fetch("tiny")


def test_a_change_that_keeps_size_and_time_apart_is_still_seen(places):
    path, _ = sources.fetch("tiny")
    status = path.stat()
    path.write_bytes(b"two\none\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(InputError, match="has the checksum"):
        sources.fetch("tiny")


def test_without_a_mirror_it_is_downloaded_once_into_the_cache(places, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_MIRROR")
    assert sources.available("tiny") is None
    path, _ = sources.fetch("tiny")
    assert path == places / "cache" / "tiny.canonical.txt" and path.read_bytes() == CONTENT
    (places / "web.txt").unlink()
    assert sources.fetch("tiny")[0] == path
    assert not list((places / "cache").glob("*.part"))


def test_a_download_with_another_sum_is_thrown_away(places, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_MIRROR")
    (places / "web.txt").write_bytes(b"something else")
    with pytest.raises(InputError, match="has the checksum"):
        sources.fetch("tiny")
    assert not list((places / "cache").glob("tiny*"))


def test_a_sum_that_nobody_publishes_is_kept_from_the_first_time(places, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_MIRROR")
    form = Form("tiny.canonical.txt", None, None, "text", (places / "web.txt").as_uri())
    monkeypatch.setitem(SOURCES, "tiny", Source("tiny", "CC0", None, Form("tiny.txt", SUM, 8, "text"), form))
    path, _ = sources.fetch("tiny")
    path.write_bytes(b"changed")
    with pytest.raises(InputError, match="has the checksum"):
        sources.fetch("tiny")


def test_without_any_form_the_error_says_where_to_put_what(places, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_MIRROR")
    with pytest.raises(
        InputError,
        match=r"'wake_words_computer' has no archive that can be downloaded.*\(12 MB\) by hand at .*wake_words_computer.tar",
    ):
        sources.fetch("wake_words_computer")
    (places / "web.txt").unlink()
    with pytest.raises(InputError, match="could not be downloaded from file"):
        sources.fetch("tiny")
    with pytest.raises(InputError, match="'nothing' is not known; expected one of wake_words_computer"):
        sources.fetch("nothing")


def test_a_mirror_of_another_release_or_none_is_explained(places, monkeypatch):
    (places / "mirror" / "index.json").write_text("[]")
    with pytest.raises(InputError, match="lists 'tiny' with another checksum"):
        sources.fetch("tiny")
    monkeypatch.setenv("ZOO_DATA_MIRROR", str(places))
    with pytest.raises(InputError, match="has no index.json"):
        sources.fetch("tiny")


def test_every_source_has_a_licence_and_a_checked_mirror_form():
    assert len(SOURCES) == 30
    for source in SOURCES.values():
        assert source.licence and len(source.mirror.sha256) == 64
        assert source.canonical is None or source.canonical.url.startswith("http")
    assert not SOURCES["multi30k"].ship and SOURCES["names"].ship


def test_archives_are_read_without_unpacking(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a/b.txt", "../outside.txt"):
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"hello"))
    archive = Archive(tmp_path / "x.tar")
    assert archive.open("a/b.txt").read() == b"hello" and not (tmp_path.parent / "outside.txt").exists()
    with pytest.raises(InputError, match="has no c.txt"):
        archive.open("c.txt")
    (tmp_path / "bad.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read as an archive"):
        Archive(tmp_path / "bad.tar")


def test_canonical_layouts_are_read(tmp_path, monkeypatch):
    """The canonical archives cannot be had here: small ones in their layout stand for them."""

    def wav(seconds=0.1):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(int(seconds * 16000), 0.1), 16000, format="WAV")
        return buffer.getvalue()

    def flac():
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(1600, 0.1), 16000, format="FLAC")
        return buffer.getvalue()

    layouts = {
        "speech_commands": (
            {"./yes/0c540988_nohash_0.wav": wav(), "./_unknown_/bed_1c540988_nohash_0.wav": wav()},
            [("0c540988", "yes", "test"), ("1c540988", "bed", "test")],
        ),
        "librispeech": (
            {"LibriSpeech/test-other/1/2/1-2-0000.flac": flac(), "LibriSpeech/test-other/1/2/1-2.trans.txt": b"1-2-0000 HELLO\n"},
            [("1", "HELLO", "test")],
        ),
        "speechocean762": (
            {
                "so/WAVE/S1/u1.WAV": wav(),
                "so/train/text": b"u1 WE CALL\n",
                "so/train/utt2spk": b"u1 1\n",
                "so/train/wav.scp": b"u1 WAVE/S1/u1.WAV\n",
            },
            [("1", "WE CALL", "train")],
        ),
    }
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.delenv("ZOO_DATA_MIRROR", raising=False)
    for layout, (files, expected) in layouts.items():
        path = tmp_path / f"{layout}.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        total = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(
            SOURCES,
            layout,
            Source(layout, "CC", None, Form("none.tar", "0" * 64, 1, "mirror"), Form(path.name, total, None, layout, "http://x")),
        )
        assert [(c.speaker, c.text.strip(), c.split) for c in read_set(layout)] == expected


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "has no text"), (b"\n  \n", "has no text"), (b"caf\xe9\n", "is not UTF-8 text .byte 3")]
)
def test_text_is_read_strictly(tmp_path, content, words):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_lines(tmp_path / "x.txt")


def test_the_mirrors_sets_are_what_they_say(mirror):
    for name in SOURCES:
        path, form = sources.fetch(name)
        assert path.stat().st_size == form.size
    clips = read_set("wake_words_computer")
    assert len(clips) == 411 and all(clip.samples.dtype == np.int16 for clip in clips)
    speech = read_set("librispeech_sample", lambda row: row["split"] == "test")
    assert len(speech) == 100 and len({clip.speaker for clip in speech}) == 10 and all(clip.text for clip in speech)
    assert len(read_set_lines("names", "names/names.txt")) == 32033
