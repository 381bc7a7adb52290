"""What a voice sounds like, apart from its pitch and level: the mean cepstrum of the loud frames.

It holds the recording's microphone and room as well, so it compares clips of one recording with each other
and nothing else.
"""

from __future__ import annotations

import functools

import numpy as np

from phonoloop.audio.bands import band_powers

#: bands that a telephone has too
_BANDS, _LOW_HZ, _HIGH_HZ = 20, 150.0, 3_800.0
_QUIETER_DB = 25.0
_FEWEST_FRAMES = 30
#: standard deviations of a speaker's own clips of four seconds: of four people saying digits and four
#: synthetic voices reading Vietnamese
_OWN_SPREAD = np.array([0.92, 0.85, 0.88, 0.55, 0.51, 0.38, 0.38, 0.29, 0.22, 0.19, 0.16, 0.13])


def measure_timbre(samples: np.ndarray, rate_hz: int) -> np.ndarray | None:
    """float64 (12,), in units of what one speaker's clips of four seconds vary by; None for less than a third
    of a second of sound.

    Args:
        samples: float32 (n,) in [-1, 1].
    """
    powers = band_powers(samples, rate_hz, bands=_BANDS, low_hz=_LOW_HZ, high_hz=_HIGH_HZ)
    totals = powers.sum(axis=1)
    if not totals.size:
        return None
    loud = powers[totals > np.quantile(totals, 0.9) * 10 ** (-_QUIETER_DB / 10)]
    if len(loud) < _FEWEST_FRAMES:
        return None
    return (np.log(loud).mean(axis=0) @ _cosines()) / _OWN_SPREAD


@functools.lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """(bands, 12): the discrete cosine transform without its first row, which is the level."""
    rows = np.arange(1, _OWN_SPREAD.size + 1)
    turns = np.pi * (np.arange(_BANDS)[:, None] + 0.5) * rows / _BANDS
    return np.cos(turns) * np.sqrt(2 / _BANDS)
