"""A beat: sounds that begin at equal distances, as drums do and syllables do not."""

from __future__ import annotations

import numpy as np

from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.frames import FRAMES_A_SECOND, decibels, framed, in_blocks, power_spectra

_WINDOW_SAMPLES = 1024
#: of the bass drum, and of the cymbals: above what is voiced
_BANDS_HZ = ((40.0, 150.0), (4_000.0, 7_500.0))
_MAX_RISE_DB = 20.0
#: what is quieter than this in a band does not begin anything
_QUIETEST_DB = -40.0
#: distances that are tried, and how many of them in a row have to agree
_PERIODS_S, _REPEATS = (0.4, 1.5), 4
_PERIOD_STEP_FRAMES = 0.25


def onsets(samples: np.ndarray) -> np.ndarray:
    """float32 (frames, 2): by how many dB each band of float32 (n,) at 22,050 Hz grew in a frame."""
    frames = framed(samples, _WINDOW_SAMPLES, RATE_HZ)
    if len(frames) == 0:
        return np.zeros((0, len(_BANDS_HZ)), np.float32)
    levels_db = np.concatenate([_band_levels(power_spectra(block)) for block in in_blocks(frames)])
    rises = np.diff(levels_db, axis=0, prepend=levels_db[:1])
    return np.clip(rises, 0, _MAX_RISE_DB)


def _band_levels(powers: np.ndarray) -> np.ndarray:
    edges = [[round(hz * _WINDOW_SAMPLES / RATE_HZ) for hz in band] for band in _BANDS_HZ]
    sums = np.stack([powers[:, low:high].sum(axis=1) for low, high in edges], axis=1)
    return np.maximum(decibels(sums), _QUIETEST_DB)


def regularity(rises: np.ndarray) -> float:
    """How alike the onsets (frames,) are to themselves at the best of the periods and its multiples: 1 for a
    machine, under 0.25 for speech. 0 for less than five seconds."""
    period = np.arange(_PERIODS_S[0] * FRAMES_A_SECOND, _PERIODS_S[1] * FRAMES_A_SECOND, _PERIOD_STEP_FRAMES)
    lags = np.round(np.arange(1, _REPEATS + 1)[:, None] * period).astype(int)
    likeness = _likeness(rises)
    lags = lags[:, lags[-1] < likeness.size * 3 // 4]
    return float(likeness[lags].mean(axis=0).max()) if lags.size else 0.0


def _likeness(rises: np.ndarray) -> np.ndarray:
    """The autocorrelation by lag, 1 at lag 0, of each lag the largest with its neighbours': a beat that falls
    between two frames would be lost."""
    centred = rises - rises.mean() if rises.size else rises
    power = float(np.square(centred).sum())
    if power <= 0:
        return np.zeros(rises.size)
    padded = 1 << (2 * rises.size - 1).bit_length()
    spectrum = np.fft.rfft(centred, padded)
    found = np.fft.irfft(np.square(np.abs(spectrum)))[: rises.size] / power
    found /= 1 - np.arange(rises.size) / rises.size
    sides = np.pad(found, 1, mode="edge")
    return np.maximum(found, np.maximum(sides[:-2], sides[2:]))
