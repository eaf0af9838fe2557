"""Words of a public set as folders that a detector is trained from."""

import pytest

from apps.data.speech import read_set
from apps.data.words import main, write_words
from apps.trigger_word.recordings import SPLITS, read_words
from zoo.errors import InputError

SET = "speech_commands_test_v0.02"


def test_words_are_copied_with_their_speakers_and_splits(mirror, tmp_path):
    counts = write_words(SET, ["yes", "no"], tmp_path / "words", most=4)
    assert counts == {"yes": 12, "no": 12}
    splits, line = read_words(tmp_path / "words", "yes", True, 0)
    assert {split: len(splits[split]) for split in SPLITS} == dict.fromkeys(SPLITS, 4) and "as its metadata says" in line
    original = {clip.name.rsplit("/", 1)[1]: clip for clip in read_set(SET, lambda row: row["label"] == "yes")}
    for clip in splits["val"]:
        known = original[clip.name]
        assert (clip.samples == known.samples).all() and clip.speaker == known.speaker and known.split == "val"


def test_words_without_speakers_have_no_metadata(mirror, tmp_path):
    write_words("wake_words_computer", ["computer"], tmp_path / "words", most=7)
    assert len(list((tmp_path / "words").glob("*.flac"))) == 7 and not (tmp_path / "words" / "metadata.csv").exists()


def test_a_word_that_is_not_there_leaves_nothing_behind(mirror, tmp_path, capsys):
    assert main([SET, "--words", "yes", "xylophone", "--output", str(tmp_path / "words")]) == 2
    assert "has no recordings of the word 'xylophone'; it has" in capsys.readouterr().err and not list(tmp_path.iterdir())
    (tmp_path / "words").mkdir()
    with pytest.raises(InputError, match="is there already"):
        write_words(SET, ["yes"], tmp_path / "words")
