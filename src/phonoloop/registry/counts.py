"""Intervals of what is counted: so many in so many (Wilson), so many in so much time (Poisson)."""

from __future__ import annotations

import math

import numpy as np

from phonoloop.registry.statistics import Interval, normal_quantile

_BISECTIONS = 80


def wilson(count: int, of: int, *, confidence: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927, JASA 22:209); (0, 1) of nothing.

    It is never empty and never leaves 0 to 1, also for 0 of n.
    """
    if of == 0:
        return Interval(0.0, 1.0)
    z = normal_quantile(0.5 + confidence / 2)
    share, square = count / of, z * z / of
    middle = (share + square / 2) / (1 + square)
    reach = z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    low = 0.0 if count == 0 else max(0.0, middle - reach)
    return Interval(low, 1.0 if count == of else min(1.0, middle + reach))


def poisson_interval(count: int, *, confidence: float = 0.95) -> Interval:
    """The exact interval of an expected count (Garwood 1936, Biometrika 28:437).

    None seen leaves nothing to be wrong about below, so all of the doubt goes above: at most
    -ln(1 - confidence), which is the "rule of three" at 95 %.
    """
    if count == 0:
        return Interval(0.0, -math.log(1 - confidence))
    tail = (1 - confidence) / 2
    return Interval(poisson_mean(count - 1, 1 - tail), poisson_mean(count, tail))


def poisson_upper(count: int, *, confidence: float) -> float:
    """The expected count that is exceeded with a chance of at most 1 - confidence, one-sided."""
    return poisson_mean(count, 1 - confidence)


def poisson_mean(count: int, share: float) -> float:
    """The mean at which P(X ≤ count) is `share`, by bisection."""
    low, high = 0.0, count + 10.0
    while poisson_cdf(count, high) > share:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if poisson_cdf(count, middle) > share else (low, middle)
    return high


def poisson_cdf(count: int, mean: float) -> float:
    """P(X ≤ count) of a Poisson variable; for counts up to some ten thousands."""
    if count < 0:
        return 0.0
    if mean <= 0:
        return 1.0
    numbers = np.arange(count + 1)
    logs = numbers * math.log(mean) - mean - _log_factorials(count)
    top = float(logs.max())
    return min(1.0, math.exp(top) * float(np.exp(logs - top).sum()))


def _log_factorials(count: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])


def binomial_cdf(count: int, of: int, share: float) -> float:
    """P(X ≤ count) of `of` tries with a chance of `share` each."""
    if count >= of or share <= 0:
        return 1.0
    if count < 0 or share >= 1:
        return 0.0
    numbers = np.arange(count + 1)
    factorials = _log_factorials(of)
    chosen = factorials[of] - factorials[numbers] - factorials[of - numbers]
    logs = chosen + numbers * math.log(share) + (of - numbers) * math.log1p(-share)
    top = float(logs.max())
    return min(1.0, math.exp(top) * float(np.exp(logs - top).sum()))
