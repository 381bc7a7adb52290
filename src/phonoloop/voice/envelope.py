"""The level of a recording, frame by frame, and what counts as loud and as quiet around each frame.

Levels are decibels below full scale, of the alternating part of 10 ms: an offset of the recording adds
nothing. Blocks of any lengths give the same frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from phonoloop.audio.vad import sliding_minimum
from phonoloop.core.errors import AudioError
from phonoloop.voice.data import RATE_HZ

#: 10 ms but for half a sample
FRAME_SAMPLES = 220
FRAMES_A_SECOND = RATE_HZ / FRAME_SAMPLES
#: the level of digital silence, and the lowest there is
SILENCE_DB = -100.0

_SILENT_POWER = 1e-10
#: a level is the mean power of a frame and so many to both sides
_SMOOTH = 1
#: more than this below the peak says nothing of a room: it is the end of the sample format, or an editor's
_MOST_RANGE_DB = 60.0
#: what is louder than this and never this far below the peak is no background: somebody holds a tone
_LEAST_RANGE_DB = 12.0
_LOUD_DB = -45.0
#: the background itself goes up and down by less than this
_MARGIN_DB = 3.0
#: so much a background may change while the floor looks back and ahead
_DRIFT_DB = 6.0
#: between syllables it becomes this much quieter
_SYLLABLES_DB = 12.0
#: samples; always as many, for a sum may be rounded otherwise when it is one of more
_AT_ONCE = 1_000 * FRAME_SAMPLES


def frames_of(duration_s: float) -> int:
    return round(duration_s * FRAMES_A_SECOND)


def frame_powers(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Mean power of each frame, float32 (frames,), some at a time; a last frame may be short.

    Args:
        blocks: float32 (n,) in [-1, 1], mono, at 22,050 Hz; together the recording.

    Raises:
        AudioError: `audio.not_samples`, for samples that are no numbers.
    """
    held = np.empty(_AT_ONCE, np.float32)
    filled = 0
    for block in blocks:
        taken = 0
        while taken < block.size:
            some = block[taken : taken + held.size - filled]
            held[filled : filled + some.size] = some
            taken, filled = taken + some.size, filled + some.size
            if filled == held.size:
                yield _powers(held.reshape(-1, FRAME_SAMPLES))
                filled = 0
    whole = filled // FRAME_SAMPLES * FRAME_SAMPLES
    yield _powers(held[:whole].reshape(-1, FRAME_SAMPLES))
    if whole < filled:
        yield _powers(held[whole:filled].reshape(1, -1))


def _powers(frames: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # said below
        mean = frames.mean(axis=1)
        powers = np.einsum("ij,ij->i", frames, frames) / np.float32(frames.shape[1]) - mean * mean
    if not np.isfinite(powers).all():
        raise AudioError(
            "some of its samples are no numbers", code="audio.not_samples", hint="Decode it again"
        )
    return np.maximum(powers, 0)


def levels_db(powers: np.ndarray) -> np.ndarray:
    """dBFS of the mean power of 30 ms around each frame, float32 (frames,); at the ends, of what is there."""
    sums, counts = powers.copy(), np.full(powers.size, 3, np.float32)
    sums[1:] += powers[:-1]
    sums[:-1] += powers[1:]
    counts[:1] -= 1
    counts[-1:] -= 1
    levels = 10 * np.log10(np.maximum(sums / counts, np.float32(_SILENT_POWER)))
    return np.maximum(levels, np.float32(SILENCE_DB))  # the logarithm is rounded


def frame_levels(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """`levels_db` of a recording that comes in blocks, some frames at a time; the same ones for any blocks.

    Args, errors: as `frame_powers`.
    """
    held, given = np.zeros(0, np.float32), 0  # powers that are needed still; for how many there was a level
    for powers in frame_powers(blocks):
        held = np.concatenate((held, powers))
        ready = held.size - _SMOOTH
        if ready > given:
            yield levels_db(held)[given:ready]
            start = max(ready - _SMOOTH, 0)
            held, given = held[start:], ready - start
    yield levels_db(held)[given:]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Per frame, or one for all: what is quiet there and what is loud, in dBFS; floor <= peak."""

    floor_db: np.ndarray
    peak_db: np.ndarray

    def threshold_db(self, share: float) -> np.ndarray:
        """So far up from the floor to the peak; never so near to the peak that it is between two syllables,
        unless the noise is."""
        most_db = np.maximum(self.peak_db - np.float32(_SYLLABLES_DB), self.floor_db + np.float32(_MARGIN_DB))
        range_db = self.peak_db - self.floor_db
        return np.minimum(self.floor_db + np.maximum(share * range_db, np.float32(_MARGIN_DB)), most_db)


def rolling_bounds(levels: np.ndarray, *, floor_reach: int, peak_reach: int) -> Bounds:
    """The lowest level within `floor_reach` frames to both sides, the highest within `peak_reach`.

    Digital silence is no background where there is any other: an editor's mute says nothing of the room.
    """
    heard = _background(levels)
    return _credible(_drifting_floor(heard, floor_reach), -sliding_minimum(-levels, peak_reach))


def _drifting_floor(levels: np.ndarray, reach: int) -> np.ndarray:
    """The lowest level within `reach` to both sides; where it was lower before or will be later, the lowest
    on the other side, which is the background of now, but for no more than a drift."""
    if levels.size == 0:
        return levels
    half = reach // 2
    aside = np.pad(sliding_minimum(levels, half), half, mode="edge")
    around = sliding_minimum(levels, reach)
    now = np.maximum(aside[: levels.size], aside[2 * half :])
    return np.minimum(now, around + np.float32(_DRIFT_DB))


def constant_bounds(levels: Iterable[np.ndarray]) -> Bounds:
    """One floor and one peak, (1,) each, for the whole recording."""
    floor_db, peak_db = np.inf, SILENCE_DB
    for some in levels:
        floor_db = min(floor_db, float(_background(some).min(initial=np.inf)))
        peak_db = max(peak_db, float(some.max(initial=SILENCE_DB)))
    return _credible(np.array([floor_db], np.float32), np.array([peak_db], np.float32))


def _background(levels: np.ndarray) -> np.ndarray:
    """What may be one: infinite in digital silence and at its edges, where a level is partly of it."""
    if levels.size == 0:
        return levels
    return np.where(sliding_minimum(levels, _SMOOTH + 1) > SILENCE_DB, levels, np.float32(np.inf))


def _credible(floor_db: np.ndarray, peak_db: np.ndarray) -> Bounds:
    """The floor within what the peak allows."""
    most = np.where(peak_db > _LOUD_DB, peak_db - _LEAST_RANGE_DB, peak_db)
    floor_db = np.maximum(np.minimum(floor_db, most), peak_db - _MOST_RANGE_DB)
    return Bounds(floor_db.astype(np.float32), peak_db)


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """A whole recording's levels.

    Attributes:
        levels_db: float32 (frames,), smoothed over 30 ms.
        samples: of the recording; frame i begins at sample i * FRAME_SAMPLES.
    """

    levels_db: np.ndarray
    samples: int

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray]) -> Envelope:
        """Of float32 blocks (n,), mono, at 22,050 Hz; errors as `frame_levels`."""
        counted = Counted(blocks)
        return cls(np.concatenate(list(frame_levels(counted))), counted.samples)


class Counted:
    """Blocks that pass through, and how many samples there were so far."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.samples = 0
        self._blocks = blocks

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self.samples += block.size
            yield block
