"""The firing rule against the manifest's words, score by score."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tflite.runtime import Firing, WordRule


def plain_firing(rules, score_s, scores):
    """The rule as the manifest's schema words it, one score after another."""
    fired, quiet, armed, below = [], 0, [True] * len(rules), [0] * len(rules)
    for t in range(len(scores)):
        smoothed = []
        for w, rule in enumerate(rules):
            window = np.concatenate([np.zeros(rule.smoothing - 1, np.float32), scores[: t + 1, w]])[-rule.smoothing :]
            smoothed.append(window.mean(dtype=np.float32))
            below[w] = below[w] + 1 if smoothed[w] < rule.rearm_below else 0
            if below[w] >= max(1, round(rule.rearm_s / score_s)):
                armed[w] = True
        ready = [w for w, rule in enumerate(rules) if armed[w] and t >= quiet and smoothed[w] >= rule.threshold]
        if ready:
            word = max(ready, key=lambda w: smoothed[w] - rules[w].threshold)
            fired.append((t, word))
            armed[word], below[word], quiet = False, 0, t + round(rules[word].refractory_s / score_s) + 1
    return fired


RULES = st.builds(
    WordRule,
    word=st.just("w"),
    threshold=st.floats(0.3, 0.9),
    smoothing=st.integers(1, 4),
    refractory_s=st.floats(0.0, 0.5),
    rearm_below=st.floats(0.05, 0.29),
    rearm_s=st.floats(0.0, 0.3),
)


@settings(max_examples=200, deadline=None)
@given(rules=st.lists(RULES, min_size=1, max_size=3), data=st.data())
def test_any_chunking_fires_as_the_plain_rule_does(rules, data):
    time = data.draw(st.integers(1, 60))
    values = st.sampled_from([0.0, 0.125, 0.1875, 0.375, 0.5, 0.75, 0.9375, 1.0])
    scores = data.draw(hnp.arrays(np.float32, (time, len(rules)), elements=values))
    cuts = sorted(data.draw(st.sets(st.integers(0, time), max_size=6)) | {0, time})
    firing, fired = Firing(rules, 0.05), []
    for start, end in zip(cuts, cuts[1:]):
        fired += [(start + index, word) for index, word, _ in firing.push(scores[start:end])]
    assert fired == plain_firing(rules, 0.05, scores)


def fire(scores, **rule):
    rule = {"word": "a", "threshold": 0.5, "refractory_s": 0.3, "rearm_below": 0.2, "rearm_s": 0.2, **rule}
    return [index for index, _, _ in Firing([WordRule(**rule)], 0.1).push(np.array(scores, np.float32)[:, None])]


def test_an_utterance_fires_once_and_again_only_after_silence():
    assert fire([0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]) == [1]
    assert fire([0.9, 0.1, 0.9, 0.1, 0.9, 0.9, 0.9]) == [0]
    assert fire([0.9, 0.1, 0.1, 0.9, 0.9]) == [0, 4]  # re-armed, but not before the refractory time has passed


def test_the_highest_margin_wins():
    rules = [WordRule("a", 0.5), WordRule("b", 0.9)]
    found = Firing(rules, 0.1).push(np.array([[0.6, 0.95], [0.6, 0.95]], np.float32))
    assert [(index, word) for index, word, _ in found] == [(0, 0)]
