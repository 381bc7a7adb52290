"""What can look wrong with a clip of a wake word, by measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonoloop.core.units import CANONICAL_RATE_HZ

SILENT = "silent"
TOO_SHORT = "too short"
TOO_LONG = "too long"
CLIPPED = "clipped"
MOSTLY_ZEROS = "mostly digital zeros"

_FRAME = 320  # 20 ms
_FULL_SCALE = 32768.0
_CLIPPED_AT = 32700


@dataclass(frozen=True, slots=True)
class ClipRules:
    """From where on a clip is flagged; None switches a flag off.

    Attributes:
        silent_dbfs: its loudest 20 ms are below this (RMS, full scale is 0).
        min_sound_s, max_sound_s: from its first to its last sound.
        sound_below_peak_db: what counts as sound is at most so far below the loudest 20 ms.
        clipped_share: of its samples, at full scale.
        zeros_share: of its samples, exactly zero.
    """

    silent_dbfs: float | None = -55.0
    min_sound_s: float | None = 0.2
    max_sound_s: float | None = None
    sound_below_peak_db: float = 30.0
    clipped_share: float | None = 0.005
    zeros_share: float | None = 0.6

    @classmethod
    def of(cls, *, spoken: bool) -> ClipRules:
        """For clips in which the phrase is spoken, or for anything else."""
        return cls(max_sound_s=3.5) if spoken else cls(silent_dbfs=None, min_sound_s=None)


def flags_of(pcm: np.ndarray, rules: ClipRules) -> tuple[str, ...]:
    """What looks wrong with `pcm`, int16 (n,) at 16,000 Hz; any n, also 0."""
    levels = _levels_dbfs(pcm)
    peak = float(levels.max(initial=-100.0))
    sound_s = _sound_s(levels, max(peak - rules.sound_below_peak_db, -100.0))
    share = max(1, pcm.size)
    found = {
        SILENT: _under(peak, rules.silent_dbfs),
        TOO_SHORT: _under(sound_s, rules.min_sound_s),
        TOO_LONG: _over(sound_s, rules.max_sound_s),
        CLIPPED: _over(
            float(np.count_nonzero(np.abs(pcm.astype(np.int32)) >= _CLIPPED_AT)) / share, rules.clipped_share
        ),
        MOSTLY_ZEROS: _over(1.0 - float(np.count_nonzero(pcm)) / share, rules.zeros_share),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def _under(value: float, limit: float | None) -> bool:
    return limit is not None and value < limit


def _over(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _levels_dbfs(pcm: np.ndarray) -> np.ndarray:
    """RMS of every 20 ms, (frames,); a last part of a frame counts with what it has."""
    if not pcm.size:
        return np.zeros(0)
    starts = np.arange(0, pcm.size, _FRAME)
    squares = np.square(pcm.astype(np.float64) / _FULL_SCALE)
    sizes = np.diff(np.append(starts, pcm.size))
    return 10 * np.log10(np.maximum(np.add.reduceat(squares, starts) / sizes, 1e-10))


def _sound_s(levels: np.ndarray, above_dbfs: float) -> float:
    at = np.flatnonzero(levels > above_dbfs)
    return 0.0 if not at.size else float(at[-1] - at[0] + 1) * _FRAME / CANONICAL_RATE_HZ
