"""Taking steady noise out of speech: a Wiener filter that follows the signal-to-noise ratio of each band.

The ratio is estimated "decision-directed", after Y. Ephraim, D. Malah, "Speech enhancement using a minimum
mean-square error short-time spectral amplitude estimator" (IEEE Trans. ASSP 32, 1984): mostly what the last
frame was found to hold, a little what this one shows. A recording is there as a whole, so it is done in both
directions of time and the larger gain counts, which keeps the beginnings of words that the forward pass
comes late for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from phonoloop.core.errors import ConfigError

#: of a full-scale sine's power: below is no noise of a room, but zeros or their rounding
_NOTHING = 1e-10
_FRAME_S = 0.023
#: the quietest fifth of what noise is learnt from, and how much more power than it steady noise may have
_QUIETEST_OF_ALL, _STEADY = 0.2, 4.0
_HOPS_A_FRAME = 4


@dataclass(frozen=True, slots=True)
class DenoiseSettings:
    """How noise is taken out.

    Attributes:
        memory: 0 to 1, how much of the ratio comes from the frame before; more leaves fewer chirps and
            blurs more.
        most_db: noise is lowered by at most so much, so that a pause does not turn into a hole.
        quietest: share of the frames, the quietest ones, that noise is learnt from.

    Raises:
        ConfigError: `denoise.settings`.
    """

    memory: float = 0.98
    most_db: float = 36.0
    quietest: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.memory < 1 and 0 < self.quietest <= 1 and self.most_db >= 0):
            raise ConfigError(
                f"noise cannot be taken out with {self}", code="denoise.settings", hint="See the defaults"
            )


def denoise(samples: np.ndarray, rate_hz: int, settings: DenoiseSettings | None = None) -> np.ndarray:
    """The same speech with less noise, (n,) float32; without noise, or anything at all, it stays as it is.

    Noise is what the quietest tenth of the frames holds, so there should be a pause in it somewhere, and
    noise should be steady over it. Takes about 40 bytes of memory for each sample: cut hours into clips.

    Args:
        samples: float32 (n,) in [-1, 1], any n.
    """
    rules = settings or DenoiseSettings()
    window = _window(_frame_samples(rate_hz))
    spectrum = _spectrum(samples, window)
    powers = np.square(spectrum.real) + np.square(spectrum.imag)
    noise = _noise_powers(powers, rules.quietest, _NOTHING * float(np.square(window).sum()))
    if noise is None:
        return samples.astype(np.float32)
    spectrum *= _gains(powers / noise, rules)
    return _samples(spectrum, window, samples.size)


def _frame_samples(rate_hz: int) -> int:
    """The power of two nearest to 23 ms."""
    return 1 << max(4, round(float(np.log2(_FRAME_S * rate_hz))))


@functools.lru_cache(maxsize=4)
def _window(samples: int) -> np.ndarray:
    """Square root of a periodic Hann window: applied twice, frames a quarter apart add up to a constant."""
    return np.sqrt(np.hanning(samples + 1)[:samples]).astype(np.float32)


def _spectrum(samples: np.ndarray, window: np.ndarray) -> np.ndarray:
    """complex64 (frames, bins); the frames begin three quarters before the first sample."""
    hop = window.size // _HOPS_A_FRAME
    frames = -(-(samples.size + window.size - hop) // hop)
    padded = np.zeros((frames - 1) * hop + window.size, np.float32)
    padded[window.size - hop : window.size - hop + samples.size] = samples
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, window.size)[::hop] * window)


def _samples(spectrum: np.ndarray, window: np.ndarray, samples: int) -> np.ndarray:
    """The inverse of `_spectrum`, by overlapping and adding."""
    hop = window.size // _HOPS_A_FRAME
    quarters = (np.fft.irfft(spectrum, window.size) * window).reshape(-1, _HOPS_A_FRAME, hop)
    added = np.zeros((len(quarters) + _HOPS_A_FRAME - 1, hop), np.float32)
    for quarter in range(_HOPS_A_FRAME):
        added[quarter : quarter + len(quarters)] += quarters[:, quarter]
    added /= np.square(window).reshape(_HOPS_A_FRAME, hop).sum(axis=0)
    return added.ravel()[window.size - hop :][:samples]


def _noise_powers(powers: np.ndarray, quietest: float, nothing: float) -> np.ndarray | None:
    """float32 (bins,): of the quietest frames that hold anything; None where none does.

    Those that are much louder than the very quietest are no steady noise, but speech, where an editor has
    muted the pauses.
    """
    totals = powers.mean(axis=1)
    heard = totals[totals > nothing]
    if not heard.size:
        return None
    most = min(np.quantile(heard, quietest), _STEADY * np.quantile(heard, quietest * _QUIETEST_OF_ALL))
    quiet = (totals > nothing) & (totals <= most)
    return np.maximum(powers[quiet].mean(axis=0), np.float32(nothing))


def _gains(ratios: np.ndarray, rules: DenoiseSettings) -> np.ndarray:
    """float32 (frames, bins), 0 to 1, from the power of each bin over that of its noise."""
    gains = np.maximum(_directed(ratios, rules), _directed(ratios[::-1], rules)[::-1])
    return np.maximum(gains, np.float32(10 ** (-rules.most_db / 20)), out=gains)


def _directed(ratios: np.ndarray, rules: DenoiseSettings) -> np.ndarray:
    """Gains xi / (1 + xi), frame after frame: xi is `memory` of the last frame's speech over its noise, the
    rest what this frame has above its noise (equation 51 of the paper)."""
    shown = np.maximum(ratios - 1, 0) * np.float32(1 - rules.memory)
    gains = np.empty_like(ratios)
    before = np.zeros(ratios.shape[1], np.float32)
    for ratio, now, gain in zip(ratios, shown, gains, strict=True):
        before *= np.float32(rules.memory)
        before += now
        np.divide(before, before + np.float32(1), out=gain)
        np.multiply(np.square(gain), ratio, out=before)
    return gains
