"""From a score a step to events: the one definition that the detector and its judge share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phonoloop.core.errors import ConfigError, IntegrityError

#: beyond this many steps an average only adds delay
MAX_SMOOTHING_STEPS = 64


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """When a detector fires.

    Attributes:
        threshold: an event is a smoothed score of at least this. Above 1 it never fires.
        smoothing_steps: over how many of the last steps scores are averaged; 1 takes them as they are.
        cooldown_s: after an event there is none for so long.

    Raises:
        ConfigError: `wakeword.trigger`.
    """

    threshold: float
    smoothing_steps: int = 1
    cooldown_s: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise _refused("threshold", self.threshold, "a number above 0")
        whole = isinstance(self.smoothing_steps, int) and not isinstance(self.smoothing_steps, bool)
        if not whole or not 1 <= self.smoothing_steps <= MAX_SMOOTHING_STEPS:
            raise _refused(
                "smoothing_steps", self.smoothing_steps, f"a whole number, 1 to {MAX_SMOOTHING_STEPS}"
            )
        if not (math.isfinite(self.cooldown_s) and self.cooldown_s >= 0):
            raise _refused("cooldown_s", self.cooldown_s, "a number of seconds from 0")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _refused(name: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(
        f"{value!r} cannot be used: it has to be {wanted}", code="wakeword.trigger", subject=name
    )


@dataclass(frozen=True, slots=True)
class Event:
    """The phrase was heard.

    Attributes:
        step: counted from 0 at the start of the stream; it was known when `step + 1` steps were heard.
        score: the smoothed score that reached the threshold.
    """

    step: int
    score: float


class Trigger:
    """Turns scores into events, in pieces of any length: the same events come out however a stream is cut.

    Scores before the start count as 0, so an average over n steps rises over the first n.
    """

    def __init__(self, settings: TriggerSettings, *, step_s: float) -> None:
        self.settings = settings
        # 1e-9: 1.0 / 0.08 is 12.5 steps, but 0.8 / 0.08 must not become 11
        self._quiet_steps = max(1, math.ceil(settings.cooldown_s / step_s - 1e-9))
        self.reset()

    def reset(self) -> None:
        """As if nothing had been heard."""
        self._last = np.zeros(self.settings.smoothing_steps - 1)
        self._heard = 0
        self._armed_at = 0

    def push(self, scores: np.ndarray | Sequence[float]) -> list[Event]:
        """The events in the next (k,) scores, oldest first; k may be 0.

        Raises:
            IntegrityError: `wakeword.scores`, where a score is no number: the model or its audio is broken.
        """
        given = np.asarray(scores, dtype=np.float64)
        _check_numbers(given, self._heard)
        values = np.concatenate([self._last, given])
        means = smoothed(values, self.settings.smoothing_steps)
        first = self._heard
        self._heard += len(given)
        self._last = values[len(values) - len(self._last) :]
        return self._fired(means, first)

    def _fired(self, means: np.ndarray, first: int) -> list[Event]:
        at = np.flatnonzero(means >= self.settings.threshold)
        events: list[Event] = []
        i = int(np.searchsorted(at, self._armed_at - first))
        while i < len(at):
            events.append(Event(first + int(at[i]), float(means[at[i]])))
            self._armed_at = events[-1].step + self._quiet_steps
            i = int(np.searchsorted(at, self._armed_at - first))
        return events


def smoothed(values: np.ndarray, steps: int) -> np.ndarray:
    """Means of every `steps` neighbours: (n,) → (n - steps + 1,) float64.

    Summed in the same order wherever a stream is cut, so that not even the last bit depends on it.
    """
    count = max(0, len(values) - steps + 1)
    total = np.zeros(count)
    for lag in range(steps):
        total += values[lag : lag + count]
    return total / steps


def events_in(scores: np.ndarray, settings: TriggerSettings, *, step_s: float) -> list[Event]:
    """The events of a whole stream, (steps,)."""
    return Trigger(settings, step_s=step_s).push(scores)


def _check_numbers(scores: np.ndarray, heard: int) -> None:
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise IntegrityError(
            f"after step {heard} the model gives what is no row of numbers",
            code="wakeword.scores",
            hint="The model or the audio is broken; check the model's golden vectors",
        )
