"""Frames of a recording, 45 a second, and their spectra: what the detectors of a background look at."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import soxr

from phonoloop.voice.data import RATE_HZ

FRAMES_A_SECOND = 45
#: all that has a pitch is below half of this
HALF_RATE_HZ = RATE_HZ // 2
_BLOCK_FRAMES = 512


def halved(samples: np.ndarray) -> np.ndarray:
    """float32 (n / 2,) at 11,025 Hz, of (n,) at 22,050: spectra of it cost half."""
    return soxr.resample(samples, RATE_HZ, HALF_RATE_HZ, quality="LQ")


def framed(samples: np.ndarray, length: int, rate_hz: int) -> np.ndarray:
    """A view (frames, length) of float32 (n,), as many frames as there are whole hops in it; what hangs over
    the end is zeros."""
    hop = rate_hz // FRAMES_A_SECOND
    count = samples.size // hop
    missing = max(0, (count - 1) * hop + length - samples.size) if count else 0
    padded = np.concatenate((samples, np.zeros(missing, np.float32))) if missing else samples
    if count == 0:
        return np.zeros((0, length), np.float32)
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop][:count]


def in_blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    """So few frames at a time that what is made of them stays small."""
    for start in range(0, len(frames), _BLOCK_FRAMES):
        yield frames[start : start + _BLOCK_FRAMES]


def power_spectra(frames: np.ndarray, padded: int | None = None) -> np.ndarray:
    """float32 (frames, bins) of (frames, length), under a Hann window, padded with zeros to `padded`."""
    spectra = np.fft.rfft(frames * _window(frames.shape[1]), padded)
    return np.square(spectra.real) + np.square(spectra.imag)


def decibels(powers: np.ndarray) -> np.ndarray:
    """Of powers; nothing is under -90, so that the rounding of 16-bit samples makes no peaks."""
    return 10 * np.log10(np.maximum(powers, np.float32(1e-9)))


@functools.lru_cache(maxsize=4)
def _window(length: int) -> np.ndarray:
    return np.hanning(length).astype(np.float32)
