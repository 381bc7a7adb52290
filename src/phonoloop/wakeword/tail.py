"""How often a score would be reached on audio that was not heard: the tail of a stream's peaks.

At half a false accept an hour, a stream of an hour or two shows one or none. What it does show are its
highest peaks below that, tens of them, and how fast they thin out. Above a level high enough, peaks
thin out about exponentially in the logit; how fast is known only from so many peaks, and that doubt
belongs in the threshold. Why this rule and not another: docs/adr/0004-wake-threshold.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.wakeword.streams import Scored
from phonoloop.wakeword.trigger import smoothed

#: causes an hour that are fitted to, and how many that is at least and at most: what comes much more often
#: than this is not the tail, and a scale fitted to fewer than twenty is little more than chance
TAIL_PER_HOUR, FEWEST_CAUSES, MOST_CAUSES = 90.0, 20, 40
#: with fewer the tail says nothing
LEAST_PEAKS = 5
#: peaks of one clip this close together come from one cause
_ONE_CAUSE_S = 10.0
#: beyond this a float32 probability is 0 or 1
LOGIT_LIMIT = 16.0


def logit(probability: np.ndarray | float) -> np.ndarray:
    """float64; probabilities of 0 and 1 become ∓16."""
    limited = np.clip(np.asarray(probability, np.float64), 1e-12, 1 - 1e-12)
    return np.clip(np.log(limited) - np.log1p(-limited), -LOGIT_LIMIT, LOGIT_LIMIT)


def probability(logit_value: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit_value))


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The highest peaks of a stream, none nearer to another than the cool-down: (peaks,), highest first.

    Attributes:
        logits: of the smoothed score.
        causes: what each belongs to: peaks of one clip and a few seconds have one cause.
    """

    logits: np.ndarray
    causes: np.ndarray
    hours: float

    @property
    def of_causes(self) -> np.ndarray:
        """The highest of each cause, highest first."""
        _, first = np.unique(self.causes, return_index=True)
        return self.logits[np.sort(first)]


def peaks_of(stream: Scored, smoothing_steps: int, *, cooldown_s: float, most: int = 400) -> Peaks:
    """The peaks that would become events, were the threshold there."""
    values = logit(smoothed(np.concatenate([np.zeros(smoothing_steps - 1), stream.scores]), smoothing_steps))
    steps = _highest(values, apart=max(1, math.ceil(cooldown_s / stream.step_s - 1e-9)), most=most)
    return Peaks(values[steps], _causes(stream, steps), stream.hours)


def _highest(values: np.ndarray, *, apart: int, most: int) -> np.ndarray:
    """Where the highest are, highest first, none within `apart` of a higher one."""
    # of each stretch of `apart` only the highest can be a peak, so few have to be looked at
    padded = np.append(values, np.full(-len(values) % apart, -np.inf)).reshape(-1, apart)
    candidates = np.flatnonzero(padded.max(axis=1) > -np.inf) * apart
    candidates = candidates + padded[candidates // apart].argmax(axis=1)
    taken: list[int] = []
    free = np.ones(len(values), bool)
    for at in candidates[np.argsort(-values[candidates], kind="stable")]:
        if free[at]:
            taken.append(int(at))
            free[max(0, at - apart + 1) : at + apart] = False
        if len(taken) == most:
            break
    return np.array(taken, dtype=np.int64)


def _causes(stream: Scored, steps: np.ndarray) -> np.ndarray:
    """(steps,) numbers of causes, by the step each begins with."""
    begins = np.array([one.begin for one in stream.placed])
    cells = np.searchsorted(begins, (steps + 1) * stream.step_samples - 1, side="right") - 1
    order = np.argsort(steps)
    apart = np.diff(steps[order]) * stream.step_s > _ONE_CAUSE_S
    new = np.concatenate([[True], apart | (np.diff(cells[order]) != 0)])[: len(steps)]
    causes = np.empty(len(steps), dtype=np.int64)
    causes[order] = np.cumsum(new)
    return causes


@dataclass(frozen=True, slots=True)
class Tail:
    """Causes above `start` come `per_hour` times an hour, each with `peaks_each` peaks, and thin out by e
    every `scale` of the logit, as `causes` of them show."""

    start: float
    scale: float
    causes: int
    per_hour: float
    peaks_each: float

    def rate(self, at: float) -> float:
        """Expected events per hour on other audio of this kind, for a threshold at or above `start`.

        Averaged over what the scale may be after so many causes, which makes it a Lomax tail: thinking
        of the fitted scale as the true one promises too much.
        """
        beyond = max(0.0, at - self.start) / (self.causes * self.scale)
        return self.per_hour * self.peaks_each * (1.0 + beyond) ** -self.causes

    def at_rate(self, per_hour: float) -> float:
        """The lowest logit from `start` on at which no more than that is expected."""
        ratio = max(1.0, self.per_hour * self.peaks_each / per_hour)
        return self.start + self.causes * self.scale * (ratio ** (1.0 / self.causes) - 1.0)


def fit_tail(peaks: Peaks) -> Tail | None:
    """From the highest causes, 20 to 40 of them by the length of the stream; None with too few to say
    anything."""
    tops = peaks.of_causes
    wanted = min(max(round(TAIL_PER_HOUR * peaks.hours), FEWEST_CAUSES), MOST_CAUSES)
    count = min(wanted, len(tops) - 1)
    if count < LEAST_PEAKS or peaks.hours <= 0:
        return None
    start = float(tops[count])
    # never sharper than what a float32 near 1 can tell apart
    scale = max(float((tops[:count] - start).mean()), 1e-3)
    above = int(np.count_nonzero(peaks.logits > start)) or count
    return Tail(start, scale, count, count / peaks.hours, max(1.0, above / count))


def counted_logit(logits: Sequence[float] | np.ndarray, hours: float, per_hour: float) -> float:
    """Just above the first peak that the stream itself cannot afford."""
    allowed = math.floor(per_hour * hours)
    return float(logits[allowed]) + 1e-6 if len(logits) > allowed else -LOGIT_LIMIT
