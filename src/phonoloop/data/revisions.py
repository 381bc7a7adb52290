"""How a transcript is made, replaced and told: what the stages that write transcripts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import NotFoundError
from phonoloop.core.events import NLP_POSTPROCESSED, TRANSCRIPTION_COMPLETED, Event
from phonoloop.core.ids import canonical_json
from phonoloop.core.ports import BlobStore, Transaction
from phonoloop.data.model import Provenance, Recording, Transcript, TranscriptRevision
from phonoloop.data.sidecar import Sidecar, TimedText


def transcript_uri(audio_id: str) -> str:
    return f"transcripts/{audio_id}.json"


def transcript_body(transcript: Transcript) -> dict[str, Any]:
    """The transcript as JSON values."""
    body = asdict(transcript)
    body["provenance"] = str(transcript.provenance)
    body["updated_at"] = transcript.updated_at.isoformat()
    return body


def write_transcript(blobs: BlobStore, transcript: Transcript) -> None:
    """Stores it under its `uri`; the same revision gives the same bytes."""
    body = transcript_body(transcript)
    del body["updated_at"]
    blobs.put(transcript.uri, (canonical_json(body) + "\n").encode())


def timed_segments(segments: Sequence[TimedText], confidence: float = 1.0) -> tuple[dict[str, Any], ...]:
    return tuple(asdict(segment) | {"confidence": confidence} for segment in segments)


def sidecar_transcript(recording: Recording, sidecar: Sidecar) -> Transcript:
    return Transcript(
        audio_id=recording.audio_id,
        revision=1,
        text=sidecar.full_text,
        provenance=Provenance.SIDECAR,
        language=sidecar.language or recording.language,
        segments=timed_segments([segment for segment in sidecar.segments if segment.text]),
        uri=transcript_uri(recording.audio_id),
    )


def take_sidecar_text(tx: Transaction, recording: Recording, sidecar: Sidecar) -> bool:
    """Takes a text that came later than its recording, unless a person or a sidecar wrote one already."""
    current = tx.get(Transcript, recording.audio_id)
    if not sidecar.full_text or (current is not None and current.provenance != Provenance.MACHINE):
        return False
    kept = put_revision(tx, sidecar_transcript(recording, sidecar))
    tx.emit(completed(kept))
    return True


def put_revision(tx: Transaction, transcript: Transcript) -> Transcript:
    """Makes it the current transcript; what was there before is kept as a `TranscriptRevision`."""
    before = tx.get(Transcript, transcript.audio_id)
    if before is not None:
        tx.add(_archived(before))
        transcript = replace(transcript, revision=before.revision + 1)
    tx.put(replace(transcript, updated_at=utc_now()))
    return transcript


def _archived(transcript: Transcript) -> TranscriptRevision:
    return TranscriptRevision(
        revision_id=f"{transcript.audio_id}/{transcript.revision:06d}",
        audio_id=transcript.audio_id,
        revision=transcript.revision,
        body=transcript_body(transcript),
        created_at=transcript.updated_at,
    )


def recording_of(tx: Transaction, audio_id: str) -> Recording:
    """Raises NotFoundError `recording.missing`."""
    recording = tx.get(Recording, audio_id)
    if recording is None:
        raise NotFoundError(
            "there is no such recording",
            code="recording.missing",
            subject=audio_id,
            hint="`phonoloop status` lists what was taken in",
        )
    return recording


def completed(transcript: Transcript) -> Event:
    data: Mapping[str, Any] = {
        "audio_id": transcript.audio_id,
        "transcript_uri": transcript.uri,
        "revision": transcript.revision,
        "text": transcript.text,
        "provenance": str(transcript.provenance),
        "model_version": transcript.model_version,
        "confidence": transcript.confidence,
    }
    return Event(TRANSCRIPTION_COMPLETED, transcript.audio_id, data)


def postprocessed(transcript: Transcript) -> Event:
    data: Mapping[str, Any] = {
        "audio_id": transcript.audio_id,
        "transcript_uri": transcript.uri,
        "revision": transcript.revision,
        "text_clean": transcript.text_clean,
        "text_with_diacritics": transcript.text_with_diacritics,
        "corrections": [dict(correction) for correction in transcript.corrections],
    }
    return Event(NLP_POSTPROCESSED, transcript.audio_id, data)
