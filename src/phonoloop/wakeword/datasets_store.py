"""A dataset as files: `labels.json` is what is true, `metrics.json` follows it, clips lie beside.

    datasets/{id}/labels.json   metrics.json   clips/{uuid}.wav

Processes may write at once: each holds the folder's lock meanwhile. Killed at any moment, a write is
either there or not; what it left half done (a clip that no list names, metrics of the list before, a
change that the audit log has not) is put right when the dataset is next opened: a mark in the folder
says that a write had begun. Readers need no lock: they see the list before or the list after.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import NotFoundError, ResourceError
from phonoloop.core.events import DATASET_CHANGED, Event
from phonoloop.core.files import mark
from phonoloop.core.ids import content_id
from phonoloop.core.ports import Transaction
from phonoloop.data.model import AuditEntry
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.wakeword import datasets_metrics
from phonoloop.wakeword.datasets_inspect import DatasetRules
from phonoloop.wakeword.datasets_model import (
    RESERVED,
    Change,
    Dataset,
    DatasetClip,
    check_dataset_id,
    from_json,
    to_json,
    with_clips,
)

_LOCK, _WRITING = ".lock", ".writing"
_NAMED_IN_EVENT = 50


def clip_key(dataset_id: str, clip_id: str) -> str:
    return f"datasets/{dataset_id}/clips/{clip_id}.wav"


def labels_key(dataset_id: str) -> str:
    return f"datasets/{dataset_id}/labels.json"


def metrics_key(dataset_id: str) -> str:
    return f"datasets/{dataset_id}/metrics.json"


def dataset_ids(root: Path) -> list[str]:
    """Of a data folder, in order."""
    folder = root / "datasets"
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(one.name for one in found if one.name not in RESERVED and (one / "labels.json").is_file())


@dataclass(frozen=True)
class DatasetFiles:
    """Reads and writes one dataset.

    Attributes:
        root: the data folder, where the object store keeps its files.
    """

    stores: Stores
    root: Path
    rules: DatasetRules
    dataset_id: str

    @property
    def folder(self) -> Path:
        return self.root / "datasets" / check_dataset_id(self.dataset_id)

    def read(self) -> Dataset:
        """As it is now, after what a killed write left is put right.

        Raises:
            InputError: `dataset.id`. NotFoundError: `dataset.missing`. IntegrityError: `dataset.damaged`.
        """
        if (self.folder / _WRITING).exists():
            with self._lock(wait=False) as ours:
                if ours:
                    self._recover()
        return self._labels()

    @contextmanager
    def editing(self) -> Iterator[Edit]:
        """Nobody else writes meanwhile. What the edit holds at the end is kept, all of it or nothing;
        nothing is written where the block raises. Raises as `read`."""
        if not self.folder.is_dir():
            raise _missing(self.dataset_id)
        with self._lock(wait=True):
            self._recover_if_marked()
            edit = Edit(self._labels())
            yield edit
            if edit.changes:
                self._commit(edit)

    def create(self, dataset: Dataset, change: Change) -> bool:
        """Writes a new dataset; False where there is one already."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"its folder cannot be made ({error.strerror})",
                code="resource.disk",
                subject=self.dataset_id,
                hint="Free disk space, or see who may write to the data folder",
            ) from error
        with self._lock(wait=True):
            self._recover_if_marked()
            if (self.folder / "labels.json").exists():
                return False
            edit = Edit(dataset)
            edit.changes.append(change)
            self._commit(edit)
            return True

    # ------------------------------------------------------------ writing

    def _commit(self, edit: Edit) -> None:
        dataset = replace(edit.dataset, revision=edit.dataset.revision + 1, last_changes=tuple(edit.changes))
        mark(self.folder / _WRITING)
        for name, wav in edit.new_audio.items():
            self.stores.blobs.put(clip_key(self.dataset_id, name), wav)
        self.stores.blobs.put(labels_key(self.dataset_id), to_json(dataset))
        for name in edit.dropped:
            self.stores.blobs.delete(clip_key(self.dataset_id, name))
        self._follow(dataset)

    def _follow(self, dataset: Dataset) -> None:
        """Everything that follows from `labels.json`; doing it again changes nothing."""
        self.stores.blobs.put(metrics_key(self.dataset_id), datasets_metrics.to_json(dataset, self.rules))
        in_transaction(self.stores.records, lambda tx: _record(tx, dataset))
        (self.folder / _WRITING).unlink(missing_ok=True)

    def _recover_if_marked(self) -> None:
        if (self.folder / _WRITING).exists():
            self._recover()

    def _recover(self) -> None:
        if not (self.folder / "labels.json").exists():  # it was never made
            (self.folder / _WRITING).unlink(missing_ok=True)
            return
        dataset = self._labels()
        known = {f"{name}.wav" for name in dataset.clips}
        for path in _strangers(self.folder, known):
            path.unlink(missing_ok=True)
        self._follow(dataset)

    # ------------------------------------------------------------ reading

    def _labels(self) -> Dataset:
        key = labels_key(self.dataset_id)
        try:
            data = self.stores.blobs.get(key)
        except NotFoundError:
            raise _missing(self.dataset_id) from None
        return from_json(data, key)

    @contextmanager
    def _lock(self, *, wait: bool) -> Iterator[bool]:
        """The kernel gives it back when the process ends, however it does."""
        with (self.folder / _LOCK).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True


class Edit:
    """What is about to become of a dataset.

    Attributes:
        dataset: as it will be.
        changes: who did what; without any, nothing is written.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.changes: list[Change] = []
        self.new_audio: dict[str, bytes] = {}
        self.dropped: list[str] = []

    def put(self, clip: DatasetClip, change: Change) -> None:
        self.dataset = replace(self.dataset, clips=with_clips(self.dataset.clips, [clip]))
        self.changes.append(change)

    def add(self, clip: DatasetClip, wav: bytes, change: Change) -> None:
        self.new_audio[clip.clip_id] = wav
        self.put(clip, change)

    def drop(self, clip_id: str, change: Change) -> None:
        """For ever, with its audio."""
        kept: Mapping[str, DatasetClip] = {k: v for k, v in self.dataset.clips.items() if k != clip_id}
        self.dataset = replace(self.dataset, clips=with_clips(kept, ()))
        self.dropped.append(clip_id)
        self.changes.append(change)


def change(actor: str, action: str, subject: str, **detail: object) -> Change:
    """A change of this moment."""
    return Change(actor=actor, action=action, subject=subject, at=utc_now().isoformat(), detail=detail)


def _strangers(folder: Path, known: set[str]) -> Iterable[Path]:
    """Files that belong to no clip and to no part of a dataset: what killed writes left."""
    clips = folder / "clips"
    for place, names in ((clips, known), (folder, {"labels.json", "metrics.json", _LOCK, _WRITING})):
        with suppress(FileNotFoundError):
            yield from [path for path in place.iterdir() if path.is_file() and path.name not in names]


def _record(tx: Transaction, dataset: Dataset) -> None:
    """The audit log and the event, once however often this is done."""
    entries = [_audit(dataset, number, one) for number, one in enumerate(dataset.last_changes)]
    if [entry for entry in entries if tx.add(entry)]:
        tx.emit(_event(dataset))


def _audit(dataset: Dataset, number: int, one: Change) -> AuditEntry:
    return AuditEntry(
        audit_id=content_id([dataset.dataset_id, dataset.created_at, dataset.revision, number]),
        actor=one.actor,
        action=one.action,
        subject=one.subject,
        detail={"dataset_id": dataset.dataset_id, "revision": dataset.revision, **one.detail},
    )


def _event(dataset: Dataset) -> Event:
    changes = dataset.last_changes
    data = {
        "dataset_id": dataset.dataset_id,
        "revision": dataset.revision,
        "created_at": dataset.created_at,
        "actions": sorted({one.action for one in changes}),
        "changes": len(changes),
        "subjects": [one.subject for one in changes[:_NAMED_IN_EVENT]],
        "actors": sorted({one.actor for one in changes}),
        "active": len(dataset.active()),
    }
    return Event(DATASET_CHANGED, dataset.dataset_id, data)


def _missing(dataset_id: str) -> NotFoundError:
    return NotFoundError(
        "there is no such dataset",
        code="dataset.missing",
        subject=dataset_id,
        hint="`phonoloop wakeword dataset list` shows all; `create` makes one",
    )
