"""Levels that come along, cut window by window, so that ten hours take no more memory than one.

A window sees what is around it as far as the bounds reach; what it finds near its end is found again, by
the next one, with what comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from phonoloop.voice.envelope import Bounds, constant_bounds, frames_of, rolling_bounds
from phonoloop.voice.pauses import Piece

#: ten minutes
_WINDOW = frames_of(600.0)

Split = Callable[[np.ndarray, Bounds], list[Piece]]
#: bounds of the frames [start, stop) of the recording
BoundsOf = Callable[["_Tape", int, int], Bounds]


def windows(
    levels: Iterator[np.ndarray],
    *,
    overlap: int,
    floor_reach: int,
    peak_reach: int,
    constant: bool,
    split: Split,
) -> Iterator[Piece]:
    """The pieces of a whole recording, in its frames.

    Args:
        levels: float32 (frames,), some at a time.
        overlap: frames at the end of a window in which nothing is certain; at least twice the longest piece.
        floor_reach, peak_reach: of the bounds, to both sides.
        constant: one floor and one peak for all of it, which keeps all levels in memory.
        split: the pieces of some levels between their bounds.
    """
    if constant:
        heard = list(levels)
        bounds = constant_bounds(heard)
        return _pieces(_Tape(iter(heard), 0), lambda tape, start, stop: bounds, split, overlap)
    reach = max(floor_reach, peak_reach)

    def rolling(tape: _Tape, start: int, stop: int) -> Bounds:
        first = max(start - reach, 0)
        around = rolling_bounds(tape.cut(first, stop + reach), floor_reach=floor_reach, peak_reach=peak_reach)
        part = slice(start - first, stop - first)
        return Bounds(around.floor_db[part], around.peak_db[part])

    return _pieces(_Tape(levels, reach), rolling, split, overlap)


def _pieces(tape: _Tape, bounds_of: BoundsOf, split: Split, overlap: int) -> Iterator[Piece]:
    start, window = 0, max(_WINDOW, 10 * overlap)
    while True:
        stop, last = tape.advance(start, window)
        found = split(tape.cut(start, stop), bounds_of(tape, start, stop))
        certain = found if last else [one for one in found if start + one.end <= stop - overlap]
        for one in certain:
            yield Piece(start + one.start, start + one.end, one.forced)
        if last:
            return
        # from the first piece that was not certain, or where there is none, through the silence
        later = found[len(certain)].start if len(certain) < len(found) else stop - start - overlap
        start += later


class _Tape:
    """The levels around where one is, and `reach` frames to both sides."""

    def __init__(self, levels: Iterator[np.ndarray], reach: int) -> None:
        self._coming = levels
        self._reach = reach
        self._held = np.zeros(0, np.float32)
        self._first = 0

    def advance(self, start: int, window: int) -> tuple[int, bool]:
        """Forgets what is too long ago; the end of the window from `start`, and whether it is the last."""
        self._forget(start - self._reach)
        stop = start + window
        parts = [self._held]
        end = self._first + self._held.size
        while end < stop + max(self._reach, 1) and (more := next(self._coming, None)) is not None:
            parts.append(more)
            end += more.size
        self._held = np.concatenate(parts)
        return min(stop, end), end <= stop

    def cut(self, start: int, stop: int) -> np.ndarray:
        return self._held[start - self._first : stop - self._first]

    def _forget(self, before: int) -> None:
        if before > self._first:
            self._held = self._held[before - self._first :].copy()
            self._first = before
