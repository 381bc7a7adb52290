"""Transcripts for people: read, and correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phonoloop.core.errors import InputError
from phonoloop.core.ports import Records, Transaction
from phonoloop.data.correct import Corrector, cleaned, transcript_of
from phonoloop.data.curate import CurateRules, TrainedHours, curate_in, never_trained
from phonoloop.data.model import Provenance, Transcript, TranscriptRevision
from phonoloop.data.revisions import (
    completed,
    postprocessed,
    put_revision,
    recording_of,
    timed_segments,
    transcript_uri,
    write_transcript,
)
from phonoloop.data.sidecar import TimedText
from phonoloop.data.stores import Stores, in_transaction


@dataclass(frozen=True, slots=True)
class CorrectionByPerson:
    """What somebody says is said in a recording.

    Attributes:
        text_clean: derived from the text where it is None.
        segments: where in the recording; needed where it was cut into several clips.
    """

    text: str
    text_clean: str | None = None
    segments: Sequence[TimedText] = ()
    author: str = ""


def get_transcript(records: Records, audio_id: str) -> Transcript:
    """Raises NotFoundError `recording.missing` or `transcript.missing`."""
    with records.transaction() as tx:
        recording_of(tx, audio_id)
        return transcript_of(tx, audio_id)


def earlier_revisions(records: Records, audio_id: str) -> list[TranscriptRevision]:
    """What the transcript was before, oldest first."""
    with records.transaction() as tx:
        return tx.find(TranscriptRevision, audio_id=audio_id)


def put_transcript(
    stores: Stores,
    audio_id: str,
    given: CorrectionByPerson,
    rules: CurateRules,
    *,
    trained_hours: TrainedHours = never_trained,
    corrector: Corrector | None = None,
) -> Transcript:
    """A person's correction becomes the current transcript and the clips are judged anew.

    The same correction by the same person twice is one revision.

    Raises:
        NotFoundError: `recording.missing`.
        InputError: `transcript.text` where a text holds what cannot be stored.
    """
    for text in (given.text, given.text_clean or "", given.author, *(s.text for s in given.segments)):
        _check_storable(text, audio_id)

    def work(tx: Transaction) -> Transcript:
        transcript = _put(tx, audio_id, given, corrector)
        curate_in(tx, audio_id, rules, trained_hours)
        return transcript

    transcript = in_transaction(stores.records, work)
    write_transcript(stores.blobs, transcript)
    return transcript


def _check_storable(text: str, audio_id: str) -> None:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError(
            "the text holds a zero byte or a broken character",
            code="transcript.text",
            subject=audio_id,
            hint="Send Unicode text",
        )


def _put(
    tx: Transaction, audio_id: str, given: CorrectionByPerson, corrector: Corrector | None
) -> Transcript:
    recording = recording_of(tx, audio_id)
    wanted = cleaned(
        Transcript(
            audio_id=audio_id,
            revision=1,
            text=given.text.strip(),
            provenance=Provenance.HUMAN,
            language=recording.language,
            segments=timed_segments(given.segments),
            text_clean=(given.text_clean or "").strip(),
            text_with_diacritics=(given.text_clean or "").strip(),
            uri=transcript_uri(audio_id),
            author=given.author,
        ),
        corrector,
    )
    current = tx.get(Transcript, audio_id)
    if current is not None and current == replace(
        wanted, revision=current.revision, updated_at=current.updated_at
    ):
        return current
    kept = put_revision(tx, wanted)
    tx.emit(completed(kept))
    tx.emit(postprocessed(kept))
    return kept
