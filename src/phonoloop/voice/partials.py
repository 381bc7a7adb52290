"""Tones that stay where they are: music has them, speech does not.

A partial is a peak of the spectrum that keeps its frequency. The pitch of a voice moves and its syllables
end, so a peak in the spectrum of speech seldom stays for half a second; the notes of instruments do, and are
found also 20 dB under somebody who speaks. The idea is the continuous frequency activation of K. Seyerlehner
and others, "Automatic music detection in television productions" (DAFx-07), but peaks are followed here and
not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonoloop.voice.frames import FRAMES_A_SECOND, HALF_RATE_HZ, decibels, framed, in_blocks, power_spectra

_WINDOW_SAMPLES = 2048
_LOW_HZ, _HIGH_HZ = 150.0, 4_000.0
#: a peak stands so much over the mean of its neighbours on both sides
_PEAK_DB, _NEIGHBOURS = 6.0, 20
#: a partial lasts this long
_LASTING_FRAMES = round(0.7 * FRAMES_A_SECOND)
#: a frame is pure whose peaks hold so much of its power, and that is no silence
_PURE_SHARE, _SILENT_POWER = 0.8, 1e-6
#: so many partials in each frame of three seconds are more than a level voice has
_DENSE, _DENSE_FRAMES = 1.3, 3 * FRAMES_A_SECOND
#: what sounds longer than this share of a minute and more is hum, not music
_HUM_SHARE, _HUM_FRAMES = 0.85, 45 * FRAMES_A_SECOND


@dataclass(frozen=True, slots=True)
class Partials:
    """Of frames, one value each.

    Attributes:
        lasting: float32, how many partials sound from 150 to 4,000 Hz. One counts in its middle, not in its
            first and last third of a second.
        pure: bool, there is nothing but tones: no hiss, no breath, no pause.
    """

    lasting: np.ndarray
    pure: np.ndarray


def find_partials(samples: np.ndarray) -> Partials:
    """In float32 (n,) at 11,025 Hz."""
    near, pure = _near_peaks(samples)
    if len(near) >= _HUM_FRAMES:
        near[:, near.mean(axis=0) > _HUM_SHARE] = False
    lasting = _lasting(near).sum(axis=1, dtype=np.float32) / 3  # each is three bins wide
    return Partials(lasting, pure)


def held_bins(samples: np.ndarray) -> np.ndarray:
    """bool (frames, 1025): the bins of 5.4 Hz, from 0 to 5,512, in which a partial sounds, from its beginning
    to its end; nowhere but where so many sound in three seconds that it is no voice. Hum counts too.

    Of float32 (n,) at 11,025 Hz.
    """
    near, _ = _near_peaks(samples)
    lasting = _lasting(near)
    many = _sums(lasting.sum(axis=1)[:, None], _DENSE_FRAMES // 2) > 3 * _DENSE * _DENSE_FRAMES
    held = np.zeros((len(near), _WINDOW_SAMPLES // 2 + 1), bool)
    held[:, _bin(_LOW_HZ) : _bin(_HIGH_HZ)] = near & many & (_sums(lasting, _LASTING_FRAMES // 2) > 0)
    return held


def _sums(values: np.ndarray, reach: int) -> np.ndarray:
    """Of values[i - reach : i + reach + 1] along the first axis, as far as there are any."""
    sums = np.zeros((len(values) + 1, values.shape[1]), np.int32)
    np.cumsum(values, axis=0, out=sums[1:])
    around = np.arange(len(values))
    return sums[np.minimum(around + reach + 1, len(values))] - sums[np.maximum(around - reach, 0)]


def _near_peaks(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_peaks`, of all frames."""
    frames = framed(samples, _WINDOW_SAMPLES, HALF_RATE_HZ)
    if len(frames) == 0:
        return np.zeros((0, _bin(_HIGH_HZ) - _bin(_LOW_HZ)), bool), np.zeros(0, bool)
    parts = [_peaks(power_spectra(block)) for block in in_blocks(frames)]
    near, pure = (np.concatenate(part) for part in zip(*parts, strict=True))
    return near, pure


def _bin(frequency_hz: float) -> int:
    return round(frequency_hz * _WINDOW_SAMPLES / HALF_RATE_HZ)


def _peaks(powers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peaks with the bins beside them, bool (frames, bins) from 150 to 4,000 Hz; which frames are pure."""
    low, high = _bin(_LOW_HZ), _bin(_HIGH_HZ)
    powers = powers[:, : high + _NEIGHBOURS + 1]
    near = _widened(find_peaks(decibels(powers), _NEIGHBOURS, _PEAK_DB))[:, low:high]
    powers = powers[:, low:high]
    total = powers.sum(axis=1)
    in_peaks = np.einsum("ij,ij->i", powers, _widened(near))
    return near, (in_peaks > _PURE_SHARE * total) & (total > _SILENT_POWER)


def find_peaks(levels_db: np.ndarray, neighbours: int, over_db: float) -> np.ndarray:
    """bool (frames, bins): where `levels_db` is the highest of five bins, and `over_db` over the mean of so
    many `neighbours` on both sides; not in the outer two."""
    found = np.zeros(levels_db.shape, bool)
    middle = levels_db[:, 2:-2]
    found[:, 2:-2] = (
        (middle >= levels_db[:, 1:-3])
        & (middle > levels_db[:, 3:-1])
        & (middle >= levels_db[:, :-4])
        & (middle > levels_db[:, 4:])
        & (middle > (_local_mean(levels_db, neighbours) + np.float32(over_db))[:, 2:-2])
    )
    return found


def _local_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """Of values[i - reach : i + reach + 1] along the second axis, as far as there are any."""
    bins = values.shape[1]
    sums = np.zeros((len(values), bins + 1), values.dtype)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    low = np.maximum(np.arange(bins) - reach, 0)
    high = np.minimum(np.arange(bins) + reach + 1, bins)
    return (sums[:, high] - sums[:, low]) / (high - low).astype(values.dtype)


def _widened(peaks: np.ndarray) -> np.ndarray:
    """With the bins beside each: a note may lie between two."""
    wide = peaks.copy()
    wide[:, 1:] |= peaks[:, :-1]
    wide[:, :-1] |= peaks[:, 1:]
    return wide


def _lasting(near: np.ndarray) -> np.ndarray:
    """bool as `near`: all of the frames around this one are set."""
    counts = np.zeros((len(near) + 1, near.shape[1]), np.int32)
    np.cumsum(near, axis=0, out=counts[1:])
    found = np.zeros(near.shape, bool)
    if len(near) >= _LASTING_FRAMES:
        inner = counts[_LASTING_FRAMES:] - counts[:-_LASTING_FRAMES] == _LASTING_FRAMES
        first = _LASTING_FRAMES // 2
        found[first : first + len(inner)] = inner
    return found
