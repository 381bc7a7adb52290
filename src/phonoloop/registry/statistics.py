"""Statistics over blocks: errors of one speaker belong together, so speakers are what is resampled.

Utterances of one speaker share a voice, a microphone and a room. Resampling utterances would take
them for independent and make intervals too narrow (Liu and Peng, "Statistical testing on ASR
performance via blockwise bootstrap", arXiv:1912.09508). Numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

#: blocks times resamples that are held at once (8 bytes each)
_CELLS = 1_000_000
_TINY = 1e-300
_MOST_TERMS = 500
_BISECTIONS = 80


class Interval(NamedTuple):
    low: float
    high: float


class Ratio(NamedTuple):
    """A sum over a sum, such as errors per word, with what its blocks say about its spread.

    Attributes:
        standard_error: nan where there is only one block.
        freedom: degrees of freedom: the effective number of blocks less one. Blocks of unequal
            size count for less than their number.
    """

    value: float
    standard_error: float
    freedom: float


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> Ratio:
    """The ratio estimator over blocks, with its linearised standard error (Cochran, Sampling
    Techniques, 3rd ed., 6.3). Both (blocks,); the denominators' sum is above zero."""
    blocks, size = len(denominators), float(denominators.sum())
    value = float(numerators.sum()) / size
    if blocks < 2:
        return Ratio(value, math.nan, 0.0)
    residuals = numerators - value * denominators
    variance = blocks / (blocks - 1) * float(residuals @ residuals) / size**2
    effective = size**2 / float(denominators @ denominators)
    return Ratio(value, math.sqrt(variance), max(effective - 1.0, 0.0))


def chance_below_zero(estimate: Ratio, *, blocks: int) -> float:
    """The one-sided p-value of "the true ratio is below zero" by Student's t over blocks.

    Blocks that all say exactly the same have no spread to judge by: then it is the chance that so
    many fair coins fall on one side.
    """
    if estimate.freedom <= 0 or estimate.value == 0 or math.isnan(estimate.standard_error):
        return 1.0
    if estimate.standard_error <= abs(estimate.value) * 1e-12:
        return 0.5**blocks if estimate.value < 0 else 1.0
    return student_cdf(estimate.value / estimate.standard_error, estimate.freedom)


def rate_interval(
    per_speaker_errors: Sequence[float] | np.ndarray,
    per_speaker_words: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
) -> Interval | None:
    """The two-sided interval of one model's error rate, for speakers like these.

    Student's t over speakers. Without a single error the upper end is what so many words without
    one still allow (the "rule of three"). None with fewer than two speakers: one speaker says
    nothing about others.
    """
    words = np.asarray(per_speaker_words, dtype=np.float64)
    errors = np.asarray(per_speaker_errors, dtype=np.float64)[words > 0]
    words = words[words > 0]
    if len(words) < 2:
        return None
    if not errors.any():
        return Interval(0.0, min(1.0, -math.log((1 - confidence) / 2) / float(words.sum())))
    around = t_interval(ratio(errors, words), confidence=confidence)
    return None if around is None else Interval(max(0.0, around.low), around.high)


def t_interval(estimate: Ratio, *, confidence: float) -> Interval | None:
    if estimate.freedom <= 0:
        return None
    reach = student_quantile(0.5 + confidence / 2, estimate.freedom) * estimate.standard_error
    return Interval(estimate.value - reach, estimate.value + reach)


def resampled(values: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """Sums over blocks drawn with replacement: (blocks, k) → (resamples, k). The same seed draws
    the same blocks."""
    blocks = len(values)
    step = max(1, _CELLS // blocks)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([_draws(blocks, size, seed, i) @ values for i, size in enumerate(sizes)])


@lru_cache(maxsize=8)
def _draws(blocks: int, resamples: int, seed: int, part: int) -> np.ndarray:
    """How often each block was drawn: (resamples, blocks) float64."""
    drawn = np.random.default_rng([seed, part]).integers(0, blocks, (resamples, blocks))
    drawn += np.arange(resamples)[:, None] * blocks
    counts = np.bincount(drawn.ravel(), minlength=resamples * blocks).reshape(resamples, blocks)
    return counts.astype(np.float64)


def percentile_interval(values: np.ndarray, *, confidence: float) -> Interval:
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def mapsswe(differences: np.ndarray) -> tuple[float, float]:
    """Matched pairs, utterances as segments: (z, one-sided p of "below zero").

    Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms",
    ICASSP 1989. It takes utterances for independent, which those of one speaker are not.
    """
    n = len(differences)
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    if spread == 0.0:
        return 0.0, 1.0
    z = float(differences.mean()) / (spread / math.sqrt(n))
    return z, normal_cdf(z)


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def student_cdf(t: float, freedom: float) -> float:
    """P(T ≤ t) for Student's t; `freedom` above zero need not be whole."""
    square = freedom + t * t
    tail = 0.5 * _incomplete_beta(freedom / 2.0, 0.5, freedom / square, t * t / square)
    return tail if t < 0 else 1.0 - tail


@lru_cache(maxsize=1024)
def student_quantile(share: float, freedom: float) -> float:
    """The t with P(T ≤ t) = share, for a share of at least 0.5, by bisection."""
    low, high = 0.0, 1.0
    while student_cdf(-high, freedom) > 1.0 - share and high < 1e300:
        high *= 2.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if student_cdf(-middle, freedom) > 1.0 - share else (low, middle)
    return high


@lru_cache(maxsize=1024)
def normal_quantile(share: float) -> float:
    """The z with P(Z ≤ z) = share, by bisection."""
    low, high = -40.0, 40.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if normal_cdf(middle) < share else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function (Numerical Recipes, 3rd ed., 6.4); `rest` is 1 - x,
    which the caller knows exactly where x is near 1."""
    if x <= 0.0 or rest <= 0.0:
        return float(rest <= 0.0)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - math.exp(log_front) * _beta_fraction(b, a, rest) / b
    return math.exp(log_front) * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction by Lentz's method."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
