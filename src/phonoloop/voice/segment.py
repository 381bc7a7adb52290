"""Cutting hours of talk into segments, at its pauses.

A pause is where the level stays near the background. How near is told by a factor: the level has to be
that share of the way down from the loudest to the quietest around it, in decibels. A stretch that is too
long is cut in the middle of its pauses, in the quietest frame there; the shortest pauses are joined again
as long as the result is not too long. What is still too long is looked at again: first for short pauses
that are still nearer to the background, as the gap between two words is, then with a factor that is lowered
turn by turn, which also finds those that a word fades into. Where nobody pauses at all it is cut in the
quietest frame, and the segments on both sides are marked.

The background and the loudest are those of a window that moves along (`rolling`), so that a fan that is
switched on is no speech and a talker who moves away is no silence; or those of the whole recording
(`global`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.audio.wav import read_wav, wav_info
from phonoloop.core.errors import AudioError, ConfigError
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, Segment
from phonoloop.voice.envelope import FRAME_SAMPLES, Counted, frame_levels, frames_of
from phonoloop.voice.pauses import Piece, Rules, cut_into_pieces
from phonoloop.voice.tape import windows

ROLLING, GLOBAL = "rolling", "global"
_BLOCK_SAMPLES = 30 * RATE_HZ
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How a recording is cut.

    Attributes:
        min_s: a shorter segment is joined to a neighbour where the two fit.
        max_s: no segment is longer.
        method: `rolling` or `global`.
        factor: how near to the background a pause is at first: 1 is the background itself, 0 the loudest.
        lower: what the factor is multiplied by each time that a stretch is still too long; it starts half way
            between `factor` and 1.
        rounds: how often a stretch is looked at again before a cut is forced.
        pause_s: the shortest pause at first; then 0.12 s.
        long_pause_s: of such a pause only `pad_s` at both ends is kept.
        floor_reach_s, peak_reach_s: the window, to both sides.

    Raises:
        ConfigError: `voice.segment_settings`.
    """

    min_s: float = 1.0
    max_s: float = 12.0
    method: str = ROLLING
    factor: float = 0.75
    lower: float = 0.9
    rounds: int = 5
    pause_s: float = 0.3
    long_pause_s: float = 0.8
    pad_s: float = 0.25
    floor_reach_s: float = 15.0
    peak_reach_s: float = 120.0

    def __post_init__(self) -> None:
        if self.method not in (ROLLING, GLOBAL):
            raise _refused(f"there is no method {self.method}", f"Take {ROLLING} or {GLOBAL}")
        if not 0 <= self.min_s < self.max_s or not 0.5 <= self.max_s <= _LONGEST_S:
            message = f"segments of {self.min_s:g} to {self.max_s:g} s cannot be made"
            raise _refused(message, f"The longest may have 0.5 to {_LONGEST_S:g} s, the shortest has less")
        if not 0 < self.factor <= 1 or not 0 < self.lower <= 1 or not 1 <= self.rounds <= 20:
            raise _refused("factors lie between 0 and 1, rounds from 1 to 20", "See the defaults")
        if not 0 <= 2 * self.pad_s < self.long_pause_s or not 0 < self.pause_s <= self.long_pause_s:
            raise _refused("a long pause has to hold the padding at both its ends", "Raise long_pause_s")
        if not 1 <= self.floor_reach_s <= 600 or not 1 <= self.peak_reach_s <= 600:
            raise _refused("the window is out of range", "It reaches 1 to 600 s to both sides")


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="voice.segment_settings", hint=hint)


def segment(blocks: Iterable[np.ndarray], settings: SegmentSettings | None = None) -> list[Segment]:
    """The segments of a recording, in order, disjoint, none longer than `max_s`.

    Memory does not grow with the recording but for what is returned (and 1.4 MB an hour for `global`, which
    has to have heard all of it first). The result does not depend on where the blocks begin.

    Args:
        blocks: float32 (n,) in [-1, 1], mono, at 22,050 Hz, of any lengths; together the recording.

    Raises:
        AudioError: `audio.not_samples`, for samples that are no numbers.
    """
    return list(iter_segments(blocks, settings))


def iter_segments(blocks: Iterable[np.ndarray], settings: SegmentSettings | None = None) -> Iterator[Segment]:
    """As `segment`, each as soon as it is certain, some minutes after it was heard."""
    settings = settings or SegmentSettings()
    counted = Counted(blocks)
    rules = _rules(settings)
    found = windows(
        frame_levels(counted),
        overlap=2 * rules.longest,
        floor_reach=frames_of(settings.floor_reach_s),
        peak_reach=frames_of(settings.peak_reach_s),
        constant=settings.method == GLOBAL,
        split=lambda levels, bounds: cut_into_pieces(levels, bounds, rules),
    )
    for piece in found:
        yield _in_samples(piece, counted.samples)


def _rules(settings: SegmentSettings) -> Rules:
    return Rules(
        # a cut lies in the middle of a frame, but for the ends of the recording: half a frame to spare
        longest=round(settings.max_s * RATE_HZ) // FRAME_SAMPLES - 1,
        shortest=frames_of(settings.min_s),
        pause=frames_of(settings.pause_s),
        long_pause=frames_of(settings.long_pause_s),
        pad=frames_of(settings.pad_s),
        factor=settings.factor,
        lower=settings.lower,
        rounds=settings.rounds,
    )


def _in_samples(piece: Piece, samples: int) -> Segment:
    """`samples`: those heard so far, which is all of them when a piece reaches the last frame."""
    return Segment(_edge(piece.start, samples), _edge(piece.end, samples), piece.forced)


def _edge(frame: int, samples: int) -> int:
    if frame == 0 or frame * FRAME_SAMPLES >= samples:
        return min(frame * FRAME_SAMPLES, samples)
    return min(frame * FRAME_SAMPLES + FRAME_SAMPLES // 2, samples)


def segment_wav(path: str | os.PathLike[str], settings: SegmentSettings | None = None) -> list[Segment]:
    """As `segment`, of a 16-bit mono WAV file at 22,050 Hz, of which 30 s at a time are in memory.

    Raises:
        AudioError: as `read_wav`; `voice.rate`, for a file of another sample rate.
    """
    return segment(wav_blocks(path), settings)


def wav_blocks(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """float32 blocks (n,) of a 16-bit mono WAV file at 22,050 Hz; errors as `segment_wav`."""
    info = wav_info(path)
    if info.rate_hz != RATE_HZ:
        raise AudioError(
            f"it has {info.rate_hz} Hz, and voices are made at {RATE_HZ}",
            code="voice.rate",
            subject=os.fspath(path),
            hint="Ingest it: that makes a copy at the right rate",
        )
    for start in range(0, info.samples, _BLOCK_SAMPLES):
        yield read_wav(path, start, min(start + _BLOCK_SAMPLES, info.samples))


def dropped(segments: Sequence[Segment], samples: int) -> list[Span]:
    """What no segment holds of a recording of so many samples: with the segments, all of it, once.

    Raises:
        ValueError: the segments overlap, are not in order, or reach beyond the recording.
    """
    gaps: list[Span] = []
    position = 0
    for one in segments:
        if not position <= one.start < one.end <= samples:
            raise ValueError(f"segment {one.start} to {one.end} does not follow {position} in {samples}")
        if one.start > position:
            gaps.append(Span(position, one.start))
        position = one.end
    return [*gaps, Span(position, samples)] if position < samples else gaps
