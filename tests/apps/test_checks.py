"""Recordings looked over: what is odd is found and named."""

import dataclasses

import numpy as np
import pytest

from apps.cli import main
from apps.data.audio import read_audio, write_audio
from apps.data.speech import read_set
from apps.trigger_word import bundle
from apps.trigger_word.checks import look_over
from apps.trigger_word.config import Config
from apps.trigger_word.features import features
from apps.trigger_word.recordings import bundled
from tests.apps.test_recordings import folder_of


@pytest.fixture(scope="module")
def heard():
    return features(Config())


@pytest.fixture(scope="module")
def clips():
    return bundled(bundle.WORD)["train"][:40]


def notes(found, index):
    return "; ".join(found[index]["notes"])


def test_spoilt_recordings_are_named(heard, clips):
    spoilt = list(clips)

    def spoil(index, change):
        samples = change(clips[index].samples.astype(np.float32) / 32768)
        spoilt[index] = dataclasses.replace(clips[index], samples=np.clip(samples * 32768, -32768, 32767).astype(np.int16))

    spoil(0, lambda x: x * 40)
    spoil(1, lambda x: x * 0.002)
    spoil(2, lambda x: np.pad(x, 8000) + 0.05 * np.random.default_rng(0).normal(size=len(x) + 16000))
    spoil(3, lambda x: np.concatenate([x, x, x]))
    found = look_over(spoilt, heard)
    assert "clipped" in notes(found, 0) and "very quiet" in notes(found, 1) and "noisy" in notes(found, 2)
    assert "longer than the others" in notes(found, 3)
    assert sum(bool(row["notes"]) for row in found[4:]) <= 12


def test_another_word_among_peoples_recordings_is_found(mirror, heard):
    words = read_set("wake_words_computer")[:120]
    others = read_set("speech_commands_test_v0.02", lambda row: row["label"] == "_unknown_")[:8]
    found = look_over(words + others, heard)
    assert all("unlike the others" in notes(found, index) for index in range(120, 128))
    assert sum("unlike" in notes(found, index) for index in range(120)) < 12


def test_the_command_says_what_to_listen_to_and_writes_what_it_cut(tmp_path, capsys):
    folder_of(tmp_path / "hello", 6)
    time = np.arange(16000) / 16000
    write_audio(tmp_path / "hello" / "loud.wav", np.clip(9 * np.sin(2 * np.pi * 250 * time), -1, 1))
    assert main(["trigger-word", "check", "--recordings", str(tmp_path / "hello"), "--cut", str(tmp_path / "cut")]) == 0
    out = capsys.readouterr().out
    assert "7 recordings" in out and "loud.wav" in out and "clipped" in out
    assert len(list((tmp_path / "cut").glob("*.wav"))) == 7 and len(read_audio(tmp_path / "cut" / "take_000.wav")) > 1000
    assert main(["trigger-word", "check", "--recordings", str(tmp_path / "hello"), "--cut", str(tmp_path / "hello")]) == 2
    assert "is there already; expected a new folder" in capsys.readouterr().err and (tmp_path / "hello" / "loud.wav").is_file()
    assert main(["trigger-word", "check", "--recordings", str(tmp_path / "nowhere")]) == 2
