"""Choosing when a detector fires: for a target rate of false accepts, on a stream kept for that.

    point = choose(score(model, lay_out_positives(clips)), score(model, lay_out_negatives(others)))
    point.trigger, point.expected_per_hour, point.warnings

What the tuning stream shows at the threshold that was chosen on it flatters. The figures to believe
are those of `evaluate`, on audio that neither training nor this has heard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.wakeword.streams import Scored
from phonoloop.wakeword.tail import Peaks, counted_logit, fit_tail, logit, peaks_of, probability
from phonoloop.wakeword.trigger import TriggerSettings

TARGET_PER_HOUR = 0.5
#: logits by which phrases and talk of another kind than the tuning stream's reach higher, about
#: (docs/adr/0004-wake-threshold.md)
OTHER_KIND = 0.75
#: averages over three and four steps lost more phrases in noise than they gained elsewhere
SMOOTHING_STEPS = (1, 2)
#: with fewer positives the smoothing is not chosen by them
MIN_POSITIVES = 30
#: hours of negatives from which on no warning is given
MIN_HOURS = 1.0
_DEFAULT_SMOOTHING = 2
_NEAR, _SAFE = 0.5, 4.0  # logits: a difference that matters not, and a margin that is enough
_LOWEST = -9.0  # a threshold of 0.0001: below it scores mean nothing
_HIGHEST = 15.0
CURVE_POINTS = 40


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What happens at one threshold: `events` in `hours`, `missed` of `positives`."""

    threshold: float
    smoothing_steps: int
    events: int
    hours: float
    missed: int
    positives: int

    @property
    def false_accepts_per_hour(self) -> float:
        return self.events / self.hours if self.hours else 0.0

    @property
    def misses(self) -> float:
        return self.missed / self.positives if self.positives else 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "false_accepts_per_hour": self.false_accepts_per_hour,
            "misses": self.misses,
        }


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What was chosen, and what it was chosen by.

    Attributes:
        expected_per_hour: on other audio of the same kind, by the tail of the peaks, below the target to
            leave room for audio of another kind; None where there were too few peaks to say.
        reached: whether the target is expected to be met at all.
        hours, events: of the tuning negatives, and what fires in them at this threshold.
        missed, positives: likewise of the tuning positives.
        curve: at this smoothing, by rising threshold.
        warnings: what a person should know, a sentence each.
    """

    trigger: TriggerSettings
    target_per_hour: float
    expected_per_hour: float | None
    reached: bool
    hours: float
    events: int
    missed: int
    positives: int
    curve: tuple[CurvePoint, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "curve": [point.to_dict() for point in self.curve],
            "warnings": list(self.warnings),
        }


def choose(
    positives: Scored,
    negatives: Scored,
    *,
    target_per_hour: float = TARGET_PER_HOUR,
    margin: float = OTHER_KIND,
    smoothing: Sequence[int] = SMOOTHING_STEPS,
    cooldown_s: float = 1.0,
) -> OperatingPoint:
    """The lowest threshold that is expected to keep the target on audio not heard, for each smoothing,
    and of these the one with the fewest misses.

    Positives never lift the rate: they only choose among smoothings, and only where there are enough.

    Args:
        margin: logits to go above that threshold, for audio of another kind than the tuning stream's.

    Raises:
        InputError: `wakeword.no_negatives`, `wakeword.target`.
    """
    if negatives.hours <= 0:
        raise InputError(
            "there is no audio without the phrase to choose a threshold on",
            code="wakeword.no_negatives",
            hint="Give folders of other speech and of noise",
        )
    if not target_per_hour > 0:
        raise InputError(
            "no threshold promises that nothing ever fires",
            code="wakeword.target",
            subject=str(target_per_hour),
            hint="Give a number of false accepts per hour above 0",
        )
    few = len(positives.placed) < MIN_POSITIVES
    tried = (_DEFAULT_SMOOTHING,) if few and _DEFAULT_SMOOTHING in smoothing else tuple(smoothing)
    found = [
        _at_smoothing(
            positives,
            negatives,
            steps,
            target_per_hour=target_per_hour,
            margin=margin,
            cooldown_s=cooldown_s,
        )
        for steps in tried
    ]
    best = _best(found, positives)
    warnings = tuple(_warnings(best))
    return replace(best, curve=curve(positives, negatives, best.trigger), warnings=warnings)


def _best(points: Sequence[OperatingPoint], positives: Scored) -> OperatingPoint:
    """The fewest misses; of equals the one that averages least, unless its phrases are clearly nearer to
    the threshold."""
    fewest = min((not point.reached, point.missed) for point in points)
    equal = [point for point in points if (not point.reached, point.missed) == fewest]
    margins = [_margin(positives, point.trigger) for point in equal]
    near = [point for point, margin in zip(equal, margins, strict=True) if margin >= max(margins) - _NEAR]
    return min(near, key=lambda point: point.trigger.smoothing_steps)


def _margin(positives: Scored, trigger: TriggerSettings) -> float:
    """By how much, in logits, nine of ten phrases exceed the threshold."""
    if not positives.placed:
        return 0.0
    above = np.quantile(logit(positives.best_means(trigger)), 0.1) - logit(trigger.threshold)
    return min(float(above), _SAFE)


def threshold_logit(
    peaks: Peaks, target_per_hour: float, *, margin: float = 0.0
) -> tuple[float, float | None]:
    """(where the threshold goes, how many events an hour are expected there on audio of the stream's kind).

    Never below what the stream itself can afford.

    Args:
        margin: logits above where audio of that kind would have it.
    """
    counted = counted_logit(peaks.logits, peaks.hours, target_per_hour)
    tail = fit_tail(peaks)
    if tail is None:
        return max(counted, _LOWEST) + margin, None
    chosen = max(counted, tail.at_rate(target_per_hour), _LOWEST) + margin
    return chosen, tail.rate(chosen)


def _at_smoothing(
    positives: Scored,
    negatives: Scored,
    steps: int,
    *,
    target_per_hour: float,
    margin: float,
    cooldown_s: float,
) -> OperatingPoint:
    peaks = peaks_of(negatives, steps, cooldown_s=cooldown_s)
    wanted, expected = threshold_logit(peaks, target_per_hour, margin=margin)
    trigger = TriggerSettings(probability(min(wanted, _HIGHEST)), steps, cooldown_s)
    return OperatingPoint(
        trigger=trigger,
        target_per_hour=target_per_hour,
        expected_per_hour=expected,
        reached=wanted <= _HIGHEST,
        hours=negatives.hours,
        events=len(negatives.events(trigger)),
        missed=missed(positives, trigger),
        positives=len(positives.placed),
    )


def missed(positives: Scored, trigger: TriggerSettings) -> int:
    """How many of the clips no event belongs to."""
    return sum(event is None for event in positives.first_events(trigger))


def curve(
    positives: Scored, negatives: Scored, trigger: TriggerSettings, *, points: int = CURVE_POINTS
) -> tuple[CurvePoint, ...]:
    """False accepts against misses through the trigger, by rising threshold, which is changed alone.

    The trigger's own threshold is one of the points.
    """
    wanted = [probability(at) for at in _grid(positives, negatives, trigger, points)]
    settings = [replace(trigger, threshold=at) for at in sorted({*wanted, trigger.threshold})]
    return tuple(
        CurvePoint(
            threshold=one.threshold,
            smoothing_steps=one.smoothing_steps,
            events=len(negatives.events(one)),
            hours=negatives.hours,
            missed=missed(positives, one),
            positives=len(positives.placed),
        )
        for one in settings
    )


def _grid(positives: Scored, negatives: Scored, trigger: TriggerSettings, points: int) -> np.ndarray:
    """Logits from where negatives fire once a minute to where nothing fires any more."""
    steps, cooldown_s = trigger.smoothing_steps, trigger.cooldown_s
    peaks = [
        peaks_of(stream, steps, cooldown_s=cooldown_s, most=max(2, math.ceil(60 * stream.hours))).logits
        for stream in (negatives, positives)
    ]
    least = min((one[-1] for one in peaks if len(one)), default=-_HIGHEST)
    most = max((one[0] for one in peaks if len(one)), default=_HIGHEST)
    return np.linspace(max(least, _LOWEST), min(most + 0.1, _HIGHEST), points)


def _warnings(point: OperatingPoint) -> Iterator[str]:
    if not point.reached:
        yield (
            f"no threshold keeps {point.target_per_hour:g} false accepts an hour: audio without the phrase "
            "scores as high as anything; more and other negatives are needed in training"
        )
    if point.hours < MIN_HOURS:
        yield (
            f"the threshold was chosen on {point.hours:.2f} h of audio without the phrase: give at least "
            f"{MIN_HOURS:g} h, or it is little more than a guess"
        )
    if point.expected_per_hour is None:
        yield "too little happens in the tuning audio to tell how scores thin out there"
    if point.positives < MIN_POSITIVES:
        yield f"{point.positives} clips of the phrase are too few to choose the smoothing by"
