"""Two voices at once: a second series of harmonics beside the first, in the frames where somebody speaks.

In each frame the peaks of the spectrum are explained by the best comb, a fundamental and its multiples; what
is left is explained by another, whose pitch is in no simple ratio to the first's (those come from one octave
taken for another). One voice leaves little, and what it leaves makes no comb that goes on in the next frame.
After A. de Cheveigné, "Separation of concurrent harmonic sounds" (JASA 93, 1993): estimate, cancel, estimate.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from phonoloop.voice.frames import HALF_RATE_HZ, decibels, framed, in_blocks, power_spectra
from phonoloop.voice.partials import find_peaks

_WINDOW_SAMPLES, _PADDED = 1024, 2048
_BIN_HZ = HALF_RATE_HZ / _PADDED
_LOW_HZ, _HIGH_HZ = 125.0, 1_800.0
_PEAK_DB, _NEIGHBOURS, _QUIETER_DB = 4.0, 24, 35.0
#: pitches that are tried: three to the semitone
_LOWEST_HZ, _HIGHEST_HZ, _PITCHES_AN_OCTAVE = 75.0, 420.0, 36
#: a peak belongs to a comb that has a tooth this near
_TOOTH_HZ = 11.0
_MIN_TEETH = 3
#: how well a comb explains the peaks: 1 all of them, 0 as many as by chance
_FIRST, _SECOND = 0.3, 0.5
#: what the first leaves, of the amplitudes of the peaks
_LEFT = 0.15
_RATIOS = np.log2([1, 2, 1 / 2, 3, 1 / 3, 4, 1 / 4, 3 / 2, 2 / 3])
_RATIO_OCTAVES, _STEP_OCTAVES = 0.04, 0.06


@dataclass(frozen=True, slots=True)
class Combs:
    """Of frames, one value each.

    Attributes:
        levels_db: of what is below 1,800 Hz.
        double: two combs. lasting: and the same two in the frame before or after.
    """

    levels_db: np.ndarray
    double: np.ndarray
    lasting: np.ndarray


def find_combs(samples: np.ndarray) -> Combs:
    """In float32 (n,) at 11,025 Hz."""
    frames = framed(samples, _WINDOW_SAMPLES, HALF_RATE_HZ)
    if len(frames) == 0:
        return Combs(np.zeros(0, np.float32), np.zeros(0, bool), np.zeros(0, bool))
    parts = [_of_spectra(power_spectra(block, _PADDED)) for block in in_blocks(frames)]
    levels_db, double, pitches = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Combs(levels_db, double, _lasting(double, pitches))


def _of_spectra(powers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (frames,), whether there are two combs (frames,), and their pitches in octaves (frames, 2)."""
    powers = powers[:, : _bins()[1] + _NEIGHBOURS + 1]
    amplitudes = _peak_amplitudes(powers)
    first, left = _explained(amplitudes, np.ones_like(amplitudes), _tables()[2])
    rest = amplitudes * left
    allowed = _tables()[2] & ~_related()[first.best]
    second, _ = _explained(rest, left, allowed)
    share = rest.sum(axis=1) / np.maximum(amplitudes.sum(axis=1), 1e-9)
    double = (first.score > _FIRST) & (second.score > _SECOND) & (share > _LEFT)
    pitches = np.stack((first.best, second.best), axis=1) / _PITCHES_AN_OCTAVE
    return 10 * np.log10(powers.sum(axis=1) + 1e-9), double, pitches


@dataclass(frozen=True, slots=True)
class _Best:
    """The best comb of each frame, by its number, and how well it explains the peaks."""

    best: np.ndarray
    score: np.ndarray


def _explained(amplitudes: np.ndarray, free: np.ndarray, allowed: np.ndarray) -> tuple[_Best, np.ndarray]:
    """And which bins it leaves free, float32 (frames, bins).

    Args:
        amplitudes: of the peaks, (frames, bins), zero elsewhere.
        free: bins that no comb has taken yet, 0 or 1, as `amplitudes`.
        allowed: combs to choose from, bool (combs,) or (frames, combs).
    """
    combs, across, _ = _tables()
    total = np.maximum(amplitudes.sum(axis=1, keepdims=True), 1e-9)
    by_chance = (free @ across) / np.maximum(free.sum(axis=1, keepdims=True), 1)
    scores = (amplitudes @ across / total - by_chance) / (1 - by_chance)
    teeth = (amplitudes > 0).astype(np.float32) @ across
    scores = np.where(allowed & (teeth >= _MIN_TEETH), scores, -1.0)
    best = scores.argmax(axis=1)
    return _Best(best, scores[np.arange(len(best)), best]), free * (1 - combs[best])


def _peak_amplitudes(powers: np.ndarray) -> np.ndarray:
    """float32 (frames, bins) of the bins from 125 to 1,800 Hz; the fourth root of powers at the peaks, so
    that the loudest harmonic does not decide alone."""
    low, high = _bins()
    levels_db = decibels(powers)
    peaks = find_peaks(levels_db, _NEIGHBOURS, _PEAK_DB)
    peaks &= levels_db > levels_db.max(axis=1, keepdims=True) - _QUIETER_DB
    return np.where(peaks, np.sqrt(np.sqrt(powers)), 0)[:, low:high].astype(np.float32)


def _bins() -> tuple[int, int]:
    return int(_LOW_HZ / _BIN_HZ), int(_HIGH_HZ / _BIN_HZ)


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Combs float32 (combs, bins), 1 at the teeth; the same transposed; and that all are allowed."""
    count = int(np.log2(_HIGHEST_HZ / _LOWEST_HZ) * _PITCHES_AN_OCTAVE)
    pitches_hz = _LOWEST_HZ * 2 ** (np.arange(count) / _PITCHES_AN_OCTAVE)
    bins_hz = np.arange(*_bins()) * _BIN_HZ
    numbers = np.maximum(1, np.round(bins_hz / pitches_hz[:, None]))
    combs = (np.abs(bins_hz - numbers * pitches_hz[:, None]) <= _TOOTH_HZ).astype(np.float32)
    return combs, np.ascontiguousarray(combs.T), np.ones(count, bool)


@functools.lru_cache(maxsize=1)
def _related() -> np.ndarray:
    """bool (combs, combs): their pitches are in a simple ratio."""
    octaves = np.arange(len(_tables()[0])) / _PITCHES_AN_OCTAVE
    apart = octaves[None] - octaves[:, None]
    return (np.abs(apart[..., None] - _RATIOS) < _RATIO_OCTAVES).any(axis=2)


def _lasting(double: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """Frames whose two pitches are also those of a neighbour, in either order."""
    before, after = pitches[:-1], pitches[1:]
    straight = np.abs(before - after).max(axis=1)
    crossed = np.abs(before - after[:, ::-1]).max(axis=1)
    same = double[:-1] & double[1:] & (np.minimum(straight, crossed) < _STEP_OCTAVES)
    found = np.zeros(double.shape, bool)
    found[:-1] |= same
    found[1:] |= same
    return found
