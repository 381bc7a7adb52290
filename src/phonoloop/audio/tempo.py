"""Faster or slower at the same pitch, higher or lower at the same tempo, for training only."""

from __future__ import annotations

import numpy as np

from phonoloop.audio.augment import change_speed

_FRAME = 640  # 40 ms at 16 kHz
_HOP = _FRAME // 2
_SEARCH = 160  # 10 ms either way holds a period of any voice
_COARSE = 4


def change_tempo(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster above 1, slower below, at the same pitch: float32 (n,) to (n / factor,).

    WSOLA (Verhelst and Roelands, ICASSP 1993): overlapping frames are taken `factor` times as fast,
    each from where, within 10 ms, it goes on best from the frame before.
    """
    wanted = round(samples.size / factor)
    if factor == 1.0 or samples.size < 2 * _FRAME:
        return samples
    # half a frame more before: the first one fades in, and is cut off again
    padded = np.pad(samples, (_HOP + _SEARCH, 2 * _FRAME + _SEARCH))
    coarse = padded[::_COARSE]
    window = np.hanning(_FRAME + 1)[:_FRAME].astype(np.float32)
    out = np.zeros(wanted + 2 * _FRAME, np.float32)
    start = _SEARCH
    for at in range(0, wanted + _HOP, _HOP):
        out[at : at + _FRAME] += window * padded[start : start + _FRAME]
        ideal = min(int(at * factor), samples.size) + _HOP
        start = _best(coarse, ideal, start + _HOP)
    return out[_HOP : _HOP + wanted]


def _best(coarse: np.ndarray, ideal: int, after: int) -> int:
    """The start, near `ideal` + `_SEARCH`, of the frame most like the one that comes at `after`."""
    length = _FRAME // _COARSE
    wanted = coarse[after // _COARSE : after // _COARSE + length]
    first = ideal // _COARSE
    offered = coarse[first : first + length + 2 * _SEARCH // _COARSE]
    if wanted.size < length or offered.size < length:
        return ideal + _SEARCH
    return (first + int(np.argmax(np.correlate(offered, wanted, "valid")))) * _COARSE


def change_pitch(samples: np.ndarray, factor: float) -> np.ndarray:
    """Higher above 1, lower below, formants with it, in the same time: float32 (n,) to about (n,)."""
    return change_tempo(change_speed(samples, factor), 1.0 / factor)
