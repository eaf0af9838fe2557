"""The benchmark of wake words: who stands on which side, and how its tables count."""

import numpy as np
import pytest

from apps.data import speech
from apps.data.speech import read_set
from apps.trigger_word import distillation
from apps.trigger_word.recordings import PUBLIC, fold_of
from benchmarks import wake_words


@pytest.fixture(autouse=True)
def without_audio(monkeypatch):
    """What is tested here is who stands where, not what they say."""
    monkeypatch.setattr(speech, "read_audio", lambda *_, **__: np.zeros(16, "float32"))


def speakers(clips):
    return {(clip.source, clip.speaker or clip.name) for clip in clips}


def test_what_the_base_heard_is_no_test(mirror):
    heard = speakers(distillation.speech("train"))
    tested = speakers(clip for name in PUBLIC for clip in read_set(name) if fold_of(clip) in wake_words.UNHEARD)
    assert heard and tested and not heard & tested
    commands = read_set(wake_words.COMMAND_SET, lambda row: row["label"] in wake_words.COMMANDS)
    assert not heard & speakers(clip for clip in commands if clip.split == "test")
    assert not any(source in ("fsdd", "wake_words_computer") for source, _ in heard)


def test_common_words_are_trained_apart_from_what_says_them_and_from_who_tests(mirror):
    unwanted = wake_words.sounds_like("right")
    assert "write" in unwanted and "rite" not in wake_words.transcribed() - set(unwanted)
    parts = wake_words.split_speech(unwanted)
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert parts[one] and parts[other] and not speakers(parts[one]) & speakers(parts[other])
    assert all(clip.text for split in ("val", "test") for clip in parts[split])
    assert not any(set(clip.text.lower().split()) & {"right", "write"} for clips in parts.values() for clip in clips)


def point(misses, accepts, hours=2.0):
    return {
        "threshold": 0.5,
        "misses": {"clean": misses},
        "words": {"clean": 10},
        "others": 1,
        "false_accepts": accepts,
        "false_accepts_by_condition": {"clean": accepts},
        "hours": hours,
    }


def test_several_detectors_on_the_same_speech_know_no_more_of_it_than_one():
    results = [{"curves": {"a": [point(1, 1)], "b": [point(3, 1)], "c": [point(0, 9)]}}]
    header, _, mean, a, b, c, *_, note = wake_words.table_of_words(results, 0.5)
    assert mean.startswith("| mean of 2 of 3, each at most 0.5 an hour | 20.0%") and "0.50 (0.01 to 2.79; 2 in 4.0 h)" in mean
    assert a.startswith("| a | 10.0%") and c == "| c | not reached | | | |" and "2 times" in note
    assert wake_words.table_of_words([{"curves": {"c": [point(0, 9)]}}], 0.5)[-1].startswith("| none of 1 reaches")


def test_folds_are_read_at_their_own_thresholds_and_at_one():
    quiet = [{**point(m, f), "threshold": t} for t, m, f in ((0.3, 0, 1), (0.6, 4, 0))]
    loud = [{**point(m, f), "threshold": t} for t, m, f in ((0.3, 0, 9), (0.6, 1, 1))]
    missed = {"clean": {"misses": 1, "words": 10}}
    accepts = {"count": 2, "by_condition": {"clean": 2}, "hours": 2.0}
    test = {"missed": missed, "other_firings_in_word_streams": 0, "false_accepts": accepts}
    int8 = {**test, "false_accepts": {**accepts, "count": 3}}
    results = [{"metrics": {"curve": curve, "shipped": {"test": test, "int8": int8}}} for curve in (quiet, loud)]
    lines = {text.split(" |")[0]: text for text in wake_words.table(results)}
    assert "| 5.0% " in lines["| at most 0.5 an hour, each fold's own threshold"]  # 0 and 1 of 10
    assert "| 25.0% " in lines["| at most 0.5 an hour, one threshold for all folds"]  # 4 and 1
    assert "1.00 (" in lines["| shipped thresholds (from validation)"]
    assert "1.50 (" in lines["| the same, through the int8 files"]


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_folds_that_the_bases_heard_are_no_tests(fold, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["wake_words", "--output", "x", "--folds", str(fold)])
    with pytest.raises(SystemExit):
        wake_words.main()
    assert "argument --folds: invalid choice" in capsys.readouterr().err
