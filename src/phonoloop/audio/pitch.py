"""How high somebody speaks: the fundamental frequency of voiced frames, by autocorrelation.

After P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound" (Proceedings of the Institute of Phonetic Sciences 17, 1993): the autocorrelation of a
windowed frame is divided by the window's own, and a short period is preferred to its multiples. There is no
search for the best path over frames: for the median of a clip it changes nothing that matters.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

_LOWEST_HZ, _HIGHEST_HZ = 65.0, 500.0
_FRAME_S = 0.046  # three periods of the lowest
_HOPS_A_FRAME = 3
#: what is above does not help to tell the period, and breath lives there
_BAND_HZ = 2_700.0
#: of the autocorrelation at its period, where there is a voice
_VOICED = 0.5
#: taken off for each octave that a candidate is lower than the highest
_OCTAVE_COST = 0.03
#: voiced frames are at most so much below the loudest tenth
_QUIETER_DB = 25.0
_FRAMES_A_BLOCK = 512
_FEWEST_VOICED = 5
#: lags for each bin that is kept; two would do, but between them a high voice's peak falls through
_FINER = 4


@dataclass(frozen=True, slots=True)
class Pitch:
    """Of a clip.

    Attributes:
        median_hz: of the voiced frames; 0 where fewer than five are voiced.
        low_hz, high_hz: a tenth of the voiced frames are below, a tenth above.
        voiced_s: how much of it is voiced.
    """

    median_hz: float
    low_hz: float
    high_hz: float
    voiced_s: float


def measure_pitch(samples: np.ndarray, rate_hz: int) -> Pitch:
    """Of float32 (n,) in [-1, 1]; about 5 ms of CPU for ten seconds."""
    return summary(track(samples, rate_hz), rate_hz)


def summary(tracked: np.ndarray, rate_hz: int) -> Pitch:
    """Of what `track` gave."""
    voiced_hz = tracked[tracked > 0]
    voiced_s = voiced_hz.size * hop_samples(rate_hz) / rate_hz
    if voiced_hz.size < _FEWEST_VOICED:
        return Pitch(0.0, 0.0, 0.0, voiced_s)
    low, median, high = np.quantile(voiced_hz, (0.1, 0.5, 0.9)).tolist()
    return Pitch(median, low, high, voiced_s)


def medians_hz(tracked: np.ndarray, rate_hz: int, *, voiced_s: float) -> list[float]:
    """The median pitch of each `voiced_s` of voice, one after the other; what is left at the end is part of
    the last one."""
    voiced_hz = tracked[tracked > 0]
    frames = max(_FEWEST_VOICED, round(voiced_s * rate_hz / hop_samples(rate_hz)))
    parts = voiced_hz.size // frames
    ends = [*(frames * part for part in range(1, parts)), voiced_hz.size]
    return [float(np.median(part)) for part in np.split(voiced_hz, ends[:-1])] if parts else []


def track(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """float32 (frames,): the pitch in Hz of each frame, `hop_samples` after the one before; 0 where no voice
    is heard. Nothing for less than a frame of 46 ms."""
    frame = _frame_samples(rate_hz)
    if samples.size < frame:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[:: hop_samples(rate_hz)]
    powers = np.einsum("ij,ij->i", frames, frames) / frame
    loud = powers > max(np.quantile(powers, 0.9) * 10 ** (-_QUIETER_DB / 10), 1e-9)
    tracked = np.zeros(len(frames), np.float32)
    chosen = np.flatnonzero(loud)
    for start in range(0, chosen.size, _FRAMES_A_BLOCK):
        block = chosen[start : start + _FRAMES_A_BLOCK]
        tracked[block] = _frequencies(frames[block], rate_hz)
    return tracked


def hop_samples(rate_hz: int) -> int:
    return _frame_samples(rate_hz) // _HOPS_A_FRAME


def _frame_samples(rate_hz: int) -> int:
    return round(_FRAME_S * rate_hz)


def _frequencies(frames: np.ndarray, rate_hz: int) -> np.ndarray:
    """float32 (k,) in Hz, 0 for frames without a voice, of (k, samples)."""
    correlations, lag_s = _autocorrelations(frames, rate_hz)
    first, last = int(1 / _HIGHEST_HZ / lag_s), int(1 / _LOWEST_HZ / lag_s) + 1
    before, here, after = (correlations[:, first + step : last + 1 + step] for step in (-1, 0, 1))
    offsets, heights = _tops(before, here, after)
    costs = _OCTAVE_COST * np.log2(np.arange(first, last + 1) / first)
    best = np.where((here >= before) & (here > after), heights - costs, -1.0).argmax(axis=1)
    rows = np.arange(len(frames))
    voiced = (here > after)[rows, best] & (heights[rows, best] >= _VOICED)
    return np.where(voiced, 1 / ((first + best + offsets[rows, best]) * lag_s), 0).astype(np.float32)


def _autocorrelations(frames: np.ndarray, rate_hz: int) -> tuple[np.ndarray, float]:
    """(k, lags), 1 at lag 0, of what is below 2.7 kHz; and how many seconds a lag is."""
    window, window_correlation, padded, kept = _tables(frames.shape[1], rate_hz)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    spectrum = np.fft.rfft(centred, padded)[:, :kept]
    powers = np.square(spectrum.real) + np.square(spectrum.imag)
    correlations = np.fft.irfft(powers, _FINER * (kept - 1))[:, : window_correlation.size]
    correlations /= np.maximum(correlations[:, :1], 1e-12) * window_correlation
    return correlations, padded / (_FINER * (kept - 1)) / rate_hz


@functools.lru_cache(maxsize=4)
def _tables(frame: int, rate_hz: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The window, its autocorrelation over the lags that are looked at, the length of the transform, and how
    many of its bins are kept: fewer bins transformed back are a signal at a lower rate."""
    window = np.hanning(frame).astype(np.float32)
    padded = 1 << (2 * frame - 1).bit_length()
    kept = (1 << int(np.log2(_BAND_HZ * padded / rate_hz))) + 1
    powers = np.square(np.abs(np.fft.rfft(window, padded)))
    whole = np.fft.irfft(powers)[:: padded // (_FINER * (kept - 1))]
    lags = int(_FINER * (kept - 1) * rate_hz / padded / _LOWEST_HZ) + 4
    return window, (whole[:lags] / whole[0]).astype(np.float32), padded, kept


def _tops(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the top of the parabola through three lags is, -0.5 to 0.5 from the middle one, and how high."""
    bend = np.minimum(before - 2 * here + after, np.float32(-1e-9))
    offsets = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return offsets, here - 0.25 * (before - after) * offsets
