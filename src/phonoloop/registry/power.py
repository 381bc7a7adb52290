"""How much more would have to be measured to see a difference."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phonoloop.registry import statistics
from phonoloop.registry.rule import PromotionRule

#: how likely it should be that a true difference shows
POWER = 0.8
#: the improvement, relative to the champion's rate, to plan for where none was measured
PLANNED_IMPROVEMENT = 0.1
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Needed:
    """A golden set of this size would show the difference four times in five.

    Attributes:
        for_difference: errors per word; None where one speaker gives nothing to plan by.
    """

    words: int
    speakers: int
    for_difference: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"power": POWER}


def needed(
    difference: statistics.Ratio, *, blocks: np.ndarray, rate: float, alpha: float, rule: PromotionRule
) -> Needed:
    """An estimate from the spread between speakers that was measured.

    Args:
        difference: candidate less champion, errors per word.
        blocks: (speakers,) words of each.
        rate: the champion's errors per word.
        alpha: what the next test may spend.
    """
    speakers, words = len(blocks), float(blocks.sum())
    wanted = -difference.value if difference.value < 0 else PLANNED_IMPROVEMENT * rate
    if wanted <= 0 or difference.freedom <= 0:
        return Needed(rule.min_words, rule.min_speakers, None)
    spread_of_one = difference.standard_error * math.sqrt(speakers)
    count = _speakers(spread_of_one / wanted, alpha=alpha)
    return Needed(
        words=max(rule.min_words, math.ceil(words * count / speakers)),
        speakers=max(rule.min_speakers, count),
        for_difference=wanted,
    )


def _speakers(spread: float, *, alpha: float) -> int:
    """With few speakers Student's t asks for more than the normal distribution, hence the rounds."""
    freedom = math.inf
    for _ in range(_ROUNDS):
        reach = _student(1.0 - alpha, freedom) + _student(POWER, freedom)
        freedom = max(3.0, (reach * spread) ** 2 - 1.0)
    return math.ceil(freedom + 1.0)


def _student(share: float, freedom: float) -> float:
    """Student's quantile to second order (Abramowitz and Stegun 26.7.5): good enough to plan by."""
    z = statistics.normal_quantile(share)
    first = (z**3 + z) / 4.0
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96.0
    return z + first / freedom + second / freedom**2
