"""From segments to clips: trimmed, short neighbours joined, noise taken out where there is much, levelled.

Nothing is lost: a clip says which spans of its source it is made of, the source stays as it is, and clips
that will not be trained on are made too, with what was measured. What speaks against one is for `gates` to
say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from phonoloop.audio.denoise import DenoiseSettings, denoise
from phonoloop.audio.loudness import LoudnessSettings, gain_db, raised
from phonoloop.audio.wav import to_int16
from phonoloop.core.errors import ConfigError, InputError
from phonoloop.core.ids import content_id
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, Segment, Stretch, VoiceClip, clip_name
from phonoloop.voice.measured import of_recording, of_voice
from phonoloop.voice.samples import Passage, Samples
from phonoloop.voice.trim import CUT_REACH, trimmed

#: of what comes out of the same settings; another number for another result
_ALGORITHM = "process/1"
#: how much of what is around a clip tells what the noise is
_AROUND = RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """How clips are made of segments.

    Attributes:
        max_s: no clip gets longer by joining; as that of the segmentation.
        join_below_s: a shorter one is joined to a neighbour that is at most `join_gap_s` away. 0: never.
        pad_s: what is kept of the silence at both ends.
        longest_pause_s: a longer pause inside of a clip is shortened to it.
        fade_ms: at both ends.
        denoise_below_db: noise is taken out where the signal-to-noise ratio is lower. None: never.
        denoise, loudness: see there.

    Raises:
        ConfigError: `voice.process_settings`.
    """

    max_s: float = 12.0
    join_below_s: float = 1.5
    join_gap_s: float = 1.5
    pad_s: float = 0.15
    longest_pause_s: float = 0.6
    fade_ms: int = 5
    denoise_below_db: float | None = 25.0
    denoise: DenoiseSettings = field(default_factory=DenoiseSettings)
    loudness: LoudnessSettings = field(default_factory=LoudnessSettings)

    def __post_init__(self) -> None:
        least_pad_s = max(CUT_REACH / RATE_HZ, self.fade_ms / 1000)
        if not least_pad_s <= self.pad_s <= self.longest_pause_s / 2:
            message = f"a padding of {self.pad_s:g} s does not fit"
            raise _refused(message, f"Take {least_pad_s:g} s to half of longest_pause_s")
        if min(self.join_below_s, self.join_gap_s, self.fade_ms) < 0 or self.max_s <= 0:
            raise _refused("lengths cannot be negative", "See the defaults")


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="voice.process_settings", hint=hint)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Of one segment, or of neighbours that were joined.

    Attributes:
        speech: samples in which somebody speaks.
        kinds: of the stretches that it lies in.
    """

    spans: tuple[Span, ...]
    speech: int
    kinds: frozenset[str]
    forced_cut: bool

    @property
    def samples(self) -> int:
        return sum(span.samples for span in self.spans)


def process_source(
    samples: Samples,
    segments: Sequence[Segment],
    *,
    source_id: str,
    marks: Sequence[Stretch] = (),
    settings: ProcessSettings | None = None,
    variant: str = "",
) -> Iterator[tuple[VoiceClip, np.ndarray]]:
    """Each clip of a source in the order of time, with its int16 samples (n,) at 22,050 Hz; none is refused.

    Memory does not grow with the source, but for the segments. Every sample of a clip is one of a segment.

    Args:
        segments: in order, disjoint, inside of the source.
        marks: what else is heard; the clip's facts tell how much of it.
        variant: in what the samples differ from the source's own: the name of what separated them.

    Raises:
        InputError: `voice.segments`, for segments that are not in order or not in the source.
        AudioError: as `read_wav`.
    """
    rules = settings or ProcessSettings()
    _check(samples, segments)
    processing = content_id([_ALGORITHM, variant, asdict(rules)])
    pieces = (_piece(samples, segment, marks, rules) for segment in segments if segment.samples)
    for piece in _joined(pieces, rules):
        pcm, facts = _made(samples, piece, rules)
        facts |= {"forced_cut": piece.forced_cut, "marked_s": _marked_s(piece.spans, marks)}
        clip_id = clip_name(source_id, piece.spans, processing)
        clip = VoiceClip(
            clip_id=clip_id, source_id=source_id, spans=piece.spans, samples=pcm.size, facts=facts
        )
        yield clip, pcm


def _check(samples: Samples, segments: Sequence[Segment]) -> None:
    end = 0
    for segment in segments:
        if not end <= segment.start <= segment.end <= samples.samples:
            raise InputError(
                f"the segment from sample {segment.start} to {segment.end} is not where one can be: "
                f"the last one ended at {end}, and the source at {samples.samples}",
                code="voice.segments",
                hint="Cut the source again",
            )
        end = segment.end


def _piece(samples: Samples, segment: Segment, marks: Sequence[Stretch], rules: ProcessSettings) -> _Piece:
    passage = Passage.around(samples, segment.start, segment.end, margin=_AROUND)
    kept = trimmed(
        passage,
        segment,
        pad=round(rules.pad_s * RATE_HZ),
        longest_pause=round(rules.longest_pause_s * RATE_HZ),
    )
    return _Piece(kept.spans, kept.speech, frozenset(_marked_s(kept.spans, marks)), segment.forced_cut)


def _joined(pieces: Iterator[_Piece], rules: ProcessSettings) -> Iterator[_Piece]:
    """Short ones with the one before or after; what has something against it joins nothing."""
    held = next(pieces, None)
    for piece in pieces:
        together = _together(held, piece, rules)
        if together is None:
            yield held
        held = together or piece
    if held is not None:
        yield held


def _together(one: _Piece, other: _Piece, rules: ProcessSettings) -> _Piece | None:
    """Both as one; None where they stay apart."""
    alike = (
        one.kinds == other.kinds and not (one.forced_cut or other.forced_cut) and one.speech and other.speech
    )
    short = min(one.samples, other.samples) < rules.join_below_s * RATE_HZ
    gap = other.spans[0].start - one.spans[-1].end
    if not (alike and short) or gap > rules.join_gap_s * RATE_HZ:
        return None
    spans = (*one.spans, *other.spans)
    if gap <= (rules.longest_pause_s - 2 * rules.pad_s) * RATE_HZ:
        bridge = Span(one.spans[-1].start, other.spans[0].end)
        spans = (*one.spans[:-1], bridge, *other.spans[1:])
    both = _Piece(spans, one.speech + other.speech, one.kinds, forced_cut=False)
    return both if both.samples <= round(rules.max_s * RATE_HZ) else None


def _marked_s(spans: Sequence[Span], marks: Sequence[Stretch]) -> dict[str, float]:
    """How many seconds of each kind there are, counting certainty: half certain for a second is half of one.

    Stretches of one kind that overlap count each, up to the whole of the clip.
    """
    marked: dict[str, float] = {}
    for mark in marks:
        shared = sum(max(0, min(span.end, mark.end) - max(span.start, mark.start)) for span in spans)
        if shared:
            marked[mark.kind] = marked.get(mark.kind, 0.0) + shared * mark.certainty / RATE_HZ
    whole_s = sum(span.samples for span in spans) / RATE_HZ
    return {kind: round(min(seconds, whole_s), 3) for kind, seconds in sorted(marked.items())}


def _made(samples: Samples, piece: _Piece, rules: ProcessSettings) -> tuple[np.ndarray, dict[str, Any]]:
    passage = Passage.around(samples, piece.spans[0].start, piece.spans[-1].end, margin=_AROUND)
    raw = _cut_out(passage, piece.spans)
    facts = of_recording(raw, passage)
    noisy = rules.denoise_below_db is not None and facts["snr_db"] < rules.denoise_below_db
    if noisy:
        cleaned = Passage(denoise(passage.samples, RATE_HZ, rules.denoise), passage.start)
        raw = _cut_out(cleaned, piece.spans)
    raw = raw - raw.mean()
    by_db = gain_db(raw, RATE_HZ, rules.loudness)
    clip = _faded(raised(raw, by_db), rules.fade_ms * RATE_HZ // 1000)
    facts |= {"denoised": noisy, "gain_db": round(by_db, 1), "speech_s": round(piece.speech / RATE_HZ, 2)}
    return to_int16(clip), facts | of_voice(clip)


def _cut_out(passage: Passage, spans: Sequence[Span]) -> np.ndarray:
    return np.concatenate([passage.cut(span.start, span.end) for span in spans])


def _faded(samples: np.ndarray, fade: int) -> np.ndarray:
    """In and out over `fade` samples, along half a cosine, from and to exactly 0."""
    length = min(fade, samples.size // 2)
    slope = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
    faded = samples.copy()
    faded[:length] *= slope
    faded[samples.size - length :] *= slope[::-1]
    return faded
