"""Training scenes: reproducible, without overlap, every frame labelled as the notes say."""

import hashlib

import numpy as np
import pytest

import zoo
from apps.data.sound import babble, backgrounds, chords, coloured_noise, hum, recorded, reverberate, room
from apps.data.speech import Clip
from apps.trigger_word import bundle
from apps.trigger_word.config import Config
from apps.trigger_word.features import features
from apps.trigger_word.functions import builder_arguments, data_from, masked
from apps.trigger_word.recordings import SPLITS, Recordings, bundled
from apps.trigger_word.scenes import DOUBT_S, HOLD_S, LACKS_S, PAD_S, Ingredients, Scenes
from tflite.runtime.randomness import Stream


def pulse(seconds, level):
    """A 'recording' of one loud tone, int16."""
    time = np.arange(int(seconds * 16000)) / 16000
    return (level * 32767 * np.sin(2 * np.pi * 300 * time)).astype(np.int16)


@pytest.fixture(scope="module")
def ingredients():
    draw = Stream(0, 0)
    speech = [pulse(3.0, 0.1), pulse(5.0, 0.2)]
    return Ingredients(
        [[pulse(0.5, 0.5)], [pulse(0.7, 0.5)]], speech, backgrounds(draw, speech, 5, 4.0), [room(draw) for _ in range(3)]
    )


def test_the_same_seed_and_index_make_the_same_scene(ingredients):
    one, two = (Scenes(ingredients, 3, 4.0, 0.02) for _ in range(2))
    for index in (0, 7, 10**9):
        for a, b in zip(one.scene(index), two.scene(index)):
            np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(one.scene(0), one.scene(1)))
    assert (Scenes(ingredients, 4, 4.0, 0.02).scene(0)[0] != one.scene(0)[0]).any()


def test_choices_are_the_same_on_any_machine(ingredients):
    """Where words are placed, to the sample; a change of this sum is a change of everybody's trainings."""
    scenes = Scenes(ingredients, 3, 6.0, 0.02)
    spans = [[(word, round(end * 16000)) for word, end in scenes._place(Stream(3, index))[1]] for index in range(20)]
    assert sum(map(len, spans)) > 20
    assert hashlib.sha256(repr(spans).encode()).hexdigest()[:16] == "d1f0d1ddde1a3f73"


def test_a_part_of_a_word_lacks_enough_of_it_to_be_another():
    pad = int(PAD_S * 16000)
    for seconds in (0.2, 0.3, 0.5, 0.8):
        word = np.zeros(int(seconds * 16000) + 2 * pad, np.float32)
        parts = [len(Scenes._part(Stream(0, index), word)) for index in range(50)]
        assert max(parts) <= max(0, len(word) - pad - int(LACKS_S * 16000))
        assert any(parts) == (seconds > 0.2)  # a very short word has none


def test_a_soft_last_sound_stays_with_the_word():
    silence = np.zeros(8000, np.int16)
    scenes = Scenes(Ingredients([[np.concatenate([silence, pulse(0.4, 0.5), silence])]], [pulse(3.0, 0.1)], [], []), 0, 4.0, 0.02)
    assert len(scenes._words[0][0]) == pytest.approx((0.4 + 2 * PAD_S) * 16000, abs=1000)


def test_scenes_have_their_length_range_and_labels(ingredients):
    scenes = Scenes(ingredients, 1, 5.0, 0.04)
    for index in range(10):
        samples, labels = scenes.scene(index)
        assert samples.shape == (80000,) and labels.shape == (125, 2)
        assert np.isfinite(samples).all() and np.abs(samples).max() <= 1 and set(np.unique(labels)) <= {-1, 0, 1}


def test_labels_follow_the_end_of_each_word(ingredients):
    scenes = Scenes(ingredients, 5, 6.0, 0.02)
    for index in range(10):
        _, spans = scenes._place(Stream(5, index))
        labels = scenes._label(spans)
        times = (np.arange(len(labels)) + 1) * 0.02
        for word, end in spans:
            after = (times >= end) & (times < end + HOLD_S)
            assert (labels[after, word] == 1).all()
        for word in (0, 1):
            explained = np.zeros(len(times), bool)
            for w, end in spans:
                if w == word:
                    explained |= (times >= end) & (times < end + HOLD_S)
            assert ((labels[:, word] == 1) == explained).all()
        near = np.zeros(len(times), bool)
        for _, end in spans:
            near |= (times >= end - DOUBT_S) & (times < end + HOLD_S + DOUBT_S)
        assert (labels[~near] >= 0).all()


def test_what_is_placed_does_not_overlap():
    """With constant recordings an overlap would show as a higher level."""
    flat = [np.full(8000, 3277, np.int16)]
    scenes = Scenes(Ingredients([flat], [np.full(40000, 3277, np.int16)], [], []), 2, 6.0, 0.02)
    for index in range(10):
        speech, spans = scenes._place(Stream(2, index))
        assert np.abs(speech).max() < 10 ** (4.1 / 20)  # level 0 dB, up to 4 dB louder
        ends = [end for _, end in spans]
        assert ends == sorted(ends) and all(b - a >= 8000 / 1.28 / 16000 for a, b in zip(ends, ends[1:]))


@pytest.mark.parametrize("make", [coloured_noise, hum, chords, lambda d, s: babble(d, [pulse(1.0, 0.3)], s)])
def test_backgrounds_fill_their_time(make):
    samples = make(Stream(1, 2), 2.0)
    assert samples.shape == (32000,) and np.isfinite(samples).all() and 0.99 < np.abs(samples).max() <= 1.01
    assert np.sqrt(np.mean(samples[-8000:] ** 2)) > 1e-3
    np.testing.assert_array_equal(samples, make(Stream(1, 2), 2.0))


def test_a_room_adds_a_tail_after_the_direct_sound():
    response = room(Stream(0, 1))
    click = np.zeros(16000, np.float32)
    click[100] = 1
    heard = reverberate(click, response)
    assert heard.shape == click.shape and np.abs(heard[:100]).max() < 1e-5 and heard[100] == pytest.approx(1, abs=1e-3)
    early, late = np.sum(heard[101:1701] ** 2), np.sum(heard[8000:9600] ** 2)
    assert 0.01 < early < 100 and late < early / 30


def test_the_bundled_recordings_keep_voices_apart_and_small():
    for kind in (bundle.WORD, "other"):
        clips = bundled(kind)
        speakers = {split: {clip.speaker for clip in clips[split]} for split in SPLITS}
        assert all(len(s) >= 6 for s in speakers.values())
        assert (
            not speakers["train"] & speakers["val"]
            and not speakers["train"] & speakers["test"]
            and not speakers["val"] & speakers["test"]
        )
    assert sum(path.stat().st_size for path in bundle.FOLDER.rglob("*.ogg")) < 12e6
    assert bundle.WORD not in " ".join(clip.text for split in SPLITS for clip in bundled("other")[split])


@pytest.mark.parametrize(
    "name",
    ["tcn_trigger_word", "conv_gru_trigger_word", "course_trigger_word", "micro_trigger_word", "speech_embedding_trigger_word"],
)
@pytest.mark.parametrize("seconds", [2.5, 6.01, 6.25])
def test_a_scene_has_as_many_labels_as_the_model_has_scores(ingredients, name, seconds):
    sizes = {"speech_embedding_trigger_word": {"size": "standard"}, "micro_trigger_word": {"size": "micro"}}
    size = sizes.get(name, {"size": "scratch", "model": name, "blocks": 1})
    config = Config(scene_s=seconds, channels=4, words=("a", "b"), **size)
    heard = features(config)
    samples, labels = Scenes(ingredients, 0, seconds, heard.score_s).scene(0)
    scores = zoo.build(name, **builder_arguments(config, None))(heard.layer(samples[None]))["score"]
    assert scores.shape[1:] == labels.shape


@pytest.mark.parametrize("size", ["standard", "micro", "scratch"])
def test_batches_go_on_from_any_step(size, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    clip = Clip(pulse(0.5, 0.5), "a.wav", "x", text="a")
    other = Clip(pulse(3.0, 0.1), "b.wav", "x")
    everywhere = {split: [clip] * 2 for split in SPLITS}
    recordings = Recordings({"computer": everywhere}, {split: [other] * 2 for split in SPLITS}, ())
    data = data_from(recordings, Config(size=size, batch_size=2, scene_s=2.0, scenes=16))
    first, later = iter(data.train(0)), iter(data.train(3))
    seen = [next(first) for _ in range(5)]
    for (x, y), (x_later, y_later) in zip(seen[3:], later):
        np.testing.assert_array_equal(x, x_later)
        np.testing.assert_array_equal(y["score"], y_later["score"])
    assert (np.asarray(seen[0][0]) != np.asarray(seen[1][0])).any()


def test_every_draw_gives_a_room():
    """Draw 454 asked a hall to die away faster than its walls can absorb."""
    for seed in (454, *range(40)):
        response = room(Stream(seed, 0))
        assert np.isfinite(response).all() and response[0] == 1 and len(response) <= 16000


def test_recorded_noises_and_rooms_of_one_series_stand_in_one_split(mirror):
    noises, rooms = recorded()
    assert all(noises[split] and rooms[split] for split in SPLITS)
    assert sum(map(len, noises.values())) == 21 and sum(map(len, rooms.values())) == 19
    heard = {split: {samples.tobytes() for samples in noises[split]} for split in SPLITS}
    assert not heard["train"] & heard["test"] and not heard["val"] & heard["test"] and not heard["train"] & heard["val"]


def test_masks_hide_whole_stretches_and_bands_and_say_so_the_same_twice():
    frames = np.random.default_rng(0).uniform(1, 2, (4, 600, 40)).astype("float32")
    found = masked(frames, Stream(0, 1), 2)
    np.testing.assert_array_equal(found, masked(frames, Stream(0, 1), 2))
    np.testing.assert_array_equal(masked(frames, Stream(0, 1), 0), frames)
    for row, before in zip(found, frames):
        hidden = row != before
        assert 0 < hidden.sum() < hidden.size / 2
        # what is hidden is whole bands, or whole stretches of time
        bands, times = hidden.all(axis=0), hidden.all(axis=1)
        np.testing.assert_array_equal(hidden, bands[None] | times[:, None])
        np.testing.assert_allclose(row[hidden], before.mean(), rtol=1e-5)
