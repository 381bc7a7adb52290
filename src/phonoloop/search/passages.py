"""Which stretches of a recording can be found, and what is said in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phonoloop.core.ids import clip_id
from phonoloop.core.units import ms_to_samples
from phonoloop.data.model import Clip, IndexedText, Recording, Transcript
from phonoloop.search.words import pairs, plain, words_of
from phonoloop.text.normalise import display


@dataclass(frozen=True, slots=True)
class Passage:
    """[start_sample, end_sample) of a recording, and what is said there.

    Attributes:
        words: of the text, in scoring form.
        clip_id: empty where no clip has that span.
    """

    start_sample: int
    end_sample: int
    text: str
    clip_id: str
    snr_db: float
    words: tuple[str, ...] = ()


def passages(recording: Recording, transcript: Transcript, clips: Sequence[Clip]) -> list[Passage]:
    """What is said clip by clip, where the transcript says it; else the whole recording as one.

    Nothing that was said is left out: a segment outside of every clip is a passage of its own.
    """
    whole = transcript.text_clean or display(transcript.text)
    if len(clips) == 1 and (_is_whole(clips[0], recording) or not transcript.segments):
        found = [_of_clip(clips[0], whole)]
    elif not transcript.segments:
        found = [Passage(0, recording.samples, whole, "", recording.snr_db)]
    else:
        found = [*_by_clip(transcript, clips), *_between(transcript, clips, recording)]
    cut = [replace(passage, words=tuple(words_of(passage.text))) for passage in found]
    return [passage for passage in cut if passage.words]


def _is_whole(clip: Clip, recording: Recording) -> bool:
    return clip.end_sample - clip.start_sample == recording.samples


def _by_clip(transcript: Transcript, clips: Sequence[Clip]) -> Iterator[Passage]:
    for clip in clips:
        inside = [s["text"] for s in transcript.segments if _is_within(s, clip)]
        yield _of_clip(clip, display(" ".join(inside)))


def _of_clip(clip: Clip, text: str) -> Passage:
    return Passage(clip.start_sample, clip.end_sample, text, clip.clip_id, clip.snr_db)


def _between(transcript: Transcript, clips: Sequence[Clip], recording: Recording) -> Iterator[Passage]:
    for segment in transcript.segments:
        if not any(_is_within(segment, clip) for clip in clips):
            start = min(ms_to_samples(segment["start_ms"]), recording.samples)
            end = min(ms_to_samples(segment["end_ms"]), recording.samples)
            yield Passage(start, max(start, end), display(segment["text"]), "", recording.snr_db)


def _is_within(segment: Mapping[str, Any], clip: Clip) -> bool:
    """By its middle, as the dataset has it."""
    middle = ms_to_samples(segment["start_ms"] + segment["end_ms"]) // 2
    return clip.start_sample <= middle < clip.end_sample


def as_indexed(
    passage: Passage, recording: Recording, transcript: Transcript, *, embedder: str, vector: bytes
) -> IndexedText:
    bare = plain(passage.words)
    return IndexedText(
        text_id=clip_id(recording.audio_id, passage.start_sample, passage.end_sample),
        audio_id=recording.audio_id,
        clip_id=passage.clip_id,
        speaker_id=recording.speaker_id,
        split=recording.split,
        provenance=transcript.provenance,
        snr_db=passage.snr_db,
        recorded_at=recording.created_at,
        start_sample=passage.start_sample,
        end_sample=passage.end_sample,
        revision=transcript.revision,
        text=passage.text,
        words=" ".join(passage.words),
        plain=" ".join(bare),
        pairs=" ".join(pairs(bare)),
        embedder=embedder,
        vector=vector,
    )
