"""Intervals of measured rates."""

import numpy as np
from scipy import stats


def wilson(misses, words, confidence=0.95):
    """The interval of a rate from counts (Wilson 1927): (low, high)."""
    if not words:
        return 0.0, 1.0
    interval = stats.binomtest(misses, words).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def poisson(count, hours, confidence=0.95):
    """The interval of a rate per hour from a count, exact (Garwood 1936): (low, high). None in an hour still allows 3.7."""
    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2 / hours)


def percent(rate, interval):
    """A rate and its interval for people."""
    return f"{100 * rate:.1f}% ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def bootstrap_rate(misses, sizes, samples, confidence=0.95):
    """The interval of the rate sum(misses) / sum(sizes), by drawing texts anew (Efron 1979): (low, high). misses, sizes: one a text."""
    misses, sizes = np.asarray(misses, float), np.asarray(sizes, float)
    if len(misses) < 2:
        return 0.0, 1.0
    found = stats.bootstrap(
        (misses, sizes),
        lambda misses, sizes, axis: misses.sum(axis) / sizes.sum(axis),
        paired=True,
        n_resamples=samples,
        batch=50,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
