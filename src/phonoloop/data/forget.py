"""Forgetting a speaker: the audio and what was said go; who must not come back stays known.

In an order that holds wherever the process is killed: first one unit of work marks the speaker, the
recordings and the models and takes the texts; then, recording by recording, the files are deleted and
after them the recording itself. As long as a recording is there its files may be, so forgetting again
goes on where it was killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import NotFoundError
from phonoloop.core.ids import content_id
from phonoloop.core.ports import Transaction
from phonoloop.data.model import (
    AuditEntry,
    Clip,
    IndexedText,
    IntakeOutcome,
    Recording,
    Speaker,
    Transcript,
    TranscriptRevision,
)
from phonoloop.data.revisions import transcript_uri
from phonoloop.data.sidecar import find_sidecars
from phonoloop.data.split import forgotten_key, is_forgotten, speaker_id_of
from phonoloop.data.stores import Stores, in_transaction

#: marks every model that heard a speaker, inside the unit of work that forgets; the names of those models
MarkModels = Callable[[Transaction, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went.

    Attributes:
        models: those that heard the speaker, now marked; the audio is in their weights all the same.
        files: how many files were deleted from the folders that the inbox is emptied into.
        wake_clips: how many clips of datasets of wake words went.
    """

    speaker_id: str
    recordings: int
    files: int
    models: tuple[str, ...]
    wake_clips: int = 0


def forget_speaker(
    stores: Stores, name: str, *, actor: str, mark_models: MarkModels, kept_in: Sequence[Path] = ()
) -> Forgotten:
    """The stage. Done again it goes on, and where nothing is left it changes nothing.

    Args:
        kept_in: folders with files that were taken in (`processed/`, `rejected/`); copies are deleted there.

    Raises:
        NotFoundError: `speaker.missing`.
        InputError: `speaker.name`.
    """
    speaker_id = speaker_id_of(name)
    models = in_transaction(stores.records, lambda tx: _mark(tx, speaker_id, actor, mark_models))
    with stores.records.transaction() as tx:
        recordings = tx.find(Recording, speaker_id=speaker_id)
    files = _delete_copies(kept_in, recordings, _outcomes(stores, recordings))
    for recording in recordings:
        _delete_objects(stores, recording)
        in_transaction(stores.records, lambda tx, recording=recording: _drop(tx, recording))
        stores.blobs.delete(transcript_uri(recording.audio_id))  # one that was written in the meantime
    return Forgotten(speaker_id, len(recordings), files, tuple(models))


def speaker_of(tx: Transaction, name: str) -> Speaker:
    """Raises NotFoundError `speaker.missing`."""
    speaker_id = speaker_id_of(name)
    speaker = tx.get(Speaker, speaker_id)
    if speaker is None:
        raise NotFoundError(
            "there is no such speaker",
            code="speaker.missing",
            subject=speaker_id,
            hint="`phonoloop speakers list` shows all",
        )
    return speaker


def _mark(tx: Transaction, speaker_id: str, actor: str, mark_models: MarkModels) -> Sequence[str]:
    speaker = speaker_of(tx, speaker_id)
    recordings = tx.find(Recording, speaker_id=speaker_id)
    for recording in recordings:
        tx.put(_tombstone(recording, actor))
        _drop_texts(tx, recording.audio_id)
    if is_forgotten(speaker):
        return speaker.attributes.get("models", ())
    models = list(mark_models(tx, speaker_id))
    kept = {"forgotten": True, "models": models}
    tx.put(replace(speaker, name=speaker_id, attributes=kept))
    tx.put(_audit(speaker_id, actor, {"recordings": len(recordings), "models": models}))
    return models


def _tombstone(recording: Recording, actor: str) -> AuditEntry:
    """Ingest asks for it by the audio's name, and refuses that audio."""
    return AuditEntry(
        audit_id=forgotten_key(recording.audio_id),
        actor=actor,
        action="recording.forgotten",
        subject=recording.audio_id,
    )


def _audit(speaker_id: str, actor: str, detail: dict[str, Any]) -> AuditEntry:
    now = utc_now()
    return AuditEntry(
        audit_id=content_id(["speaker.forgotten", speaker_id, now.isoformat()]),
        actor=actor,
        action="speaker.forgotten",
        subject=speaker_id,
        detail=detail,
        created_at=now,
    )


def _drop_texts(tx: Transaction, audio_id: str) -> None:
    for clip in tx.find(Clip, audio_id=audio_id):
        tx.delete(Clip, clip.clip_id)
    for revision in tx.find(TranscriptRevision, audio_id=audio_id):
        tx.delete(TranscriptRevision, revision.revision_id)
    for text in tx.find(IndexedText, audio_id=audio_id):
        tx.delete(IndexedText, text.text_id)
    tx.delete(Transcript, audio_id)


def _drop(tx: Transaction, recording: Recording) -> None:
    _drop_texts(tx, recording.audio_id)
    for outcome in tx.find(IntakeOutcome, audio_id=recording.audio_id):
        tx.delete(IntakeOutcome, outcome.outcome_id)
    tx.delete(Recording, recording.audio_id)


def _delete_objects(stores: Stores, recording: Recording) -> None:
    for key in (recording.path, recording.original_key, transcript_uri(recording.audio_id)):
        stores.blobs.delete(key)


def _outcomes(stores: Stores, recordings: Sequence[Recording]) -> list[IntakeOutcome]:
    with stores.records.transaction() as tx:
        return [one for r in recordings for one in tx.find(IntakeOutcome, audio_id=r.audio_id)]


def _delete_copies(
    folders: Sequence[Path], recordings: Sequence[Recording], outcomes: Sequence[IntakeOutcome]
) -> int:
    """Files with the same bytes, and those that were recorded as the same audio; with what lies beside them.

    A person's own files elsewhere are theirs, whatever is recorded of them.
    """
    hashes = {recording.original_sha256 for recording in recordings}
    places = {one.kept_at for one in outcomes}
    doomed = [path for path in _files(folders) if str(path) in places or _sha256(path) in hashes]
    beside = {sidecar for path in doomed for sidecar in find_sidecars(path)}
    for path in [*beside, *doomed]:  # the audio last: by it the others are found again
        path.unlink(missing_ok=True)
    return len(beside) + len(doomed)


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
