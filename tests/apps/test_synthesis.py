"""Rendered speech by the engines that are installed."""

import dataclasses

import numpy as np
import pytest

from apps.data import synthesis
from apps.data.synthesis import ENGINES, RECORDED, Manner, recorded_voices, speak
from zoo.errors import InputError


@pytest.mark.skipif(not recorded_voices(), reason="no engine of recorded speakers is installed")
def test_recorded_speakers_say_a_phrase_slower_and_faster():
    for voice in recorded_voices():
        slow, fast = (speak("hey, <computer> & co", voice, Manner(rate=rate)) for rate in (120, 220))
        assert 0.05 < np.abs(fast).max() <= 1.0 and 0.5 < len(fast) / 16000 < 0.8 * len(slow) / 16000 < 4, voice


def test_an_engine_that_fails_is_named(monkeypatch):
    fails = dataclasses.replace(ENGINES["flite"], command=lambda *_: (["ls", "/no such folder"], ""))
    monkeypatch.setitem(ENGINES, "flite", fails)
    with pytest.raises(InputError, match="ls does not say 'hello' in the voice 'kal16' .*No such file.*; reinstall or remove"):
        speak("hello", "kal")


def test_a_speaker_whose_voice_is_not_installed_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(synthesis.shutil, "which", lambda name: f"/usr/bin/{name}")
    for name, engine in ENGINES.items():
        if engine.file != "/":
            monkeypatch.setitem(ENGINES, name, dataclasses.replace(engine, file=f"{tmp_path}/{name}/{{1}}"))
    (tmp_path / "mbrola" / "de6").mkdir(parents=True)
    found = recorded_voices.__wrapped__()
    assert found == [voice for voice, (engine, _) in RECORDED.items() if engine == "flite"] + ["mbrola-de6"]
