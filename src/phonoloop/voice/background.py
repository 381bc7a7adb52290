"""Where something else is heard behind the speaker: music, or a second voice at the same time.

Four cues (`cues`), each measured over windows that begin every second:

    partials   tones that stay where they are             music
    beat       sounds that begin at equal distances       drums
    pure       nothing but tones and no pause             a tune alone
    combs      two series of harmonics at once            two voices

A window over a cue's upper threshold is marked, with those next to it that are over the lower one. The
thresholds are above what speech alone reaches: what is marked is thrown away, and that must not be a clean
recording.

Speakers who take turns are not found here: a clip of another voice is found by its pitch and timbre
(`gates`). What else has a beat is taken for music too: a clock that ticks, clapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonoloop.voice.cues import MIN_S, WINDOW_S, Tracks, measure_cues
from phonoloop.voice.data import RATE_HZ, Stretch
from phonoloop.voice.ingest import blocks_of

#: of the algorithm: what another one found is not what this one finds
VERSION = 1
MUSIC, SPEAKERS = "music", "speakers"


@dataclass(frozen=True, slots=True)
class BackgroundSettings:
    """How much is marked.

    Attributes:
        sensitivity: 1 marks nothing in clean speech; the thresholds are divided by it.
        min_s: a shorter stretch is not marked.
        join_s: two of the same kind that are nearer are one.
    """

    sensitivity: float = 1.0
    min_s: float = 2.0
    join_s: float = 5.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """`on` marks a window, `off` goes on marking beside one. `margin_s`: what may be clean at the outer ends
    of the first and the last window."""

    kind: str
    cue: str
    on: float
    off: float
    margin_s: float


_MUSIC_RULES = (
    _Rule(MUSIC, "partials", on=1.6, off=0.8, margin_s=1.0),
    _Rule(MUSIC, "beat", on=0.42, off=0.33, margin_s=3.5),
    _Rule(MUSIC, "pure", on=0.94, off=0.88, margin_s=1.0),
)
_SPEAKERS_RULE = _Rule(SPEAKERS, "combs", on=0.19, off=0.13, margin_s=4.0)


def find_stretches(blocks: Iterable[np.ndarray], settings: BackgroundSettings | None = None) -> list[Stretch]:
    """In the order of time; they do not overlap. Less than three seconds have none.

    Memory is that of two minutes and of a few numbers a second.

    Args:
        blocks: float32 (n,) at 22,050 Hz in [-1, 1], of any lengths.
    """
    settings = settings or BackgroundSettings()
    tracks = measure_cues(blocks)
    music = [one for rule in _MUSIC_RULES for one in _marked(tracks, rule, settings)]
    music = _long(_joined(music, settings), settings)
    # instruments have harmonics too: windows with music in them say nothing about voices
    voices = _without(tracks, _SPEAKERS_RULE.cue, music)
    speakers = _joined(_marked(voices, _SPEAKERS_RULE, settings), settings)
    return _by_time(music + _long(_outside(speakers, music), settings))


def stretches_of_wav(wav: Path, settings: BackgroundSettings | None = None) -> list[Stretch]:
    """Of a canonical WAV file at 22,050 Hz. Errors as `audio.wav.read_wav`."""
    return find_stretches(blocks_of(wav), settings)


def united(*found: Sequence[Stretch]) -> list[Stretch]:
    """What any of them marks: of a recording, and of what a separator left of it."""
    everything = [stretch for stretches in found for stretch in stretches]
    touching = BackgroundSettings(join_s=0.0)
    music = _joined([one for one in everything if one.kind == MUSIC], touching)
    others = _joined([one for one in everything if one.kind != MUSIC], touching)
    return _by_time(music + _outside(others, music))


def _marked(tracks: Tracks, rule: _Rule, settings: BackgroundSettings) -> Iterator[Stretch]:
    scores = tracks.scores[rule.cue] * settings.sensitivity
    if tracks.samples < MIN_S * RATE_HZ:
        return
    for first, last in _runs(scores >= rule.off):
        highest = float(scores[first:last].max())
        if highest >= rule.on:
            start = 0 if first == 0 else round((first + rule.margin_s) * RATE_HZ)
            end_s = last - 1 + WINDOW_S[rule.cue] - rule.margin_s
            end = tracks.samples if last == scores.size else round(end_s * RATE_HZ)
            yield Stretch(start, min(end, tracks.samples), rule.kind, _certainty(highest / rule.on))


def _without(tracks: Tracks, cue: str, stretches: Sequence[Stretch]) -> Tracks:
    """The windows of a cue that overlap with any of the stretches score nothing."""
    scores = tracks.scores[cue].copy()
    for one in stretches:
        first = max(0, one.start // RATE_HZ - WINDOW_S[cue] + 1)
        scores[first : -(-one.end // RATE_HZ)] = 0
    return replace(tracks, scores={**tracks.scores, cue: scores})


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _certainty(times_over: float) -> float:
    """0.5 at the threshold, towards 1 above it."""
    return round(times_over / (1 + times_over), 3)


def _joined(stretches: Iterable[Stretch], settings: BackgroundSettings) -> list[Stretch]:
    """Of one kind: those that overlap or are near become one, as certain as the surest."""
    joined: list[Stretch] = []
    for one in _by_time(stretches):
        if joined and one.start <= joined[-1].end + settings.join_s * RATE_HZ:
            before = joined[-1]
            end, certainty = max(before.end, one.end), max(before.certainty, one.certainty)
            joined[-1] = replace(before, end=end, certainty=certainty)
        else:
            joined.append(one)
    return joined


def _outside(stretches: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    """What of `stretches` lies outside of all of `others`."""
    parts = list(stretches)
    for other in others:
        cut = [
            (replace(p, end=min(p.end, other.start)), replace(p, start=max(p.start, other.end)))
            for p in parts
        ]
        parts = [part for pair in cut for part in pair if part.start < part.end]
    return parts


def _long(stretches: Iterable[Stretch], settings: BackgroundSettings) -> list[Stretch]:
    return [one for one in stretches if one.end - one.start >= settings.min_s * RATE_HZ]


def _by_time(stretches: Iterable[Stretch]) -> list[Stretch]:
    return sorted(stretches, key=lambda one: (one.start, one.end, one.kind))
