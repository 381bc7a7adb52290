"""Is a detector good enough, not good enough, or has it not been heard for long enough to say?

Both figures are samples. Half a false accept an hour is not shown by an hour without one: that only
shows less than three. So where an interval holds the target, the verdict is *not enough audio*, with
how much more would decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from phonoloop.core.errors import InputError
from phonoloop.registry.counts import binomial_cdf, poisson_cdf, poisson_interval, wilson
from phonoloop.registry.statistics import Interval

CONFIDENCE = 0.95
#: how likely the audio that is asked for should be to decide
POWER = 0.8
_MOST_HOURS, _MOST_CLIPS = 1_000.0, 50_000
_GROWTH = 1.05


class Outcome(StrEnum):
    GOOD = "good"
    MISSES = "misses too much"
    ACCEPTS = "accepts too much"
    NOT_ENOUGH = "not enough audio"


@dataclass(frozen=True, slots=True)
class Demands:
    """What a detector has to keep.

    Raises:
        InputError: `wakeword.target`.
    """

    max_per_hour: float = 0.5
    max_miss_share: float = 0.05
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        shares = (self.max_miss_share, self.confidence)
        if not (0 < self.max_per_hour < math.inf and all(0 < share < 1 for share in shares)):
            raise InputError(
                "no amount of audio can show that",
                code="wakeword.target",
                subject=f"{self.max_per_hour:g} an hour, {self.max_miss_share:g} missed",
                hint="Give a rate above 0, and shares between 0 and 1",
            )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


@dataclass(frozen=True, slots=True)
class AcceptRate:
    """False accepts, with the hours they were counted in. low, high: of the rate, an hour."""

    events: int
    hours: float
    confidence: float = CONFIDENCE

    @property
    def per_hour(self) -> float | None:
        """None without any audio."""
        return self.events / self.hours if self.hours else None

    @property
    def interval(self) -> Interval:
        """Per hour; up to infinity without any audio."""
        if not self.hours:
            return Interval(0.0, math.inf)
        low, high = poisson_interval(self.events, confidence=self.confidence)
        return Interval(low / self.hours, high / self.hours)

    def __str__(self) -> str:
        if not self.hours:
            return "no audio without the phrase was heard"
        low, high = self.interval
        share = f"{self.confidence:.0%}".replace("%", " %")
        if not self.events:
            return f"0 in {_short(self.hours)} h: at most {_short(high)} an hour ({share})"
        rate = f"{_short(self.per_hour or 0.0)} an hour"
        return f"{self.events} in {_short(self.hours)} h: {rate} ({_short(low)} to {_short(high)}, {share})"

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval
        return {
            "events": self.events,
            "hours": self.hours,
            "per_hour": self.per_hour,
            "low": low,
            "high": high if math.isfinite(high) else None,
            "confidence": self.confidence,
            "text": str(self),
        }


@dataclass(frozen=True, slots=True)
class MissRate:
    """Clips of the phrase in which nothing fired."""

    missed: int
    clips: int
    confidence: float = CONFIDENCE

    @property
    def share(self) -> float | None:
        """None without a clip."""
        return self.missed / self.clips if self.clips else None

    @property
    def interval(self) -> Interval:
        return wilson(self.missed, self.clips, confidence=self.confidence)

    def __str__(self) -> str:
        if not self.clips:
            return "no clip of the phrase was heard"
        low, high = (100 * end for end in self.interval)
        share = f"{self.confidence:.0%}".replace("%", " %")
        if not self.missed:
            return f"0 of {self.clips}: at most {high:.1f} % ({share})"
        missed = f"{self.missed} of {self.clips}: {100 * self.missed / self.clips:.1f} %"
        return f"{missed} ({low:.1f} to {high:.1f} %, {share})"

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval
        return {
            "missed": self.missed,
            "clips": self.clips,
            "share": self.share,
            "low": low,
            "high": high,
            "confidence": self.confidence,
            "text": str(self),
        }


@dataclass(frozen=True, slots=True)
class Need:
    """More audio: hours without the phrase, or clips of it.

    Attributes:
        at_least: decides if nothing goes wrong in it; None where it is too late for that.
        likely: decides four times in five, if things go on as they did; None where no amount
            in reason would: the truth lies too near to the target.
    """

    at_least: float | None
    likely: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons`: a sentence each. more_hours, more_clips: where these are not decided."""

    outcome: Outcome
    reasons: tuple[str, ...]
    more_hours: Need | None = None
    more_clips: Need | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value, "reasons": list(self.reasons)}


def judge(accepts: AcceptRate, misses: MissRate, demands: Demands) -> Verdict:
    """By the intervals of both: what is shown to be too much, then what is not shown at all."""
    hourly = _against(accepts.interval, demands.max_per_hour)
    missing = _against(misses.interval, demands.max_miss_share)
    more_hours = hours_needed(accepts, demands.max_per_hour) if hourly == _OPEN else None
    more_clips = clips_needed(misses, demands.max_miss_share) if missing == _OPEN else None
    reasons = (
        *_reasons(
            "false accepts", hourly, accepts, f"{demands.max_per_hour:g} an hour", _hours_said(more_hours)
        ),
        *_reasons("misses", missing, misses, f"{100 * demands.max_miss_share:g} %", _clips_said(more_clips)),
    )
    return Verdict(_outcome(hourly, missing), reasons, more_hours, more_clips)


_KEPT, _BROKEN, _OPEN = "kept", "broken", "open"


def _against(interval: Interval, target: float) -> str:
    if interval.low > target:
        return _BROKEN
    return _KEPT if interval.high <= target else _OPEN


def _outcome(hourly: str, missing: str) -> Outcome:
    if hourly == _BROKEN:
        return Outcome.ACCEPTS
    if missing == _BROKEN:
        return Outcome.MISSES
    return Outcome.NOT_ENOUGH if _OPEN in (hourly, missing) else Outcome.GOOD


def _reasons(name: str, state: str, rate: AcceptRate | MissRate, target: str, needed: str) -> Iterator[str]:
    words = {
        _KEPT: f"within {target}",
        _BROKEN: f"more than {target}",
        _OPEN: f"whether that is within {target} cannot be told; {needed}",
    }
    yield f"{name}: {rate}; {words[state]}"


def _hours_said(need: Need | None) -> str:
    return "" if need is None else _said(need, _hours_told, "a false accept")


def _hours_told(hours: float) -> str:
    return f"{_short(hours)} h"


def _clips_said(need: Need | None) -> str:
    return "" if need is None else _said(need, lambda clips: f"{clips:.0f} clips", "a miss")


def _said(need: Need, amount: Callable[[float], str], wrong: str) -> str:
    if need.likely is None and need.at_least is None:
        return "it lies so near to the limit that no amount of audio in reason would do"
    told = []
    if need.at_least is not None:
        told.append(f"{amount(need.at_least)} more without {wrong} would do")
    if need.likely is not None:
        told.append(f"if it goes on like this, about {amount(need.likely)} more")
    return "; ".join(told)


# how much more


def hours_needed(rate: AcceptRate, target: float) -> Need:
    """Until the interval lies on one side of the target."""
    high = poisson_interval(rate.events, confidence=rate.confidence).high
    at_least = max(0.0, high / target - rate.hours)
    if not rate.hours:
        return Need(at_least, None)
    good = rate.events / rate.hours <= target
    # half an event more: none in an hour does not make the truth 0
    expected = (rate.events + 0.5) / rate.hours if good else rate.events / rate.hours
    hours = max(rate.hours, 0.1)
    while hours < _MOST_HOURS:
        hours *= _GROWTH
        if _hours_decide(rate, hours, target, good=good, expected=expected) >= POWER:
            return Need(at_least if good else None, hours - rate.hours)
    return Need(at_least if good else None, None)


def _hours_decide(rate: AcceptRate, hours: float, target: float, *, good: bool, expected: float) -> float:
    """The chance that after so many hours in all the interval lies on its side of the target."""
    mean = expected * (hours - rate.hours)
    if good:
        most = _most_events(target * hours, rate.confidence)
        return poisson_cdf(most - rate.events, mean)
    least = _least_events(target * hours, rate.confidence)
    return 1.0 - poisson_cdf(least - rate.events - 1, mean)


def _most_events(mean: float, confidence: float) -> int:
    """The most events whose interval ends at or below a mean; -1 where not even none does.

    Garwood's interval of a count ends where that count or fewer has half of the doubt.
    """
    tail = (1 - confidence) / 2
    most = _last(lambda count: poisson_cdf(count, mean) <= tail, int(mean))
    return most if most >= 0 or math.exp(-mean) > 1 - confidence else 0


def _least_events(mean: float, confidence: float) -> int:
    """The fewest events whose interval begins above a mean."""
    tail = (1 - confidence) / 2
    most = int(mean + 10 + 8 * math.sqrt(mean + 1))
    return _last(lambda count: 1 - poisson_cdf(count - 1, mean) > tail, most) + 1


def _last(holds: Callable[[int], bool], most: int) -> int:
    """The last number from 0 to `most` for which it holds, of those that come first; -1 for none."""
    low, high = -1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def clips_needed(rate: MissRate, target: float) -> Need:
    """As `hours_needed`, for clips of the phrase."""
    at_least = _clips_without_miss(rate, target)
    if not rate.clips:
        return Need(at_least, None)
    good = rate.missed / rate.clips <= target
    share = (rate.missed + 0.5) / (rate.clips + 1) if good else rate.missed / rate.clips
    clips = float(rate.clips)
    while clips < _MOST_CLIPS:
        clips = max(clips + 1, clips * _GROWTH)
        if _clips_decide(rate, round(clips), target, good=good, share=share) >= POWER:
            return Need(at_least if good else None, round(clips) - rate.clips)
    return Need(at_least if good else None, None)


def _clips_without_miss(rate: MissRate, target: float) -> float | None:
    more = next(
        (
            n
            for n in _growing()
            if wilson(rate.missed, rate.clips + n, confidence=rate.confidence).high <= target
        ),
        None,
    )
    return None if more is None else float(more)


def _growing() -> Iterator[int]:
    n = 1
    while n < _MOST_CLIPS:
        yield n
        n = max(n + 1, int(n * _GROWTH))


def _clips_decide(rate: MissRate, clips: int, target: float, *, good: bool, share: float) -> float:
    def ends(missed: int) -> Interval:
        return wilson(missed, clips, confidence=rate.confidence)

    more = clips - rate.clips
    if good:
        most = _last(lambda missed: ends(missed).high <= target, clips)
        return binomial_cdf(most - rate.missed, more, share)
    least = _last(lambda missed: ends(missed).low <= target, clips) + 1
    return 1.0 - binomial_cdf(least - rate.missed - 1, more, share)
