"""Datasets of wake-word clips: made, filled, labelled, cleared. What the shell and HTTP both do.

context = DatasetContext(records, blobs, root=data, decoder=decoder, detector=detector)
create(context, "computer", NewDataset(phrase="computer", language="en"), actor="an")
added = add_file(context, "computer", path, About(label=Label.POSITIVE, speaker="An"), actor="an")
change_clip(context, added.clip.clip_id, Wish(notes="a cough at the end"), actor="an")
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, InputError, NotFoundError
from phonoloop.core.speech import SpeechDetector
from phonoloop.data.model import AuditEntry
from phonoloop.data.split import SpeakerClaim, SplitRule, enrol, forgotten_key, speaker_id_of
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.wakeword.clips import AudioDecoder
from phonoloop.wakeword.datasets_inspect import DatasetRules, check_speech, label_flags
from phonoloop.wakeword.datasets_model import Dataset, DatasetClip, check_dataset_id
from phonoloop.wakeword.datasets_said import MOST_NOTES, MOST_TEXT, SAID, About, Wish, checked, short
from phonoloop.wakeword.datasets_store import DatasetFiles, change, clip_key, dataset_ids


@dataclass(frozen=True)
class DatasetContext(Stores):
    """Everything that datasets need.

    Attributes:
        root: the data folder.
        detector: measures how long somebody speaks.
        split: which split speakers that are new come into.
    """

    root: Path
    decoder: AudioDecoder
    detector: SpeechDetector
    rules: DatasetRules = field(default_factory=DatasetRules)
    split: SplitRule = field(default_factory=SplitRule)

    def files(self, dataset_id: str) -> DatasetFiles:
        return DatasetFiles(Stores(self.records, self.blobs), self.root, self.rules, dataset_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """What a dataset is for. `licence`: of clips that do not say their own."""

    phrase: str
    language: str = ""
    licence: str = ""
    notes: str = ""


# ---------------------------------------------------------------- datasets


def create(context: DatasetContext, dataset_id: str, new: NewDataset, *, actor: str) -> Dataset:
    """
    Raises:
        InputError: `dataset.id`, `dataset.text`. ConflictError: `dataset.exists`.
    """
    check_dataset_id(dataset_id)
    phrase = short("phrase", new.phrase)
    if not phrase:
        raise InputError("a dataset needs its phrase", code="dataset.text", subject=dataset_id)
    made = change(actor, "dataset.created", dataset_id, phrase=phrase, language=new.language)
    dataset = Dataset(
        dataset_id=dataset_id,
        phrase=phrase,
        language=short("language", new.language),
        licence=short("licence", new.licence),
        notes=short("notes", new.notes, MOST_NOTES),
        created_at=made.at,
        created_by=actor,
    )
    if not context.files(dataset_id).create(dataset, made):
        raise ConflictError(
            "there is such a dataset already",
            code="dataset.exists",
            subject=dataset_id,
            hint="Choose another id, or add to the one that is there",
        )
    return get(context, dataset_id)


def get(context: DatasetContext, dataset_id: str) -> Dataset:
    """Raises as `DatasetFiles.read`."""
    return context.files(dataset_id).read()


def all_datasets(context: DatasetContext) -> list[Dataset]:
    return [get(context, dataset_id) for dataset_id in dataset_ids(context.root)]


def dataset_of(context: DatasetContext, clip_id: str) -> str:
    """The id of the dataset that a clip is in.

    Raises:
        NotFoundError: `clip.missing`.
    """
    dataset_id = _home(context, _checked_clip_id(clip_id))
    clip_in(get(context, dataset_id), clip_id)
    return dataset_id


def _home(context: DatasetContext, clip_id: str) -> str:
    """The dataset in whose folder its audio lies."""
    for dataset_id in dataset_ids(context.root):
        if context.blobs.stat(clip_key(dataset_id, clip_id)):
            return dataset_id
    raise _no_clip(clip_id)


def clip_in(dataset: Dataset, clip_id: str) -> DatasetClip:
    """Raises NotFoundError `clip.missing`."""
    name = _checked_clip_id(clip_id)
    if name not in dataset.clips:
        raise _no_clip(clip_id)
    return dataset.clips[name]


def clip_file(context: DatasetContext, clip_id: str) -> Path:
    """Its audio, 16 kHz WAV. Raises as `dataset_of`."""
    return context.blobs.local_path(clip_key(dataset_of(context, clip_id), _checked_clip_id(clip_id)))


def _checked_clip_id(clip_id: str) -> str:
    """As a clip's file is called: never a path."""
    try:
        return str(uuid.UUID(clip_id))
    except ValueError:
        raise _no_clip(clip_id) from None


def _no_clip(clip_id: str) -> NotFoundError:
    return NotFoundError(
        "there is no such clip",
        code="clip.missing",
        subject=clip_id[:MOST_TEXT],
        hint="`phonoloop wakeword dataset show DATASET --clips` lists them",
    )


# ---------------------------------------------------------------- changing


def change_clip(context: DatasetContext, clip_id: str, wish: Wish, *, actor: str) -> DatasetClip:
    """Labels, tags and notes; whoever does it is the clip's last reviewer.

    Raises:
        NotFoundError: `clip.missing`. ConflictError: `clip.is_deleted`.
        AudioError: as `check_speech`, where it is to be positive and is too short or long for that.
        InputError: `speaker.name`, `speaker.forgotten`, `dataset.text`, `clip.distance`.
    """
    (changed,) = change_clips(context, [clip_id], wish, actor=actor)
    return changed


def change_clips(
    context: DatasetContext, clip_ids: Sequence[str], wish: Wish, *, actor: str
) -> list[DatasetClip]:
    """As `change_clip`, for many: all of one dataset, or none of them. Raises as `change_clip`."""

    def changed(clip: DatasetClip) -> tuple[DatasetClip, str, dict[str, Any]]:
        if clip.deleted:
            raise ConflictError(
                "this clip is deleted", code="clip.is_deleted", subject=clip.clip_id, hint="Restore it first"
            )
        after = _wished(context, clip, wish)
        detail = _differences(clip, after)
        reviewed = replace(after, reviewed_at=utc_now().isoformat(), reviewed_by=actor)
        return reviewed, "clip.changed", detail

    return _each(context, clip_ids, changed, actor=actor)


def delete_clips(context: DatasetContext, clip_ids: Sequence[str], *, actor: str) -> list[DatasetClip]:
    """Soft: they stay until they are purged, and can be restored. Deleting again changes nothing.

    Raises:
        NotFoundError: `clip.missing`.
    """

    def deleted(clip: DatasetClip) -> tuple[DatasetClip, str, dict[str, Any]] | None:
        if clip.deleted:
            return None
        return replace(clip, deleted_at=utc_now().isoformat(), deleted_by=actor), "clip.deleted", {}

    return _each(context, clip_ids, deleted, actor=actor)


def restore_clips(context: DatasetContext, clip_ids: Sequence[str], *, actor: str) -> list[DatasetClip]:
    """Takes a deletion back. Raises as `delete_clips`."""

    def restored(clip: DatasetClip) -> tuple[DatasetClip, str, dict[str, Any]] | None:
        if not clip.deleted:
            return None
        return replace(clip, deleted_at="", deleted_by=""), "clip.restored", {}

    return _each(context, clip_ids, restored, actor=actor)


def purge(
    context: DatasetContext,
    dataset_id: str,
    *,
    older_than_days: float,
    actor: str,
    now: datetime | None = None,
) -> list[DatasetClip]:
    """Removes clips for ever that were deleted at least so many days ago, with their audio.

    Raises:
        InputError: `dataset.days`. NotFoundError: `dataset.missing`.
    """
    if not 0 <= older_than_days <= 36_500:
        raise InputError(
            f"{older_than_days} is no number of days", code="dataset.days", hint="Give 0 or more"
        )
    moment = now or utc_now()
    return _drop(
        context,
        dataset_id,
        lambda clip: clip.deleted and clip.deleted_for_days(moment) >= older_than_days,
        actor=actor,
        action="clip.purged",
    )


def forget_in_datasets(context: DatasetContext, name: str, *, actor: str) -> int:
    """Removes all clips of a speaker, deleted ones too, from all datasets; that audio is refused from then
    on. Done again it goes on. Says how many clips went.

    The speaker is to be marked as forgotten before: then nobody adds to them meanwhile.
    """
    speaker = speaker_id_of(name)
    return sum(_forget(context, dataset_id, speaker, actor) for dataset_id in dataset_ids(context.root))


def clips_of_speaker(context: DatasetContext, speaker_id: str) -> int:
    """How many there are in all datasets, deleted ones too."""
    found = (clip for dataset in all_datasets(context) for clip in dataset.clips.values())
    return sum(clip.speaker == speaker_id for clip in found)


def _forget(context: DatasetContext, dataset_id: str, speaker: str, actor: str) -> int:
    with context.files(dataset_id).editing() as edit:
        theirs = [clip for clip in edit.dataset.clips.values() if clip.speaker == speaker]
        in_transaction(context.records, lambda tx: [tx.add(_tombstone(clip, actor)) for clip in theirs])
        for clip in theirs:
            edit.drop(clip.clip_id, change(actor, "clip.forgotten", clip.clip_id))
    return len(theirs)


def _tombstone(clip: DatasetClip, actor: str) -> AuditEntry:
    return AuditEntry(
        audit_id=forgotten_key(clip.audio_id),
        actor=actor,
        action="recording.forgotten",
        subject=clip.audio_id,
    )


def _drop(
    context: DatasetContext,
    dataset_id: str,
    chosen: Callable[[DatasetClip], bool],
    *,
    actor: str,
    action: str,
) -> list[DatasetClip]:
    with context.files(dataset_id).editing() as edit:
        gone = [clip for clip in edit.dataset.clips.values() if chosen(clip)]
        for clip in gone:
            edit.drop(clip.clip_id, change(actor, action, clip.clip_id, audio_id=clip.audio_id))
    return gone


def _each(
    context: DatasetContext,
    clip_ids: Sequence[str],
    changed: Callable[[DatasetClip], tuple[DatasetClip, str, dict[str, Any]] | None],
    *,
    actor: str,
) -> list[DatasetClip]:
    """Changes clips of one dataset together; `changed` gives None where there is nothing to do."""
    names = [_checked_clip_id(one) for one in clip_ids]
    homes = {_home(context, name) for name in names}
    if len(homes) > 1:
        raise InputError(
            f"these clips are in {len(homes)} datasets: {', '.join(sorted(homes))}",
            code="clip.datasets",
            hint="Name clips of one dataset at a time",
        )
    if not homes:
        return []
    with context.files(homes.pop()).editing() as edit:
        for name in names:
            after = changed(clip_in(edit.dataset, name))  # it may have been purged in between
            if after is not None:
                edit.put(after[0], change(actor, after[1], name, **after[2]))
        return [edit.dataset.clips[name] for name in names]


def _wished(context: DatasetContext, clip: DatasetClip, wish: Wish) -> DatasetClip:
    label = clip.label if wish.label is None else wish.label
    if label is not clip.label:
        check_speech(label, clip.speech_s, context.rules, name=clip.clip_id)
    wanted = {name: getattr(wish, name) for name in SAID if getattr(wish, name) is not None}
    if wish.speaker:  # under the lock: whoever is forgotten now is not enrolled, whoever is later goes then
        in_transaction(context.records, lambda tx: enrol(tx, SpeakerClaim(wish.speaker), context.split))
    said = checked(About(**{name: getattr(clip, name) for name in SAID} | wanted))
    after = replace(clip, **{name: getattr(said, name) for name in SAID})
    return replace(after, flags=label_flags(clip.flags, label, clip.speech_s))


def _differences(before: DatasetClip, after: DatasetClip) -> dict[str, Any]:
    return {
        name: {"from": getattr(before, name), "to": getattr(after, name)}
        for name in SAID
        if getattr(before, name) != getattr(after, name)
    }
