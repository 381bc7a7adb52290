"""Weakening music under a voice without a trained model.

The partials that tell of music (`partials`) are taken out of the spectrum where they sound, and nothing else
is touched: clean speech stays as it is. What remains of the music is its attacks, drums, and what lies under
the voice's own harmonics, so chords that are held become quieter, and nothing else does. Separating harmonic
from percussive sounds instead (D. FitzGerald, DAFx-10; in two stages as H. Tachibana and others, TASLP 22,
2014) was tried, and made speech with drums and high voices worse than they came.
"""

from __future__ import annotations

import numpy as np

from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.frames import FRAMES_A_SECOND, halved, in_blocks
from phonoloop.voice.partials import held_bins

#: as long as the frames that partials are found in, so that bins are the same
_WINDOW_SAMPLES = 4096
_HOP_SAMPLES = RATE_HZ // FRAMES_A_SECOND
#: what is left of a bin
_GAIN = 0.1


def suppress_music(samples: np.ndarray) -> np.ndarray:
    """float32 (n,) of float32 (n,), both at 22,050 Hz."""
    held = held_bins(halved(samples))
    if not held.any():
        return samples
    padded = np.pad(samples, (0, _WINDOW_SAMPLES))
    removed, weights = np.zeros_like(padded), np.zeros_like(padded)
    window = np.hanning(_WINDOW_SAMPLES).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::_HOP_SAMPLES][: len(held)]
    done = 0
    for block in in_blocks(frames):
        tones = _tones(block * window, held[done : done + len(block)]) * window
        for number, tone in enumerate(tones, start=done):
            at = slice(number * _HOP_SAMPLES, number * _HOP_SAMPLES + _WINDOW_SAMPLES)
            removed[at] += tone
            weights[at] += np.square(window)
        done += len(block)
    return (samples - removed[: samples.size] / np.maximum(weights[: samples.size], 1)).astype(np.float32)


def _tones(frames: np.ndarray, held: np.ndarray) -> np.ndarray:
    """What is to be taken out of windowed frames, as they are."""
    share = np.zeros((len(frames), _WINDOW_SAMPLES // 2 + 1), np.float32)
    share[:, : held.shape[1]][held] = 1 - _GAIN
    return np.fft.irfft(np.fft.rfft(frames) * share, _WINDOW_SAMPLES)
