"""Takes from a microphone: what is kept, what is asked for again, and what a stop leaves."""

import numpy as np
import pytest

from apps.data.audio import read_audio
from apps.data.text import read_table
from apps.trigger_word import bundle, collecting
from apps.trigger_word.recordings import bundled, read_words
from zoo.errors import InputError

SECONDS = 2.0


@pytest.fixture(scope="module")
def said():
    return [clip.samples for clip in bundled(bundle.WORD)["train"][:6]]


def collect(folder, word, speaker, takes, microphone):
    return collecting.collect(folder, word, speaker, takes, SECONDS, microphone, beat_s=0.08)


def microphone(*takes):
    """A tone that nobody may hear while the count-down runs, then a take of SECONDS, as int16 chunks of 80 ms."""
    length, waiting = int(SECONDS * 16000), (8000 * np.sin(np.arange(1280) / 5)).astype(np.int16)
    yield from (waiting, waiting)  # it is tried for 0.1 s
    for take in takes:
        yield from [waiting] * len(collecting.COUNT)
        samples = np.random.default_rng(0).normal(0, 10, length).astype(np.int16)
        samples[4000 : 4000 + len(take)] += take[: length - 4000]
        for start in range(0, length, 1280):
            yield samples[start : start + 1280]


def test_takes_are_kept_with_their_speaker_and_can_be_trained_on(tmp_path, said):
    folder = tmp_path / "takes"
    collect(folder, "computer", "Ann", 4, microphone(*said[:4]))
    collect(folder, "computer", "Bo", 2, microphone(*said[4:]))
    rows = read_table(folder / "metadata.csv")
    assert [row["speaker"] for row in rows] == ["Ann"] * 4 + ["Bo"] * 2
    kept = read_audio(folder / rows[1]["path"])
    assert len(kept) == SECONDS * 16000 and np.corrcoef(kept[4000 : 4000 + len(said[1])], said[1])[0, 1] > 0.99
    splits, line = read_words(folder, "computer", False, 0, personal=True)
    assert sum(map(len, splits.values())) == 6 and all(splits.values()) and "of one person" in line
    with pytest.raises(InputError, match="For a detector of one person give --personal"):
        read_words(folder, "computer", False, 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda x: x // 1000, "too quiet"),
        (lambda x: np.clip(x.astype(int) * 40, -32768, 32767).astype(np.int16), "too loud"),
        (lambda x: np.tile(x, 5), "cut off, or the room is loud"),
    ],
)
def test_a_take_that_is_no_good_is_said_so_and_asked_for_again(tmp_path, said, capsys, spoil, reason):
    kept = collect(tmp_path / "takes", "computer", "me", 1, microphone(spoil(said[0]), said[0]))
    assert len(kept) == 1 and reason in capsys.readouterr().out


def test_a_microphone_that_stops_loses_nothing(tmp_path, said):
    folder = tmp_path / "takes"
    with pytest.raises(InputError, match="the microphone stopped"):
        collect(folder, "computer", "me", 3, microphone(*said[:2]))
    assert len(read_table(folder / "metadata.csv")) == len(list(folder.glob("*.wav"))) == 2


def test_a_microphone_that_hears_nothing_is_given_up(tmp_path):
    with pytest.raises(InputError, match="failed 5 times, the last time it was too quiet"):
        collect(tmp_path / "takes", "computer", "me", 1, microphone(*[np.zeros(10, np.int16)] * 9))
    assert not (tmp_path / "takes").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("mine.flac", "", "holds mine.flac, which was not collected into it"),
        ("metadata.csv", "path,split\na.wav,train\n", "has the columns path, split; expected path and speaker"),
    ],
)
def test_a_folder_of_something_else_is_refused_before_anybody_speaks(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        collect(tmp_path, "computer", "me", 1, microphone())
    with pytest.raises(InputError, match="is a file; expected a folder"):
        collect(tmp_path / name, "computer", "me", 1, microphone())
