"""A user's folder of recordings: how it is split, and what is refused."""

import csv

import numpy as np
import pytest

from apps.data.audio import write_audio
from apps.trigger_word.config import Config
from apps.trigger_word.recordings import SPLITS, gather, rendered
from zoo.errors import InputError


def word(seed=0, seconds=0.6):
    time = np.arange(int(seconds * 16000)) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 17 * seed) * time)).astype("float32")


def folder_of(path, count, names=None):
    path.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        write_audio(path / f"{(names or 'take_{:03d}').format(index)}.wav", word(index))
    return path


@pytest.fixture
def negatives(tmp_path):
    return folder_of(tmp_path / "speech", 6)


def test_clips_without_speakers_are_drawn_and_said_to_be_optimistic(tmp_path, negatives):
    found = gather(Config(recordings=folder_of(tmp_path / "hello", 20), words=("hello",), negatives=(negatives,)))
    counts = {split: len(found.words["hello"][split]) for split in SPLITS}
    assert counts == {"train": 12, "val": 4, "test": 4}
    assert "20 recordings, split by clip, speakers unknown: optimistic" in str(found.sources)


def test_known_speakers_stand_on_one_side_only(tmp_path, negatives):
    folder = folder_of(tmp_path / "hello", 20)
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker"])
        writer.writerows([f"take_{i:03d}.wav", f"speaker_{i // 3}"] for i in range(20))
    found = gather(Config(recordings=folder, words=("hello",), negatives=(negatives,)))
    speakers = {split: {clip.speaker for clip in found.words["hello"][split]} for split in SPLITS}
    assert all(speakers.values()) and not (
        speakers["train"] & speakers["test"] or speakers["train"] & speakers["val"] or speakers["val"] & speakers["test"]
    )
    assert "split by speaker (7)" in str(found.sources)


def test_several_words_have_a_folder_each(tmp_path, negatives):
    for name in ("on", "off"):
        folder_of(tmp_path / "words" / name, 8)
    found = gather(Config(recordings=tmp_path / "words", words=("on", "off"), negatives=(negatives,)))
    assert list(found.words) == ["on", "off"]
    with pytest.raises(InputError, match="has no folder 'away'; expected one for each of the words"):
        gather(Config(recordings=tmp_path / "words", words=("on", "away"), negatives=(negatives,)))


@pytest.mark.parametrize(
    ("count", "spoil", "words"),
    [
        (1, lambda p: None, "has 1 recording of 'hello'; expected at least 6"),
        (0, lambda p: None, "has no recordings"),
        (8, lambda p: write_audio(p / "silent.wav", np.zeros(16000)), "silent.wav is silent .peak below -80 dB"),
        (8, lambda p: (p / "fake.wav").write_text("no audio"), "fake.wav cannot be read as audio"),
        (8, lambda p: (p / "empty.flac").write_bytes(b""), "empty.flac is an empty file"),
        (
            8,
            lambda p: (p / "metadata.csv").write_text("name,who\na,b\n"),
            "has the columns name, who; expected path, and speaker or split",
        ),
    ],
)
def test_bad_folders_are_refused_in_words(tmp_path, negatives, count, spoil, words):
    spoil(folder_of(tmp_path / "hello", count))
    with pytest.raises(InputError, match=words):
        gather(Config(recordings=tmp_path / "hello", words=("hello",), negatives=(negatives,)))


def test_clipped_recordings_are_named(tmp_path, negatives, capsys):
    folder = folder_of(tmp_path / "hello", 8)
    write_audio(folder / "loud.wav", np.clip(9 * word(), -1, 1))
    gather(Config(recordings=folder, words=("hello",), negatives=(negatives,)))
    out = capsys.readouterr()
    assert "loud.wav is clipped" in out.out + out.err


def test_wrong_folders_and_other_words_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder; expected a folder of recordings"):
        gather(Config(recordings=tmp_path / "nowhere"))
    with pytest.raises(InputError, match="the bundled recordings are of 'computer' only"):
        gather(Config(words=("lamp",)))


def test_rendered_speech_is_cached_and_the_same_again(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    first = rendered("val", 0.01, 3)
    again = rendered("val", 0.01, 3)
    assert sum(c.seconds for c in first) >= 36 and len(first) == len(again)
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert a.speaker == b.speaker
    assert len(list((tmp_path / "rendered").iterdir())) == 1


def test_public_sets_keep_speakers_apart(mirror, tmp_path):
    found = gather(Config(recordings=folder_of(tmp_path / "hello", 8), words=("hello",)))
    speakers = {split: {(c.source, c.speaker) for c in found.negatives[split] if c.speaker} for split in SPLITS}
    assert all(speakers.values()) and not (
        speakers["train"] & speakers["test"] or speakers["train"] & speakers["val"] or speakers["val"] & speakers["test"]
    )
    assert "librispeech_sample (CC BY 4.0)" in str(found.sources)
