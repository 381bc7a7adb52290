"""Bringing a clip to a loudness, after ITU-R BS.1770-4, without clipping it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonoloop.audio.quality import SILENCE_LUFS, integrated_loudness
from phonoloop.audio.wav import to_int16
from phonoloop.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoudnessSettings:
    """Where clips are brought to.

    Attributes:
        target_lufs: integrated loudness.
        peak_dbfs: no sample gets louder; a clip with higher peaks stays below the target.
        most_gain_db: of a quiet clip, for the noise rises with it.

    Raises:
        ConfigError: `loudness.settings`.
    """

    target_lufs: float = -23.0
    peak_dbfs: float = -1.0
    most_gain_db: float = 30.0

    def __post_init__(self) -> None:
        if not (SILENCE_LUFS < self.target_lufs < 0 and self.peak_dbfs <= 0 and self.most_gain_db >= 0):
            raise ConfigError(
                f"nothing can be brought to {self.target_lufs:g} LUFS with peaks at {self.peak_dbfs:g} dBFS",
                code="loudness.settings",
                hint="Both are below 0",
            )


def gain_db(samples: np.ndarray, rate_hz: int, settings: LoudnessSettings | None = None) -> float:
    """What (n,) float32 in [-1, 1] has to be raised by, negative to lower it; 0 for silence."""
    rules = settings or LoudnessSettings()
    loudness_lufs = integrated_loudness(to_int16(samples), rate_hz)
    peak = float(np.abs(samples).max(initial=0.0))
    if loudness_lufs <= SILENCE_LUFS or peak <= 0.0:
        return 0.0
    room_db = rules.peak_dbfs - 20 * float(np.log10(peak))
    return min(rules.target_lufs - loudness_lufs, room_db, rules.most_gain_db)


def raised(samples: np.ndarray, by_db: float) -> np.ndarray:
    """float32 (n,)."""
    return (samples * np.float32(10 ** (by_db / 20))).astype(np.float32)
