"""Datasets of clips as JSON values: the same for the command line and for HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import MEGABYTE, App
from phonoloop.core.errors import InputError, IntegrityError
from phonoloop.wakeword import datasets
from phonoloop.wakeword.datasets_metrics import flags_of, metrics_of
from phonoloop.wakeword.datasets_model import Dataset, DatasetClip
from phonoloop.wakeword.datasets_store import clip_key
from phonoloop.wakeword.fingerprint import difference, from_text

SORTED_BY = (
    "created_at",
    "reviewed_at",
    "label",
    "speaker",
    "source_name",
    "duration_s",
    "speech_s",
    "snr_db",
    "loudness_lufs",
)
#: which clips by whether they are deleted
SHOWN = ("active", "deleted", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipQuery:
    """Which clips, in which order. Empty fields ask for nothing."""

    label: str = ""
    speaker: str = ""
    flag: str = ""
    shown: str = "active"
    text: str = ""
    sort: str = "created_at"
    descending: bool = False
    limit: int = 100
    offset: int = 0


def dataset_view(app: App, dataset: Dataset) -> dict[str, Any]:
    """What it is for, how much there is, and whether that is enough by the settings of now."""
    return dataset.about() | {"metrics": metrics_of(dataset, app.wake_datasets.rules)}


def datasets_view(app: App) -> list[dict[str, Any]]:
    return [dataset_view(app, dataset) for dataset in datasets.all_datasets(app.wake_datasets)]


def clip_view(dataset: Dataset, clip: DatasetClip) -> dict[str, Any]:
    found = flags_of(dataset).get(clip.clip_id, list(clip.flags))
    return clip.to_dict() | {"dataset_id": dataset.dataset_id, "flags": found}


def clips_view(app: App, dataset_id: str, query: ClipQuery) -> dict[str, Any]:
    """A page of a dataset's clips, with how many there are in all.

    Raises:
        InputError: `clip.query`.
    """
    _check(query)
    dataset = datasets.get(app.wake_datasets, dataset_id)
    flags = flags_of(dataset)
    found = [
        clip.to_dict() | {"flags": flags.get(name, list(clip.flags))} for name, clip in _shown(dataset, query)
    ]
    found = [view for view in found if _wanted(view, query)]
    found.sort(key=lambda view: (view[query.sort], view["clip_id"]), reverse=query.descending)
    page = found[query.offset : query.offset + query.limit]
    return {"dataset_id": dataset_id, "total": len(found), "offset": query.offset, "clips": page}


def _shown(dataset: Dataset, query: ClipQuery) -> list[tuple[str, DatasetClip]]:
    wanted = {"active": (False,), "deleted": (True,), "all": (False, True)}[query.shown]
    return [(name, clip) for name, clip in dataset.clips.items() if clip.deleted in wanted]


def _wanted(view: dict[str, Any], query: ClipQuery) -> bool:
    said = f"{view['notes']} {view['source_name']}".casefold()
    return (
        query.label in ("", view["label"])
        and query.speaker in ("", view["speaker"])
        and (not query.flag or query.flag in view["flags"])
        and query.text.casefold() in said
    )


def _check(query: ClipQuery) -> None:
    for name, known in (("sort", SORTED_BY), ("shown", SHOWN)):
        if getattr(query, name) not in known:
            raise InputError(
                f"{getattr(query, name)!r} is no way to choose clips",
                code="clip.query",
                subject=name,
                hint=f"Take one of {', '.join(known)}",
            )


def twins_view(app: App, dataset_id: str) -> list[dict[str, Any]]:
    """Groups of clips with nearly the same audio, and how much of the fingerprint differs."""
    dataset = datasets.get(app.wake_datasets, dataset_id)
    return [_twins(group) for _, group in sorted(dataset.twins().items())]


def _twins(group: Sequence[DatasetClip]) -> dict[str, Any]:
    first = min(group, key=lambda clip: clip.created_at)
    print_ = from_text(first.fingerprint)
    return {
        "clips": [
            {
                "clip_id": clip.clip_id,
                "label": clip.label.value,
                "speaker": clip.speaker,
                "source_name": clip.source_name,
                "differs": round(difference(from_text(clip.fingerprint), print_), 3),
            }
            for clip in sorted(group, key=lambda clip: clip.created_at)
        ],
        "labels_disagree": len({clip.label for clip in group}) > 1,
    }


def check_datasets(app: App) -> str:
    """Says how many there are, once all their lists can be read and every clip has its audio.

    Raises:
        IntegrityError: `dataset.damaged`, `dataset.audio_missing`.
    """
    found = datasets.all_datasets(app.wake_datasets)
    for dataset in found:
        keys = {name: clip_key(dataset.dataset_id, name) for name in dataset.clips}
        missing = sorted(name for name, key in keys.items() if app.blobs.stat(key) is None)
        if missing:
            raise IntegrityError(
                f"the audio of {len(missing)} clips is gone, such as {missing[0]}",
                code="dataset.audio_missing",
                subject=dataset.dataset_id,
                hint="Bring the files back from a backup, or delete and purge these clips",
            )
    return f"{len(found)}, with {sum(len(dataset.clips) for dataset in found)} clips"


def check_size(app: App, path: Path, name: str) -> None:
    """Raises InputError `upload.too_large`."""
    limit_mb = app.settings.wakeword_max_upload_mb
    if path.stat().st_size > limit_mb * MEGABYTE:
        raise InputError(
            f"it has {path.stat().st_size / MEGABYTE:.0f} MB; {limit_mb:.0f} MB are allowed",
            code="upload.too_large",
            subject=name,
            hint="Cut the clip out of it, or raise WAKEWORD_MAX_UPLOAD_MB",
        )
