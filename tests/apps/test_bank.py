"""Banks of scenes: what is in them, what they are named after, and that making one goes on where it was stopped."""

import numpy as np
import pytest

from apps.trigger_word import bank as bank_module
from apps.trigger_word.bank import Bank
from apps.trigger_word.config import Config
from apps.trigger_word.features import features
from apps.trigger_word.scenes import Ingredients, Scenes
from tests.apps.test_scenes import pulse


@pytest.fixture(scope="module")
def heard():
    return features(Config(size="standard"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    return tmp_path / "banks"


def scenes(seed=0, level=0.5):
    return Scenes(Ingredients([[pulse(0.5, level)]], [pulse(3.0, 0.1)], [], []), seed, 2.0, 0.08, clean=1.0)


def test_rows_are_the_scenes_features_and_labels(heard):
    bank = Bank(scenes(), 40, heard, "test")
    x, y = bank.rows(np.array([3, 35]))
    for row, index in enumerate((3, 35)):
        samples, labels = scenes().scene(index)
        np.testing.assert_allclose(x[row], heard.of_batch(samples[None])[0], rtol=2e-3, atol=0.05)  # float16
        np.testing.assert_array_equal(y[row], labels)


def test_making_one_goes_on_where_it_was_stopped(heard, monkeypatch, cache):
    whole = Bank(scenes(), 2000, heard, "test")
    made = []

    class Stopping(Scenes):
        def scene(self, index):
            made.append(index)
            if index == 700 and len(made) < 900:
                raise KeyboardInterrupt
            return super().scene(index)

    stopping = Stopping(scenes().ingredients, 0, 2.0, 0.08, clean=1.0)
    with pytest.raises(KeyboardInterrupt):
        Bank(stopping, 2000, heard, "test").make()
    first = len(made)
    made += [0] * 900
    x, _ = Bank(stopping, 2000, heard, "test").rows(np.arange(0, 2000, 97))
    assert min(made[first + 901 :]) >= 512  # the first 512 scenes were kept
    for path in cache.glob("*"):
        path.unlink()
    np.testing.assert_array_equal(x, whole.rows(np.arange(0, 2000, 97))[0])


def test_another_seed_recording_or_count_is_another_bank(heard, cache):
    for bank in (
        Bank(scenes(), 4, heard, "a"),
        Bank(scenes(1), 4, heard, "b"),
        Bank(scenes(level=0.4), 4, heard, "c"),
        Bank(scenes(), 5, heard, "d"),
    ):
        bank.make()
    Bank(scenes(), 4, heard, "again").make()
    assert len(list(cache.glob("*.json"))) == 4


def test_the_oldest_banks_make_room(heard, monkeypatch, cache):
    monkeypatch.setattr(bank_module, "KEPT_BYTES", 0)
    for count in (4, 5, 6):
        Bank(scenes(), count, heard, "test").make()
    assert len(list(cache.glob("*.json"))) == 2 and len(list(cache.glob("*.features"))) == 2


def test_long_streams_are_embedded_in_pieces_as_in_one(heard):
    samples = np.random.default_rng(0).normal(0, 0.05, int(70.3 * 16000)).astype("float32")
    whole = np.asarray(heard.of_batch(samples[None]))[0]
    np.testing.assert_allclose(heard.of_stream(samples), whole, rtol=2e-3, atol=0.05)


@pytest.mark.parametrize("spoil", ["lost", "short", "note"])
def test_a_bank_that_is_not_whole_is_made_again(heard, cache, spoil):
    whole, _ = Bank(scenes(), 40, heard, "test").rows(np.arange(40))
    (file,), (note,) = cache.glob("*.features"), cache.glob("*.json")
    if spoil == "lost":
        file.unlink()
    elif spoil == "short":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        note.write_text("{")
    again, _ = Bank(scenes(), 40, heard, "test").rows(np.arange(40))
    np.testing.assert_array_equal(again, whole)


def test_where_recordings_are_cut_is_part_of_a_banks_name(heard, cache):
    word = pulse(0.5, 0.5)
    for at in (3000, 5000):
        Bank(
            Scenes(Ingredients([[word[:at], word[at:]]], [pulse(3.0, 0.1)], [], []), 0, 2.0, 0.08, clean=1.0), 4, heard, "test"
        ).make()
    assert len(list(cache.glob("*.json"))) == 2


def test_two_processes_may_want_one_bank(heard, cache):
    from concurrent.futures import ThreadPoolExecutor

    banks = [Bank(scenes(), 64, heard, "test") for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(lambda bank: bank.rows(np.arange(64))[0], banks)
    np.testing.assert_array_equal(one, two)
    assert one.any(axis=(1, 2)).all()


def test_a_teachers_bank_holds_what_the_encoder_says_of_the_undisturbed_scene(heard):
    small = features(Config(size="micro"))
    noisy = Scenes(
        Ingredients([[]], [pulse(3.0, 0.1)], [pulse(2.0, 0.3).astype("float32") / 32768], [np.ones(1, "float32")]),
        0,
        2.0,
        0.08,
        0.0,
        0.0,
        clean=0.0,
    )
    x, y = Bank(noisy, 4, small, "test", heard).rows(np.array([2]))
    np.testing.assert_allclose(x[0], small.of_batch(noisy.scene(2)[0][None])[0], rtol=2e-3, atol=0.05)
    np.testing.assert_allclose(y[0], heard.of_batch(noisy.undisturbed(2)[None])[0], rtol=2e-3, atol=0.05)
    assert y.shape == (1, noisy.scores, 96)
