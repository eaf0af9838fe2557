"""A user's folder of recordings: how it is split, and what is refused."""

import csv

import numpy as np
import pytest

from apps.data.audio import read_audio, write_audio
from apps.data.speech import Clip, to_int16
from apps.trigger_word import recordings
from apps.trigger_word.config import Config
from apps.trigger_word.recordings import SPLITS, gather, rendered, says
from zoo.errors import InputError


def word(seed=0, seconds=0.6):
    time = np.arange(int(seconds * 16000)) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 17 * seed) * time)).astype("float32")


def folder_of(path, count, names=None):
    path.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        write_audio(path / f"{(names or 'take_{:03d}').format(index)}.wav", word(index))
    return path


def config(**settings):
    """A configuration without near words, which take half a minute to render."""
    return Config(near_words=False, **settings)


@pytest.fixture
def negatives(tmp_path):
    return folder_of(tmp_path / "speech", 6)


def test_clips_without_speakers_are_drawn_and_said_to_be_optimistic(tmp_path, negatives):
    found = gather(config(recordings=folder_of(tmp_path / "hello", 20), words=("hello",), negatives=(negatives,)))
    counts = {split: len(found.words["hello"][split]) for split in SPLITS}
    assert counts == {"train": 12, "val": 4, "test": 4}
    assert "20 recordings, split by clip, speakers unknown: optimistic" in str(found.sources)


def test_known_speakers_stand_on_one_side_only(tmp_path, negatives):
    folder = folder_of(tmp_path / "hello", 20)
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker"])
        writer.writerows([f"take_{i:03d}.wav", f"speaker_{i // 3}"] for i in range(20))
    found = gather(config(recordings=folder, words=("hello",), negatives=(negatives,)))
    speakers = {split: {clip.speaker for clip in found.words["hello"][split]} for split in SPLITS}
    assert all(speakers.values()) and not (
        speakers["train"] & speakers["test"] or speakers["train"] & speakers["val"] or speakers["val"] & speakers["test"]
    )
    assert "split by speaker (7)" in str(found.sources)


def test_several_words_have_a_folder_each(tmp_path, negatives):
    for name in ("on", "off"):
        folder_of(tmp_path / "words" / name, 8)
    found = gather(config(recordings=tmp_path / "words", words=("on", "off"), negatives=(negatives,)))
    assert list(found.words) == ["on", "off"]
    with pytest.raises(InputError, match="has no folder 'away'; expected one for each of the words"):
        gather(config(recordings=tmp_path / "words", words=("on", "away"), negatives=(negatives,)))


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
        gather(config(recordings=tmp_path / "hello", words=("hello",), negatives=(negatives,)))


def test_clipped_recordings_are_named(tmp_path, negatives, capsys):
    folder = folder_of(tmp_path / "hello", 8)
    write_audio(folder / "loud.wav", np.clip(9 * word(), -1, 1))
    gather(config(recordings=folder, words=("hello",), negatives=(negatives,)))
    out = capsys.readouterr()
    assert "loud.wav is clipped" in out.out + out.err


def test_wrong_folders_and_other_words_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder; expected a folder of recordings"):
        gather(config(recordings=tmp_path / "nowhere"))
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
    found = gather(config(recordings=folder_of(tmp_path / "hello", 8), words=("hello",)))
    speakers = {split: {(c.source, c.speaker) for c in found.negatives[split] if c.speaker} for split in SPLITS}
    assert all(speakers.values()) and not (
        speakers["train"] & speakers["test"] or speakers["train"] & speakers["val"] or speakers["val"] & speakers["test"]
    )
    assert "librispeech_sample (CC BY 4.0)" in str(found.sources)


def write_metadata(folder, rows, encoding="utf8"):
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding=encoding)


@pytest.mark.parametrize(
    ("rows", "encoding", "words"),
    [
        (
            ["path,split", *(f"take_{i:03d}.wav,dev" for i in range(8))],
            "utf8",
            "has the split 'dev'; expected train, val or test",
        ),
        (
            ["path,split", *(f"take_{i:03d}.wav,train" for i in range(8))],
            "utf8",
            "no recordings of hello are left for val and test",
        ),
        (
            ["path,split", *(f"take_{i:03d}.wav,{'train' if i else ''}" for i in range(8))],
            "utf8",
            "has a `split` in some rows only",
        ),
        (["path", *(f"take_{i:03d}.wav" for i in range(8))], "utf8", "has the columns path; expected path, and speaker or split"),
        (["path,speaker", *(f"take_{i % 7:03d}.wav,a" for i in range(8))], "utf8", "names a recording twice"),
        (["speaker,path", "junk", "x,nope.wav"], "utf8", "has a `path` in some rows only"),
        (
            ["path,speaker,split", *(f"take_{i:03d}.wav,a,{SPLITS[i % 3]}" for i in range(8))],
            "utf8",
            "has a speaker in more than one split",
        ),
        (["path,speaker", *(f"take_{i:03d}.wav,a" for i in range(7))], "utf8", "does not name take_007.wav"),
        (["path,speaker", *(f"take_{i:03d}.wav,a" for i in range(9))], "utf8", "names take_008.wav, which is not there"),
        (["path,speaker", *(f"take_{i:03d}.wav,a" for i in range(8))], "utf8", "are of 1 speakers; expected at least 3"),
        (["path,speaker", *(f"take_{i:03d}.wav,M\u00fcller" for i in range(8))], "latin1", "is no UTF-8 table"),
    ],
)
def test_a_wrong_metadata_table_is_refused(tmp_path, negatives, rows, encoding, words):
    write_metadata(folder_of(tmp_path / "hello", 8), rows, encoding)
    with pytest.raises(InputError, match=words):
        gather(config(recordings=tmp_path / "hello", words=("hello",), negatives=(negatives,)))


def speech_clip(name, text, speaker, split):
    return Clip(np.zeros(16000, np.int16) + 99, name, "x", speaker, text, split)


def public(monkeypatch, clips):
    monkeypatch.setattr(recordings, "PUBLIC", ("librispeech_sample",))
    monkeypatch.setattr(recordings, "available", lambda name: "here")
    monkeypatch.setattr(recordings, "read_set", lambda name: clips)


def test_speech_that_says_a_word_is_no_negative(tmp_path, monkeypatch):
    clips = [speech_clip(f"{i}.opus", "TURN IT ON NOW" if i % 3 == 0 else "ONLY THEN", f"s{i}", "") for i in range(30)]
    public(monkeypatch, clips)
    found = gather(config(recordings=folder_of(tmp_path / "on", 8), words=("on",)))
    kept = [clip for split in SPLITS for clip in found.negatives[split]]
    assert len(kept) == 20 and all(clip.text == "ONLY THEN" for clip in kept)
    assert "10 clips that may say a word left out" in str(found.sources)


def test_a_public_set_of_one_official_split_is_split_by_speaker(tmp_path, monkeypatch):
    public(monkeypatch, [speech_clip(f"{i}.flac", "WORDS", f"s{i // 2}", "test") for i in range(30)])
    found = gather(config(recordings=folder_of(tmp_path / "hello", 8), words=("hello",)))
    speakers = {split: {clip.speaker for clip in found.negatives[split]} for split in SPLITS}
    assert all(speakers.values()) and not speakers["train"] & speakers["test"] and not speakers["val"] & speakers["test"]


@pytest.mark.parametrize(("suffix", "coded"), [("opus", True), ("flac", False)])
def test_words_go_through_the_codec_of_the_other_speech_to_train_on_only(tmp_path, monkeypatch, suffix, coded):
    public(monkeypatch, [speech_clip(f"{i}.{suffix}", "WORDS", f"s{i}", SPLITS[i % 3]) for i in range(9)])
    folder = folder_of(tmp_path / "hello", 20)
    raw = {path.name: to_int16(read_audio(path)) for path in folder.glob("*.wav")}
    found = gather(config(recordings=folder, words=("hello",))).words["hello"]
    assert all((clip.samples != raw[clip.name]).any() == coded for clip in found["train"])
    assert all((clip.samples == raw[clip.name]).all() for split in ("val", "test") for clip in found[split])


@pytest.mark.parametrize("name", ["..", "/tmp", "a/b", " a", "a\nb", ""])
def test_words_are_words_not_paths(name):
    with pytest.raises(InputError, match="`words` (hold|are)"):
        Config(words=(name,))


def test_too_short_recordings_and_poor_negatives_are_named(tmp_path, negatives):
    folder = folder_of(tmp_path / "hello", 8)
    (tmp_path / "silence").mkdir()
    write_audio(tmp_path / "silence" / "x.wav", np.zeros(16000))
    with pytest.raises(InputError, match="`negatives` hold 1 recording; expected at least 3"):
        gather(config(recordings=folder, words=("hello",), negatives=(tmp_path / "silence",)))
    with pytest.raises(InputError, match="x.wav is silent or shorter than"):
        gather(config(recordings=folder, words=("hello",), negatives=(tmp_path / "silence", negatives)))
    write_audio(folder / "click.wav", np.full(5, 0.5))
    with pytest.raises(InputError, match="click.wav is 0 ms long; expected a whole word"):
        gather(config(recordings=folder, words=("hello",), negatives=(negatives,)))


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("TURN IT ON NOW", ("on",), True),
        ("ONLY THEN", ("on",), False),
        ("hey, computer!", ("Hey Computer",), True),
        ("they computerise", ("hey computer",), False),
        ("", ("on",), False),
    ],
)
def test_a_transcript_says_a_word_or_phrase_or_not(text, words, expected):
    assert says(text, words) == expected


def test_a_phrase_is_said_by_other_voices_in_each_split_and_beside_recordings_only_to_train(
    tmp_path, negatives, monkeypatch, capsys
):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(recordings, "TAKES", {"train": 24, "val": 6, "test": 8})
    monkeypatch.setattr(recordings, "recorded_voices", list)
    found = gather(Config(phrase="hey jarvis", size="micro", negatives=(negatives,)))
    notes = capsys.readouterr().out
    assert "note: 0 recorded speakers are installed to say 'hey jarvis'; with 30 a detector misses far less" in notes
    assert "note: from the spelling alone, the size micro misses at least twice as many people" in notes
    said = found.words["hey jarvis"]
    assert {split: len(said[split]) for split in SPLITS} == {"train": 24, "val": 6, "test": 8}
    voices = {split: {clip.speaker for clip in said[split]} for split in SPLITS}
    assert not voices["train"] & voices["val"] and not voices["train"] & voices["test"] and not voices["val"] & voices["test"]
    assert all(0.3 < clip.seconds < 2.5 for split in SPLITS for clip in said[split])
    folder = folder_of(tmp_path / "hello", 10)
    both = gather(Config(phrase="hey jarvis", words=("hello",), recordings=folder, negatives=(negatives,)))
    assert {split: len(both.words["hello"][split]) for split in SPLITS} == {"train": 24 + 6, "val": 2, "test": 2}


def test_a_phrase_that_is_not_said_is_refused(tmp_path, negatives):
    with pytest.raises(InputError, match="is no word that espeak-ng says; spell it with --phrase"):
        gather(Config(phrase="...!", words=("x",), negatives=(negatives,)))


def test_near_words_are_rendered_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(recordings, "NEAR_TEXTS", 6)
    first = recordings.near_words(("computer",))
    monkeypatch.setattr(recordings, "speak", None)
    again = recordings.near_words(("computer",))
    assert len(first) == 6 * recordings.NEAR_VOICES and all((a.samples == b.samples).all() for a, b in zip(first, again))


def test_speech_that_says_a_word_or_may_say_a_common_one_is_left_out():
    def clip(text):
        return Clip(np.zeros(16, np.int16), "x.wav", "x", text=text)

    words = recordings._said_alike(("no",))
    assert set(words) == {"no", "know"}
    assert recordings.usable(clip("Nothing."), words)
    assert not any(recordings.usable(clip(text), words) for text in ("Oh no!", "I know", ""))
    assert recordings.usable(clip(""), recordings._said_alike(("computer",)))


def test_a_phrase_is_said_by_all_speakers_and_near_words_by_the_bundled_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(recordings, "NEAR_TEXTS", 6)
    monkeypatch.setattr(recordings, "TAKES", {"train": 60, "val": 20, "test": 20})
    monkeypatch.setattr(recordings, "recorded_voices", lambda: ["kal", "mbrola-us1", "mbrola-sw2", "mbrola-hu1"])
    spoken = []
    monkeypatch.setattr(recordings, "speak", lambda text, voice, manner: spoken.append((text, voice)) or word(len(spoken), 0.3))
    said = recordings.spelled("hey computer")
    assert {text.rstrip(".,!?") for text, _ in spoken} == {"hey computer"} and len({text for text, _ in spoken}) == 5
    voices = {split: {clip.speaker for clip in clips} for split, clips in said.items()}
    assert {"kal", "mbrola-us1"} < voices["train"] and "mbrola-sw2" in voices["val"] and "mbrola-hu1" in voices["test"]
    near = {clip.speaker for clip in recordings.near_words(("computer",))}
    assert near <= voices["train"] - {"mbrola-us1"}


def test_a_phrase_with_a_pause_is_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(recordings, "TAKES", {"train": 12, "val": 1, "test": 1})
    # the first word alone takes less than 0.7 s
    assert min(clip.seconds for clip in recordings.spelled("hey, computer")["train"]) > 0.75


def test_what_is_said_decides_not_what_it_is_called():
    assert Config(words=("hey_computer",)).spellings == ("hey computer",)
    assert Config(words=("pc",), phrase="computer").spellings == ("computer",) and Config().spellings == ("computer",)


def test_as_much_of_all_that_is_trained_on_goes_through_the_codec():
    def clips(names):
        return [Clip(to_int16(word(i, 0.3)), name, "x", split="train") for i, name in enumerate(names)]

    splits = {split: clips([f"{i}.wav" for i in range(40)]) for split in SPLITS}
    negatives = {split: clips(["a.opus", "b.wav"]) for split in SPLITS}
    before = recordings.Recordings({"hello": splits}, negatives, (), tuple(clips(["f.wav"] * 40)), tuple(clips(["n.wav"] * 40)))
    after = recordings.in_the_same_codecs(before)

    def changed(old, new):
        return sum((a.samples != b.samples).any() for a, b in zip(old, new))

    for old, new in (
        (splits["train"], after.words["hello"]["train"]),
        (before.near, after.near),
        (before.false_accepts, after.false_accepts),
    ):
        assert 10 < changed(old, new) < 30
    assert changed(splits["test"], after.words["hello"]["test"]) == changed(splits["val"], after.words["hello"]["val"]) == 0
    assert after.fingerprint("test") == before.fingerprint("test") and after.fingerprint("train") != before.fingerprint("train")
