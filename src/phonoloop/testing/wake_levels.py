"""Wake words for tests: clips and detectors that need no training.

The "phrase" is a loud tone's level: a clip's loudness is what `LevelScorer` scores, so a test says
with one number how a clip will be heard.
"""

from __future__ import annotations

import numpy as np

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.wakeword.clips import Label, WakeClip

STEP_SAMPLES = 1_280


def level_clip(level: float, *, duration_s: float = 1.0, seed: int = 0, **known: object) -> WakeClip:
    """A tone of this amplitude, which `LevelScorer` gives as its score; `seed` shifts its pitch, so that
    clips of one level have ids of their own."""
    time_s = np.arange(round(duration_s * CANONICAL_RATE_HZ)) / CANONICAL_RATE_HZ
    samples = level * np.sin(2 * np.pi * (1_000 + seed) * time_s)
    return WakeClip.of(samples.astype(np.float32), **{"label": Label.POSITIVE, **known})


class LevelScorer:
    """Scores a step by its loudest sample. `heard`: samples it was given."""

    step_samples = STEP_SAMPLES

    def __init__(self) -> None:
        self.heard = 0

    def scores(self, samples: np.ndarray) -> np.ndarray:
        self.heard += len(samples)
        whole = len(samples) // STEP_SAMPLES
        steps = np.abs(samples[: whole * STEP_SAMPLES]).reshape(whole, STEP_SAMPLES)
        return np.minimum(steps.max(axis=1, initial=0.0), 1.0).astype(np.float32)
