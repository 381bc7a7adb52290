"""Where somebody speaks inside of a segment, and cuts that are not heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, Segment
from phonoloop.voice.envelope import FRAME_SAMPLES, Envelope, frames_of, rolling_bounds
from phonoloop.voice.samples import Passage

#: a cut is moved by at most 5 ms
CUT_REACH = RATE_HZ // 200
#: speech is at least this share of the way from the background to the loudest, and so far above the first
_SHARE, _MARGIN_DB = 0.2, 6.0
_BOUNDS_REACH = frames_of(5.0)
#: a shorter sound on its own is a click
_LEAST_SOUND = frames_of(0.04)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What is kept of a segment.

    Attributes:
        spans: of the source, in order, disjoint, inside of the segment, each beginning and ending where the
            wave rises through zero.
        speech: samples in which somebody speaks; 0 where nobody does, and then the segment is kept whole.
    """

    spans: tuple[Span, ...]
    speech: int

    @property
    def samples(self) -> int:
        return sum(span.samples for span in self.spans)


def trimmed(passage: Passage, segment: Segment, *, pad: int, longest_pause: int) -> Trimmed:
    """A segment without the silence at its ends but for `pad` samples, and with long pauses shortened.

    Args:
        passage: the segment with some of what is around it, which shows what background is.
        pad: at most half of `longest_pause`.
    """
    runs = _speech_runs(passage, segment)
    if not len(runs):
        return Trimmed((_with_quiet_ends(passage, Span(segment.start, segment.end), segment),), 0)
    kept = _padded(runs, pad=pad, longest_pause=longest_pause)
    inside = [Span(max(start, segment.start), min(end, segment.end)) for start, end in kept]
    spans = tuple(_with_quiet_ends(passage, span, segment) for span in inside)
    return Trimmed(spans, int((runs[:, 1] - runs[:, 0]).sum()))


def _speech_runs(passage: Passage, segment: Segment) -> np.ndarray:
    """int (runs, 2): [start, end) in the source, inside of the segment."""
    levels_db = Envelope.of([passage.samples]).levels_db
    bounds = rolling_bounds(levels_db, floor_reach=_BOUNDS_REACH, peak_reach=_BOUNDS_REACH)
    spoken = levels_db > bounds.floor_db + np.maximum(_SHARE * (bounds.peak_db - bounds.floor_db), _MARGIN_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], spoken, [False])))).reshape(-1, 2)
    edges = edges[edges[:, 1] - edges[:, 0] >= _LEAST_SOUND] * FRAME_SAMPLES + passage.start
    edges = np.clip(edges, segment.start, segment.end)
    return edges[edges[:, 1] > edges[:, 0]]


def _padded(runs: np.ndarray, *, pad: int, longest_pause: int) -> list[tuple[int, int]]:
    """Runs with the pauses between them, but of those that are too long only the two ends."""
    kept = [[int(runs[0, 0]) - pad, int(runs[0, 1])]]
    for start, end in runs[1:].tolist():
        if start - kept[-1][1] > longest_pause:
            kept[-1][1] += longest_pause // 2
            kept.append([start - longest_pause // 2, end])
        else:
            kept[-1][1] = end
    kept[-1][1] += pad
    return [(start, end) for start, end in kept]


def _with_quiet_ends(passage: Passage, span: Span, segment: Segment) -> Span:
    """The span with both ends moved to where a cut is not heard; as it is where it is too short for that."""
    start = quiet_cut(passage, span.start, low=segment.start, high=segment.end)
    end = quiet_cut(passage, span.end, low=segment.start, high=segment.end)
    return Span(start, end) if end > start else span


def quiet_cut(passage: Passage, at: int, *, low: int, high: int) -> int:
    """The nearest place where the wave rises through zero, so that what is joined there goes on smoothly;
    the quietest sample where there is none within 5 ms between `low` and `high`."""
    first = max(at - CUT_REACH, low, passage.start)
    last = min(at + CUT_REACH, high, passage.start + passage.samples.size - 1)
    if last < first:
        return at
    here = passage.cut(first, last + 1)
    before = passage.cut(max(first - 1, passage.start), last)
    before = before if before.size == here.size else np.concatenate(([np.float32(0)], before))
    crossings = np.flatnonzero((before < 0) & (here >= 0))
    places = crossings if crossings.size else np.flatnonzero(np.abs(here) == np.abs(here).min())
    return first + int(places[np.abs(places + first - at).argmin()])
