"""What a training says while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training is.

    Attributes:
        stage: `prepare`, `train`, `validate`, `average`, `done`.
        epoch, epochs: the epoch under way counts from 1.
        step: optimiser steps done.
        fraction: 0 to 1 of the whole training.
        eta_s: seconds to go at the present speed, None while unknown.
        metrics: the last figures, by name; at the end of an epoch all of that epoch's.
        epoch_done: this reports a finished epoch, so `metrics` is what goes into the records.
    """

    stage: str
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    fraction: float = 0.0
    eta_s: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch_done: bool = False


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """For callers that do not want to hear of it."""
