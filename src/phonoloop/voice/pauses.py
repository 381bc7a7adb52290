"""Pieces of one window of levels: cut at pauses, joined where the pause is short, cut again where too long.

Everything here is counted in frames of the window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.voice.envelope import Bounds, frames_of

#: no pause is shorter: the closures of p, t and k are
_LEAST_PAUSE = frames_of(0.12)
#: clicks between two such silences are in one pause: a clock ticks, a fire cracks
_LEAST_SILENCE = frames_of(0.15)
#: so much of a pause is as quiet as the first ones have to be, however low the factor is by then: what may be
#: louder is a word that fades away. A long n is never that quiet
_LEAST_CORE = frames_of(0.1)
#: a shorter sound between two pauses is a click; levels make 20 ms more of it than there is
_LEAST_SOUND = frames_of(0.08)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Lengths in frames; see `SegmentSettings`."""

    longest: int
    shortest: int
    pause: int
    long_pause: int
    pad: int
    factor: float
    lower: float
    rounds: int

    def share(self, turn: int) -> float:
        """How far up from the background a pause may be: half as far when short ones are looked for at first,
        for a gap between two words is nearer to it than a weak consonant; then further with each turn."""
        if turn == 0:
            return 1 - self.factor
        return 1 - (1 + self.factor) / 2 * self.lower ** (turn - 1)

    def shortest_pause(self, turn: int) -> int:
        return self.pause if turn == 0 else min(_LEAST_PAUSE, self.pause)


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames [start, end). `forced`: one of its ends is in no pause."""

    start: int
    end: int
    forced: bool = False


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where the piece before it ends and the one after it begins: the same, but in a long pause.

    Attributes:
        turn: in which it was found: the later, the further from the background it may be.
        forced: there is no pause.
    """

    ends: int
    begins: int
    pause: int
    turn: int = 0
    forced: bool = False

    @classmethod
    def edge(cls, at: int) -> _Cut:
        """Of the window, or of a stretch."""
        return cls(at, at, 0)


def cut_into_pieces(levels: np.ndarray, bounds: Bounds, rules: Rules) -> list[Piece]:
    """What is to be kept of a window with `levels` (frames,); silence beyond the padding is in no piece."""
    return _Window(levels, bounds, rules).pieces()


class _Window:
    def __init__(self, levels: np.ndarray, bounds: Bounds, rules: Rules) -> None:
        self._levels = levels
        self._bounds = bounds
        self._rules = rules
        # one mask a round, each made once
        self._masks: dict[int, np.ndarray] = {}

    def pieces(self) -> list[Piece]:
        first = _joined(self._first_cuts(), self._rules)
        more = [cut for a, b in itertools.pairwise(first) for cut in self._more(a.begins, b.ends, turn=1)]
        # once more: what was cut off at one pause may fit to what a later turn has cut
        cuts = _joined(sorted([*first, *more], key=lambda cut: cut.begins), self._rules)
        return [Piece(a.begins, b.ends, a.forced or b.forced) for a, b in itertools.pairwise(cuts)]

    def _quiet(self, turn: int) -> np.ndarray:
        if turn not in self._masks:
            threshold_db = self._bounds.threshold_db(self._rules.share(turn))
            self._masks[turn] = self._levels < threshold_db
        return self._masks[turn]

    def _first_cuts(self) -> list[_Cut]:
        """Those of the whole window, its ends among them; none where there is no sound."""
        frames = self._levels.size
        runs = _runs(self._quiet(0))
        silences = _at_least(runs, min(_LEAST_SILENCE, self._rules.pause), frames)
        runs = _at_least(_without_clicks(silences, frames), self._rules.pause, frames)
        inner = [self._cut(start, end) for start, end in runs.tolist() if start > 0 and end < frames]
        head = int(runs[0, 1]) if len(runs) and runs[0, 0] == 0 else 0
        tail = int(runs[-1, 0]) if len(runs) and runs[-1, 1] == frames else frames
        if head >= tail:
            return []
        begins, ends = max(head - self._rules.pad, 0), min(tail + self._rules.pad, frames)
        return [_Cut.edge(begins), *inner, _Cut.edge(ends)]

    def _cut(self, start: int, end: int) -> _Cut:
        """In a pause: of a long one only the padding is kept."""
        if end - start >= self._rules.long_pause:
            return _Cut(start + self._rules.pad, end - self._rules.pad, end - start)
        middle = self._quietest_near_the_middle(start, end)
        return _Cut(middle, middle, end - start)

    def _quietest_near_the_middle(self, start: int, end: int) -> int:
        """In the middle half of it; among equals the one nearest to the middle."""
        quarter = (end - start) // 4
        near = self._levels[start + quarter : end - quarter]
        equal = np.flatnonzero(near <= near.min())
        return start + quarter + int(equal[np.abs(equal - near.size // 2).argmin()])

    def _more(self, start: int, end: int, *, turn: int) -> Iterator[_Cut]:
        """As many cuts as the stretch needs."""
        if end - start <= self._rules.longest:
            return
        if turn > self._rules.rounds:
            yield from self._forced(start, end)
            return
        inner = [self._inner_cut(*pause, turn) for pause in self._inner_pauses(start, end, turn)]
        cuts = _joined([_Cut.edge(start), *inner, _Cut.edge(end)], self._rules)
        yield from cuts[1:-1]
        for a, b in itertools.pairwise(cuts):
            yield from self._more(a.begins, b.ends, turn=turn + 1)

    def _inner_cut(self, start: int, end: int, turn: int) -> _Cut:
        middle = self._quietest_near_the_middle(start, end)
        return _Cut(middle, middle, end - start, turn)

    def _inner_pauses(self, start: int, end: int, turn: int) -> list[tuple[int, int]]:
        """Those with sound on both sides: at the ends is what is left of the pauses that it was cut at."""
        runs = _runs(self._quiet(turn)[start:end]) + start
        inside = (runs[:, 0] > start) & (runs[:, 1] < end)
        found = runs[inside & (_lengths(runs) >= self._rules.shortest_pause(turn))]
        deep = self._quiet(0)
        return [(a, b) for a, b in found.tolist() if np.count_nonzero(deep[a:b]) >= _LEAST_CORE]

    def _forced(self, start: int, end: int) -> Iterator[_Cut]:
        """In the quietest frames that leave no piece shorter than a third of the longest."""
        third = self._rules.longest // 3
        while end - start > self._rules.longest:
            first, last = start + third, min(start + self._rules.longest, end - third)
            start = first + int(self._levels[first : last + 1].argmin())
            yield _Cut(start, start, 0, turn=self._rules.rounds + 1, forced=True)


def _joined(cuts: Sequence[_Cut], rules: Rules) -> list[_Cut]:
    """The cuts that stay, when all that can be are taken away: those that were found with the lowest factor
    first, then those in the shortest pauses. The first and the last always stay.

    One can be where the two sides together are not too long; one in a long pause only where a side is
    shorter than what is wanted.
    """
    before = list(range(-1, len(cuts) - 1))
    after = list(range(1, len(cuts) + 1))
    for i in sorted(range(1, len(cuts) - 1), key=lambda i: (-cuts[i].turn, cuts[i].pause)):
        left, right = cuts[before[i]].begins, cuts[after[i]].ends
        short = min(cuts[i].ends - left, right - cuts[i].begins) < rules.shortest
        near = cuts[i].pause < (2 if short else 1) * rules.long_pause
        if near and right - left <= rules.longest:
            after[before[i]], before[after[i]] = after[i], before[i]
    kept, i = [], 0
    while i < len(cuts):
        kept.append(cuts[i])
        i = after[i]
    return kept


def _runs(mask: np.ndarray) -> np.ndarray:
    """(runs, 2): [start, end) of every run of true frames."""
    return np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])))).reshape(-1, 2)


def _lengths(runs: np.ndarray) -> np.ndarray:
    return runs[:, 1] - runs[:, 0]


def _at_least(runs: np.ndarray, length: int, frames: int) -> np.ndarray:
    """Those that are so long; at the ends of the window all, for nobody knows how they go on."""
    return runs[(runs[:, 0] == 0) | (runs[:, 1] == frames) | (_lengths(runs) >= length)]


def _without_clicks(runs: np.ndarray, frames: int) -> np.ndarray:
    """Pauses with so little sound between them that it is none, as one; also at the ends of the window."""
    if not len(runs):
        return runs
    starts, ends = runs[:, 0].copy(), runs[:, 1].copy()
    if starts[0] < _LEAST_SOUND:
        starts[0] = 0
    if frames - ends[-1] < _LEAST_SOUND:
        ends[-1] = frames
    apart = starts[1:] - ends[:-1] >= _LEAST_SOUND
    return np.stack((starts[np.append(True, apart)], ends[np.append(apart, True)]), axis=1)
