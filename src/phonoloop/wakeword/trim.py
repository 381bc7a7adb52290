"""Where synthesised speech begins and ends: a synthesiser's silence is clean, so energy tells."""

from __future__ import annotations

import numpy as np

from phonoloop.core.units import CANONICAL_RATE_HZ

_FRAME = CANONICAL_RATE_HZ // 200  # 5 ms
#: below the loudest frame; the ends of quiet consonants are 40 dB down
_FLOOR_DB = -48.0
_KEPT_FRAMES = 1


def trimmed(samples: np.ndarray) -> np.ndarray:
    """From 5 ms before the first frame that is heard to 5 ms after the last; nothing of silence.

    (n,) float32 at 16,000 Hz; a copy.
    """
    whole = len(samples) // _FRAME * _FRAME
    frames = samples[:whole].reshape(-1, _FRAME)
    powers = np.einsum("ij,ij->i", frames, frames)
    loudest = float(powers.max(initial=0.0))
    heard = np.flatnonzero(powers > loudest * 10 ** (_FLOOR_DB / 10))
    if loudest <= 0.0 or not len(heard):
        return samples[:0].copy()
    start = max(0, int(heard[0]) - _KEPT_FRAMES) * _FRAME
    end = (int(heard[-1]) + 1 + _KEPT_FRAMES) * _FRAME
    return samples[start:end].copy()


def at_level(samples: np.ndarray, level_dbfs: float) -> np.ndarray:
    """Scaled to an RMS of `level_dbfs`, or as near as stays within [-0.99, 0.99]."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    peak = float(np.abs(samples).max())
    gain = min(10 ** (level_dbfs / 20) / max(power, 1e-12) ** 0.5, 0.99 / max(peak, 1e-6))
    return (samples * np.float32(gain)).astype(np.float32)
