"""How reverberant speech is, told from the recording alone.

Speech stops faster than a room does: in a dead room the level of a band falls by hundreds of decibels in a
second, in a reverberant one it cannot fall faster than the room lets it. So the steep ones of the falls tell,
as in J. Y. C. Wen, E. A. P. Habets, P. A. Naylor, "Blind estimation of reverberation time based on the
distribution of signal decay rates" (ICASSP 2008).
"""

from __future__ import annotations

import numpy as np

from phonoloop.audio.bands import HOP_S, band_powers

_BANDS, _LOW_HZ, _HIGH_HZ = 16, 300.0, 6_000.0
#: a slope is fitted to so many frames
_FIT = 6
#: slower ones are no falls, but vowels
_SLOWEST_DB_S = 20.0
#: of a band's own noise, over which a fall is still one of speech
_ABOVE_FLOOR_DB = 6.0
_FLOOR_QUANTILE, _STEEP_QUANTILE = 0.05, 0.75
_FEWEST = 100


def decay_db_s(samples: np.ndarray, rate_hz: int) -> float | None:
    """How fast speech falls, in dB/s: three quarters of the falls are slower.

    Speech that is synthesised without a room has about 330; in rooms by the image method with reverberation
    times of 0.3 s about 200, of 0.5 s 145, of 0.7 s 120, of 1 s 105. None for too little speech to tell:
    less than about a second.

    Args:
        samples: float32 (n,) in [-1, 1], with all noise that was recorded.
    """
    powers = band_powers(samples, rate_hz, bands=_BANDS, low_hz=_LOW_HZ, high_hz=_HIGH_HZ)
    if len(powers) < _FIT:
        return None
    levels_db = 10 * np.log10(powers)
    floor_db = np.quantile(levels_db, _FLOOR_QUANTILE, axis=0) + _ABOVE_FLOOR_DB
    runs = np.lib.stride_tricks.sliding_window_view(levels_db, _FIT, axis=0)
    slopes = runs @ _line()
    falls = -slopes[(runs.min(axis=2) > floor_db) & (slopes < -_SLOWEST_DB_S)]
    return float(np.quantile(falls, _STEEP_QUANTILE)) if falls.size >= _FEWEST else None


def _line() -> np.ndarray:
    """float32 (fit,): the weights of a least-squares slope, per second."""
    steps = np.arange(_FIT) - (_FIT - 1) / 2
    return (steps / np.square(steps).sum() / HOP_S).astype(np.float32)
