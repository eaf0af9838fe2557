"""Events, intervals, thresholds: detection counted as a listener would."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.data.audio import active_speech_level
from apps.trigger_word.evaluation import (
    CONDITIONS,
    LEVEL_DB,
    SoundStream,
    at_rate,
    at_threshold,
    choose_threshold,
    conditions,
    count_at,
    count_events,
    in_noise,
    of_word,
    poisson,
    speech_stream,
    summarise,
    sweep,
    to_ship,
    wilson,
    word_stream,
)
from tflite.runtime import WordRule


def speech(seconds=1.0, seed=0):
    count = int(seconds * 16000)
    return (3000 * np.random.default_rng(seed).normal(size=count)).clip(-32768, 32767).astype(np.int16)


def test_a_word_is_found_once_and_every_other_firing_is_a_false_accept():
    words = [(0, 0.5, 1.1), (0, 5.0, 5.6)]
    hits, false_accepts = count_events([(0, 1.0), (0, 1.3), (0, 9.0)], words)
    assert hits == {0} and false_accepts == [1.3, 9.0]


@pytest.mark.parametrize(("time", "hit"), [(0.49, False), (0.5, True), (2.1, True), (2.11, False)])
def test_a_hit_lies_between_a_words_start_and_a_second_after_its_end(time, hit):
    assert (count_events([(0, time)], [(0, 0.5, 1.1)])[0] == {0}) == hit


def test_another_word_is_no_hit():
    assert count_events([(1, 0.6)], [(0, 0.5, 1.1)]) == (set(), [0.6])
    assert count_events([(1, 0.6), (0, 0.7)], [(0, 0.5, 1.1), (1, 0.55, 0.9)])[0] == {0, 1}


def plain_count(fired, words):
    heard, false_accepts = set(), []
    for word, time in sorted(fired, key=lambda f: f[1]):
        match = next(
            (i for i, (w, start, end) in enumerate(words) if i not in heard and w == word and start <= time <= end + 1.0), None
        )
        false_accepts.append(time) if match is None else heard.add(match)
    return heard, false_accepts


@given(
    gaps=st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.1, 1.0)), max_size=8), times=st.lists(st.floats(0, 20), max_size=10)
)
def test_counting_equals_the_plain_definition(gaps, times):
    words, position = [], 0.0
    for gap, length in gaps:
        words.append((0, position + gap, position + gap + length))
        position += gap + length
    fired = [(0, time) for time in times]
    assert count_events(fired, words) == plain_count(fired, words)


def test_streams_place_words_where_they_say():
    stream = word_stream([(0, speech()), (1, speech(0.5, 1))], seed=1)
    assert [word for word, _, _ in stream.words] == [0, 1]
    for _, start, end in stream.words:
        piece = stream.samples[int(start * 16000) : int(end * 16000)]
        assert abs(active_speech_level(piece)[0] - LEVEL_DB) < 1.0
    (_, first, last) = stream.words[0]
    quiet = stream.samples[: int(first * 16000)]
    assert 1.2 <= first <= 2.8 and abs(last - first - 1.0) < 0.05 and np.std(quiet) == pytest.approx(10 ** (-70 / 20), rel=0.05)


@pytest.mark.parametrize("snr", [10.0, 5.0])
def test_noise_lies_at_its_ratio_below_the_speech(snr):
    stream = speech_stream([speech(20.0)], seed=2)
    noise = [np.random.default_rng(5).normal(size=40000).astype(np.float32)]
    noisy = in_noise(stream, noise, snr, seed=3)
    added = noisy.samples - stream.samples
    assert 10 * np.log10(np.mean(added**2)) == pytest.approx(LEVEL_DB - snr, abs=0.3)
    assert list(conditions(stream, noise, 0)) == [name for name, _ in CONDITIONS] == ["clean", "10 dB", "5 dB"]


def test_wilson_and_poisson_give_the_textbook_values():
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert poisson(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson(3, 2.0) == pytest.approx((0.3093, 4.3836), abs=1e-3)


def scored_streams():
    """Two words with peaks 0.9 and 0.6; other speech with peaks 0.7, 0.3: scores of 0.02 s."""
    positive, negative = np.zeros((1000, 1), np.float32), np.zeros((1000, 1), np.float32)
    positive[100:110], positive[500:510], negative[200:205], negative[800:805] = 0.9, 0.6, 0.7, 0.3
    words = SoundStream(np.zeros(320000, np.float32), ((0, 1.5, 2.1), (0, 9.5, 10.1)))
    return {"clean": (words, positive)}, {"clean": (SoundStream(np.zeros(320000, np.float32)), negative)}


def test_a_sweep_counts_misses_and_false_accepts_at_each_threshold():
    positive, negative = scored_streams()
    points = sweep([WordRule("a", 0.5)], 0.02, positive, negative)
    for point in points:
        threshold = point["threshold"]
        assert point["misses"]["clean"] == (threshold > 0.9) + (threshold > 0.6)
        assert point["false_accepts"] == (threshold <= 0.7) + (threshold <= 0.3)
    hours = points[0]["hours"]
    assert hours == pytest.approx(20 / 3600)
    best = at_rate(points, 0.0)
    assert 0.7 < best["threshold"] < 0.72 and best["misses"]["clean"] == 1
    assert choose_threshold(points, 2 / hours) == pytest.approx(0.3, abs=0.02)  # one was counted, one more fits
    assert choose_threshold(points, 1 / hours) == best["threshold"]


def test_a_curve_that_dips_again_is_read_from_its_quiet_end():
    points = [
        {"threshold": t, "false_accepts": f, "false_accepts_by_condition": {"clean": f}, "hours": 1.0}
        for t, f in ((0.1, 0), (0.3, 9), (0.5, 2), (0.7, 0))
    ]
    assert at_rate(points, 3)["threshold"] == 0.5 and at_rate(points, 0)["threshold"] == 0.7 and at_rate(points[1:3], 0) is None
    assert choose_threshold(points[1:3], 0) > 0.998


def test_the_threshold_keeps_to_the_rate_in_speech_that_did_not_choose_it():
    random, hours, found = np.random.default_rng(0), 10.0, []
    thresholds = np.linspace(2.0, 12.0, 1000)
    for _ in range(400):
        # scores of other speech with an exponential tail, 100 an hour above 0
        scores = random.exponential(size=random.poisson(100 * hours))
        counts = (scores[:, None] >= thresholds).sum(axis=0)
        points = [
            {"threshold": t, "false_accepts": int(n), "false_accepts_by_condition": {"clean": int(n)}, "hours": hours}
            for t, n in zip(thresholds, counts)
        ]
        found.append([100 * np.exp(-point["threshold"]) for point in (to_ship(points, 0.5), at_rate(points, 0.5))])
    kept, as_counted = np.mean(found, axis=0)
    assert 0.4 < kept < 0.53 < as_counted


def test_a_word_alone_is_counted_as_its_own_detector_would_be():
    stream = SoundStream(np.zeros(16000 * 10, "float32"), ((0, 1.0, 1.5), (1, 4.0, 4.5)))
    scores = np.zeros((100, 2), "float32")
    scores[14, 0] = scores[44, 0] = scores[74, 1] = 1.0  # its word; the other's word; nothing
    rules = [WordRule("a", 0.5), WordRule("b", 0.5)]
    for word, (missed, others) in enumerate(((0, 1), (1, 1))):
        found = count_at([rules[word]], 0.1, of_word({"clean": (stream, scores)}, word), {})
        assert (found["misses"]["clean"], found["words"]["clean"], found["others"]) == (missed, 1, others)


def test_rules_re_arm_below_half_the_threshold():
    (rule,) = at_threshold([WordRule("a", 0.5)], 0.8)
    assert rule == dataclasses.replace(WordRule("a", 0.8), rearm_below=0.4)


def test_a_summary_has_rates_with_intervals():
    positive, negative = scored_streams()
    summary = summarise(count_at([WordRule("a", 0.65)], 0.02, positive, negative))
    assert summary["missed"]["clean"]["rate"] == 0.5 and summary["missed"]["clean"]["interval"] == wilson(1, 2)
    assert summary["false_accepts"]["count"] == 1 and summary["false_accepts"]["per_hour"] == pytest.approx(180)
