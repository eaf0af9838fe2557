"""A detector scored on a recording with labelled times."""

import json

import pytest

from apps.data.audio import write_audio
from apps.trigger_word.labelled import lines, read_labels, score
from tests.conftest import tones
from zoo.errors import InputError


@pytest.fixture
def stream(tmp_path):
    write_audio(tmp_path / "tones.wav", tones())
    return tmp_path / "tones.wav"


def table(path, *rows, header="word,start,end"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_hits_misses_and_false_accepts_are_counted_and_named(tone_detector, stream, tmp_path):
    labels = table(tmp_path / "labels.csv", "high,2.2,2.5", "low,0.5,0.8")
    found = score(tone_detector, stream, labels)
    assert (
        found["words"] == 2
        and found["missed"]["count"] == 1
        and found["missed_at"] == [{"word": "high", "start": 2.2, "end": 2.5}]
    )
    assert len(found["false_accepts_at"]) == 1 and 1.5 <= found["false_accepts_at"][0] <= 1.8
    assert found["false_accepts"]["per_hour"] == pytest.approx(1200) and json.dumps(found)
    text = "\n".join(lines(found))
    assert "missed 1 of 2: 50.0%" in text and "missed high from 2.20 to 2.50 s" in text and "fired falsely at 1." in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["low,0.8,0.5"], "line 2: 0.8 to 0.5 s is no stretch"),
        (["low,0.5,9"], "line 2: 0.5 to 9 s is no stretch of the recording, which has 3.00 s"),
        (["low,0.5,nan"], "is no stretch"),
        (["low,0.5,0.8", "lwo,1,2"], "line 3: the word is 'lwo'; this detector's are low, high"),
        (["low,a,0.8"], "line 2: start and end are 'a' and '0.8'; expected seconds"),
        (["low,0.5"], "line 2: start and end are '0.5' and None"),
        ([], "has the columns none; expected word, start, end"),
    ],
)
def test_wrong_labels_are_refused_in_words(tmp_path, rows, words):
    with pytest.raises(InputError, match=words):
        read_labels(table(tmp_path / "labels.csv", *rows), ["low", "high"], 3.0)


def test_missing_files_and_columns_are_named(tmp_path):
    with pytest.raises(InputError, match="is no file; expected a CSV"):
        read_labels(tmp_path / "none.csv", ["low"], 3.0)
    with pytest.raises(InputError, match="has the columns begin, end; expected word, start, end"):
        read_labels(table(tmp_path / "a.csv", "1,2", header="begin,end"), ["low"], 3.0)
    (tmp_path / "b.csv").write_bytes(b"word,start,end\n\xff\xfe,1,2\n")
    with pytest.raises(InputError, match="is no UTF-8 table"):
        read_labels(tmp_path / "b.csv", ["low"], 3.0)
