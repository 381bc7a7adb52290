"""Cutting a long recording into stretches that a recogniser and a training batch can take."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phonoloop.audio.vad import frame_levels_db
from phonoloop.audio.wav import to_float
from phonoloop.core.speech import Span, SpeechDetector
from phonoloop.core.units import ms_to_samples, seconds_to_samples

#: the detector hears this much at a time, so that memory does not grow with the recording
_WINDOW_S = 120.0
#: where nobody pauses, the cut is in the quietest 20 ms
_QUIET_FRAME = ms_to_samples(20)


@dataclass(frozen=True, slots=True)
class _Rules:
    """Lengths in samples."""

    longest: int
    earliest: int
    long_pause: int
    pad: int


def cut_at_pauses(
    pcm: np.ndarray,
    detector: SpeechDetector,
    *,
    max_s: float = 30.0,
    long_pause_s: float = 1.5,
    pad_s: float = 0.3,
) -> list[Span]:
    """Spans of at most `max_s` that hold all the speech of a recording.

    A recording of up to `max_s` is one span, whole. A longer one is cut in the middle of every pause of
    `long_pause_s`, and where speech goes on for more than `max_s`, in the middle of the longest pause
    that leaves a stretch between a third of `max_s` and `max_s`, or in the quietest 20 ms there where
    there is no pause. Silence beyond `pad_s` around a stretch is in no span: a long recording without
    speech gives none. Time is linear in the length of the recording; memory is flat.

    Args:
        pcm: int16 (n,), mono, 16 kHz.

    Returns:
        Ordered, disjoint spans.

    Raises:
        ValueError: `max_s` is shorter than a tenth of a second.
    """
    if max_s < 0.1:
        raise ValueError("max_s must be at least 0.1")
    longest = seconds_to_samples(max_s)
    if pcm.size <= longest:
        return [Span(0, pcm.size)] if pcm.size else []
    rules = _Rules(longest, longest // 3, seconds_to_samples(long_pause_s), seconds_to_samples(pad_s))
    speech = _speech(pcm, detector)
    return [span for group in _groups(speech, rules.long_pause) for span in _cut(pcm, group, rules)]


def _speech(pcm: np.ndarray, detector: SpeechDetector) -> list[Span]:
    """The detector's spans over the whole recording, window by window; those that touch are joined."""
    joined: list[Span] = []
    window = seconds_to_samples(_WINDOW_S)
    for offset in range(0, pcm.size, window):
        for span in detector.speech_spans(to_float(pcm[offset : offset + window])):
            start, end = span.start + offset, span.end + offset
            if joined and start <= joined[-1].end:
                joined[-1] = Span(joined[-1].start, end)
            else:
                joined.append(Span(start, end))
    return joined


def _groups(speech: list[Span], long_pause: int) -> Iterator[list[Span]]:
    """Runs of speech with no long pause inside."""
    group: list[Span] = []
    for span in speech:
        if group and span.start - group[-1].end >= long_pause:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _cut(pcm: np.ndarray, group: list[Span], rules: _Rules) -> Iterator[Span]:
    """Stretches of one group, with as much of the silence around it as the padding and `longest` allow."""
    start = max(group[0].start - _room(rules, group), 0)
    end = min(group[-1].end + _room(rules, group), pcm.size)
    pauses = [(a.end, b.start) for a, b in itertools.pairwise(group)]
    first = 0
    while end - start > rules.longest:
        cut, first = _cut_point(pcm, start, pauses=pauses, first=first, rules=rules)
        yield Span(start, cut)
        start = cut
    yield Span(start, end)


def _room(rules: _Rules, group: list[Span]) -> int:
    """Padding; less where it would push what fits over the limit, and never more than half a long pause."""
    spare = rules.longest - (group[-1].end - group[0].start)
    return min(rules.pad, rules.long_pause // 2, spare // 2 if spare >= 0 else rules.pad)


def _cut_point(
    pcm: np.ndarray, start: int, *, pauses: list[tuple[int, int]], first: int, rules: _Rules
) -> tuple[int, int]:
    """Where the stretch from `start` ends, and the first pause that may serve the next one."""
    earliest, latest = start + rules.earliest, start + rules.longest
    best_at, best_length = 0, 0
    while first < len(pauses) and (middle := sum(pauses[first]) // 2) <= latest:
        length = pauses[first][1] - pauses[first][0]
        if middle >= earliest and length >= best_length:
            best_at, best_length = middle, length
        first += 1
    if best_length == 0:
        return _quietest(pcm, earliest, latest), first
    # those after the cut were looked at, but belong to the next stretch
    while first and sum(pauses[first - 1]) // 2 > best_at:
        first -= 1
    return best_at, first


def _quietest(pcm: np.ndarray, earliest: int, latest: int) -> int:
    levels_db = frame_levels_db(to_float(pcm[earliest:latest]), _QUIET_FRAME)
    if levels_db.size == 0:
        return latest
    return earliest + int(levels_db.argmin()) * _QUIET_FRAME + _QUIET_FRAME // 2
