"""From a recording to a transcript: the sidecar's text, or what a recogniser hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from phonoloop.audio.wav import read_wav
from phonoloop.core.ports import Transaction
from phonoloop.core.speech import Transcriber, Transcription
from phonoloop.core.units import samples_to_ms
from phonoloop.data.curate import NO_TRANSCRIPT, waiting_clips
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Split, Transcript
from phonoloop.data.pseudo import disagreement, text_fault
from phonoloop.data.revisions import (
    completed,
    put_revision,
    recording_of,
    transcript_uri,
    write_transcript,
)
from phonoloop.data.stores import Stores, in_transaction


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was heard in a clip.

    Attributes:
        fault: the code of why its text was taken away: nobody said it.
        second: what another recogniser heard.
    """

    clip: Clip
    result: Transcription
    fault: str = ""
    second: Transcription | None = None


def transcribe_recording(
    stores: Stores,
    audio_id: str,
    transcriber: Transcriber | None,
    *,
    second: Transcriber | None = None,
    again: bool = False,
) -> Transcript | None:
    """The stage: makes sure that a recording has a transcript, and tells of it.

    What a person or a sidecar wrote stays. Without a recogniser the clips wait, and
    `waiting_for_transcript` finds them later.

    Args:
        second: another recogniser, whose opinion is kept beside the text; clips on which the two do not
            agree are not trained on.
        again: replaces what another recogniser heard before.

    Returns:
        None where there is no text and nothing that could hear one.

    Raises:
        NotFoundError: `recording.missing`.
    """
    recording, clips, current = in_transaction(stores.records, lambda tx: _read(tx, audio_id))
    if current is not None and not (again and current.provenance == Provenance.MACHINE and transcriber):
        write_transcript(stores.blobs, current)
        return in_transaction(stores.records, lambda tx: _tell(tx, audio_id))
    if transcriber is None:
        in_transaction(stores.records, lambda tx: _mark_waiting(tx, audio_id))
        return None
    heard = [_hear(stores, recording, clip, transcriber, second) for clip in clips]
    made = _transcript(recording, heard, transcriber.model_version)
    made = replace(made, revision=current.revision + 1 if current else 1)
    write_transcript(stores.blobs, made)
    kept = in_transaction(stores.records, lambda tx: _keep(tx, made))
    if kept.revision != made.revision or kept.provenance != made.provenance:
        write_transcript(stores.blobs, kept)
    return kept


def waiting_for_transcript(tx: Transaction) -> list[str]:
    """The recordings whose clips wait until something can hear them."""
    return sorted({clip.audio_id for clip in waiting_clips(tx, NO_TRANSCRIPT)})


def _read(tx: Transaction, audio_id: str) -> tuple[Recording, list[Clip], Transcript | None]:
    clips = tx.find(Clip, audio_id=audio_id, order_by="start_sample")
    return recording_of(tx, audio_id), clips, tx.get(Transcript, audio_id)


def _tell(tx: Transaction, audio_id: str) -> Transcript | None:
    """Tells what is there now: somebody may have written better text in the meantime."""
    current = tx.get(Transcript, audio_id)
    if current is not None:
        tx.emit(completed(current))
    return current


def _mark_waiting(tx: Transaction, audio_id: str) -> None:
    for clip in tx.find(Clip, audio_id=audio_id, status=ClipStatus.WAITING, reason=""):
        tx.put(replace(clip, reason=NO_TRANSCRIPT))


def _hear(
    stores: Stores, recording: Recording, clip: Clip, transcriber: Transcriber, second: Transcriber | None
) -> _Heard:
    path = stores.blobs.local_path(recording.path)
    samples = read_wav(path, clip.start_sample, clip.end_sample)
    result = transcriber.transcribe(samples)
    if fault := text_fault(result.text):
        return _Heard(clip, result, fault)
    asked = second is not None and clip.split == Split.TRAIN
    return _Heard(clip, result, second=second.transcribe(samples) if asked else None)


def _transcript(recording: Recording, heard: Sequence[_Heard], model_version: str) -> Transcript:
    """One segment a clip, in the recording's time."""
    spoken = [item for item in heard if item.result.text.strip() and not item.fault]
    return Transcript(
        audio_id=recording.audio_id,
        revision=1,
        text=" ".join(item.result.text.strip() for item in spoken),
        provenance=Provenance.MACHINE,
        model_version=model_version,
        confidence=_mean_confidence(spoken),
        language=next((item.result.language for item in spoken if item.result.language), recording.language),
        segments=tuple(_segment(item) for item in heard if item in spoken or item.fault),
        words=tuple(word for item in spoken for word in _words(item)),
        uri=transcript_uri(recording.audio_id),
    )


def _mean_confidence(spoken: Sequence[_Heard]) -> float:
    """By duration; 0 where the recogniser gives none."""
    spoken_s = sum(item.clip.duration_s for item in spoken)
    if not spoken_s or any(item.result.confidence is None for item in spoken):
        return 0.0
    return sum(item.result.confidence * item.clip.duration_s for item in spoken) / spoken_s


def _segment(item: _Heard) -> dict[str, Any]:
    text = item.result.text.strip()
    segment: dict[str, Any] = {
        "start_ms": samples_to_ms(item.clip.start_sample),
        "end_ms": samples_to_ms(item.clip.end_sample),
        "text": "" if item.fault else text,
        "confidence": item.result.confidence,
        "calibrated": item.result.calibrated,
    }
    if item.fault:
        segment |= {"fault": item.fault, "heard": text}
    if item.second is not None:
        segment["second"] = {
            "text": item.second.text,
            "model_version": item.second.model_version,
            "disagreement": disagreement(text, item.second.text),
        }
    return segment


def _words(item: _Heard) -> list[dict[str, object]]:
    offset_ms = samples_to_ms(item.clip.start_sample)
    moved = (
        replace(word, start_ms=word.start_ms + offset_ms, end_ms=word.end_ms + offset_ms)
        for word in item.result.words
    )
    return [asdict(word) for word in moved]


def _keep(tx: Transaction, made: Transcript) -> Transcript:
    """Records what was heard, unless somebody else wrote a transcript in the meantime; tells what is
    there now."""
    current = tx.get(Transcript, made.audio_id)
    overtaken = current is not None and current.revision >= made.revision
    kept = current if overtaken else put_revision(tx, made)
    tx.emit(completed(kept))
    return kept
