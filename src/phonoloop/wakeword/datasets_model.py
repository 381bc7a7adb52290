"""What a dataset of wake-word clips holds, and how it is written down in `labels.json`.

Frozen; changed by copy. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from phonoloop.core.errors import InputError, IntegrityError
from phonoloop.core.ids import canonical_json, content_id
from phonoloop.wakeword.clips import Label

FORMAT = 1
#: folders that the datasets of recordings have beside those of clips
RESERVED = frozenset(("manifests", "snapshots", "shards"))
_DATASET_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetClip:
    """One clip, as `labels.json` has it under its id.

    Attributes:
        audio_id: of its canonical samples; `source_…`: of the file as it came.
        speech_s: how long somebody speaks in it.
        flags: codes of `datasets_inspect.FLAGS`.
        twin_of: the first clip that had nearly the same audio; whatever became of that one, those with the
            same `twin` are copies of each other.
        fingerprint: what twins are found by.
        distance_m: of the speaker from the microphone, as somebody said.
        reviewed_by: who last set its label, speaker or notes after it was taken in.
        deleted_at: empty while it counts.
    """

    clip_id: str
    label: Label
    audio_id: str
    duration_s: float
    speech_s: float
    snr_db: float
    peak_dbfs: float
    loudness_lufs: float
    flags: tuple[str, ...] = ()
    twin_of: str = ""
    speaker: str = ""
    notes: str = ""
    device: str = ""
    environment: str = ""
    licence: str = ""
    distance_m: float | None = None
    source_name: str = ""
    source_sha256: str = ""
    source_container: str = ""
    source_rate_hz: int = 0
    source_channels: int = 0
    created_at: str = ""
    created_by: str = ""
    reviewed_at: str = ""
    reviewed_by: str = ""
    deleted_at: str = ""
    deleted_by: str = ""
    fingerprint: str = ""

    @property
    def deleted(self) -> bool:
        return bool(self.deleted_at)

    def deleted_for_days(self, now: datetime) -> float:
        """Below 0 where it is not deleted."""
        if not self.deleted:
            return -1.0
        return (now - datetime.fromisoformat(self.deleted_at)).total_seconds() / 86_400

    @property
    def twin(self) -> str:
        """Names the group of copies that it belongs to."""
        return self.twin_of or self.clip_id

    def to_dict(self) -> dict[str, Any]:
        """For people and programs: without the fingerprint."""
        told = asdict(self) | {"label": self.label.value, "flags": list(self.flags)}
        del told["fingerprint"]
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who did what to a clip, or to the dataset, in its latest revision; kept until the audit log has it."""

    actor: str
    action: str
    subject: str
    at: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset: what it is for and its clips, soft-deleted ones included, by id.

    Attributes:
        revision: counts the changes.
        last_changes: what the latest revision changed.
    """

    dataset_id: str
    phrase: str
    language: str = ""
    licence: str = ""
    notes: str = ""
    created_at: str = ""
    created_by: str = ""
    revision: int = 0
    last_changes: tuple[Change, ...] = ()
    clips: Mapping[str, DatasetClip] = field(default_factory=lambda: MappingProxyType({}))

    def active(self, label: Label | None = None) -> list[DatasetClip]:
        """Clips that are not deleted, in the order of their ids."""
        found = (self.clips[name] for name in sorted(self.clips))
        return [clip for clip in found if not clip.deleted and label in (None, clip.label)]

    def twins(self) -> dict[str, list[DatasetClip]]:
        """Active clips that are copies of each other: group → two clips or more."""
        groups: dict[str, list[DatasetClip]] = {}
        for clip in self.active():
            groups.setdefault(clip.twin, []).append(clip)
        return {name: group for name, group in groups.items() if len(group) > 1}

    @property
    def content_hash(self) -> str:
        """Of what a training would hear: the active clips' audio, labels and speakers."""
        heard = [[c.clip_id, c.audio_id, c.label.value, c.speaker, c.licence] for c in self.active()]
        return content_id([self.phrase, self.language, heard])

    def about(self) -> dict[str, Any]:
        """Everything but the clips, as JSON values."""
        names = ("dataset_id", "phrase", "language", "licence", "notes", "created_at", "created_by")
        return {name: getattr(self, name) for name in names} | {"revision": self.revision}


def check_dataset_id(dataset_id: str) -> str:
    """The id again, where it is one.

    Raises:
        InputError: `dataset.id`.
    """
    if not _DATASET_ID.fullmatch(dataset_id) or dataset_id in RESERVED:
        reserved = f"; {', '.join(sorted(RESERVED))} are taken" if dataset_id in RESERVED else ""
        raise InputError(
            f"this cannot name a dataset{reserved}",
            code="dataset.id",
            subject=repr(dataset_id[:70]),
            hint="Use 1 to 64 of a-z, 0-9, - and _, and begin with a letter or a digit",
        )
    return dataset_id


def id_from_phrase(phrase: str) -> str:
    """`cà phê` → `ca-phe`.

    Raises:
        InputError: `dataset.id`, where nothing of it can be written with ASCII letters.
    """
    bare = unicodedata.normalize("NFD", phrase.casefold().replace("đ", "d"))
    letters = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return check_dataset_id(re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:64])


def to_json(dataset: Dataset) -> bytes:
    """`labels.json`: the same dataset gives the same bytes. A clip a line, so that changes can be read."""
    head = {"format": FORMAT, **dataset.about()}
    head["last_changes"] = [asdict(change) for change in dataset.last_changes]
    lines = [json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "clips": {']
    clips = (f"  {json.dumps(name)}: {_clip_json(dataset.clips[name])}" for name in sorted(dataset.clips))
    return (lines[0] + "\n" + ",\n".join(clips) + "\n }\n}\n").encode()


def _clip_json(clip: DatasetClip) -> str:
    return canonical_json(clip.to_dict() | {"fingerprint": clip.fingerprint})


def from_json(data: bytes, name: str) -> Dataset:
    """The inverse of `to_json`.

    Raises:
        IntegrityError: `dataset.damaged`.
    """
    try:
        raw = json.loads(data)
        if raw.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        changes = tuple(Change(**change) for change in raw.pop("last_changes"))
        clips = {name: _clip_of(value) for name, value in raw.pop("clips").items()}
        return Dataset(**raw, last_changes=changes, clips=MappingProxyType(clips))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"this is no list of clips ({error})",
            code="dataset.damaged",
            subject=name,
            hint="Mend what was changed by hand, or bring the file back from a backup",
        ) from error


def _clip_of(raw: Mapping[str, Any]) -> DatasetClip:
    return DatasetClip(**{**raw, "label": Label(raw["label"]), "flags": tuple(raw["flags"])})


def with_clips(clips: Mapping[str, DatasetClip], changed: Iterable[DatasetClip]) -> Mapping[str, DatasetClip]:
    return MappingProxyType({**clips, **{clip.clip_id: clip for clip in changed}})
