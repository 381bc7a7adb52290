"""Power over time in bands as the ear has them: what reverberation and voices are told by."""

from __future__ import annotations

import functools

import numpy as np

HOP_S = 0.01
_FRAME_S = 0.025
_FRAMES_A_BLOCK = 1_000
#: of full scale: less is rounding, and has no logarithm worth having
_NOTHING = 1e-11


def band_powers(
    samples: np.ndarray, rate_hz: int, *, bands: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """float32 (frames, bands), of every 10 ms; nothing for less than a frame of 25 ms.

    Args:
        samples: float32 (n,) in [-1, 1].
    """
    window, filters = _tables(rate_hz, bands, low_hz, high_hz)
    if samples.size < window.size:
        return np.zeros((0, bands), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window.size)[:: round(HOP_S * rate_hz)]
    blocks = [frames[start : start + _FRAMES_A_BLOCK] for start in range(0, len(frames), _FRAMES_A_BLOCK)]
    return np.concatenate([_powers(block * window) @ filters for block in blocks]) + np.float32(_NOTHING)


def _powers(frames: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(frames, 1 << (frames.shape[1] - 1).bit_length())
    return np.square(spectrum.real) + np.square(spectrum.imag)


@functools.lru_cache(maxsize=8)
def _tables(rate_hz: int, bands: int, low_hz: float, high_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The window, and triangular filters (bins, bands), evenly spaced in mel, half overlapping."""
    frame = round(_FRAME_S * rate_hz)
    window = np.hanning(frame).astype(np.float32)
    window /= window.sum()
    length = 1 << (frame - 1).bit_length()
    edges = _hz(np.linspace(_mel(low_hz), _mel(min(high_hz, rate_hz / 2)), bands + 2))
    bins = np.arange(length // 2 + 1)[:, None] * rate_hz / length
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    return window, np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


def _mel(frequency_hz: float) -> float:
    return 2595 * float(np.log10(1 + frequency_hz / 700))


def _hz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
