"""What a training takes of datasets, written down so that it stays what it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phonoloop.core.ids import content_id, sha256_hex
from phonoloop.core.units import seconds_to_hours
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import Snapshot, Split
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.datasets_model import Dataset, DatasetClip
from phonoloop.wakeword.datasets_store import clip_key


@dataclass(frozen=True, slots=True)
class Taken:
    """A clip, the dataset it is in, and what it is trained as."""

    dataset_id: str
    clip: DatasetClip


@dataclass(frozen=True, slots=True)
class FrozenClips:
    """What is trained on.

    Attributes:
        manifest: of `snapshot`, to be stored under its key.
        left_out: why clips that are there are not taken, a sentence each.
    """

    snapshot: Snapshot
    manifest: bytes
    taken: tuple[Taken, ...]
    left_out: tuple[str, ...]


def freeze_clips(dataset: Dataset, others: Sequence[Dataset] = ()) -> FrozenClips:
    """The active clips of a dataset; of other datasets all clips, as negatives.

    Of copies of one clip only the first is taken, or one would be learned from and another tested on.
    Where the labels of copies disagree, none is.
    """
    taken, left_out = _distinct(dataset)
    for other in others:
        more, told = _distinct(other)
        taken += [replace(one, clip=_as_negative(one.clip)) for one in more]
        left_out += told
    manifest = write_manifest(_row(one, dataset.phrase) for one in taken)
    return FrozenClips(_snapshot(dataset, others, taken, manifest), manifest, tuple(taken), tuple(left_out))


def _as_negative(clip: DatasetClip) -> DatasetClip:
    return clip if clip.label is Label.NOISE else replace(clip, label=Label.NEGATIVE)


def _distinct(dataset: Dataset) -> tuple[list[Taken], list[str]]:
    groups = dataset.twins().values()
    at_odds = {clip.clip_id for group in groups if len({c.label for c in group}) > 1 for clip in group}
    first = {min(group, key=lambda c: (c.created_at, c.clip_id)).clip_id for group in groups}
    copies = {clip.clip_id for group in groups for clip in group} - first - at_odds
    told = [
        f"{len(names)} clips of {dataset.dataset_id} are not used, {why}: {', '.join(sorted(names)[:5])}"
        for names, why in (
            (copies, "being copies of others"),
            (at_odds, "for copies of them have another label"),
        )
        if names
    ]
    kept = [clip for clip in dataset.active() if clip.clip_id not in copies | at_odds]
    return [Taken(dataset.dataset_id, clip) for clip in kept], told


def _row(one: Taken, phrase: str) -> ManifestRow:
    """A clip as a line; it is no recording's, so it has no clip id in the sense of manifests."""
    clip = one.clip
    extras: dict[str, Any] = {
        "wake_clip": clip.clip_id,
        "dataset": one.dataset_id,
        "label": clip.label.value,
        "provenance": "human",
        "snr_db": clip.snr_db,
    }
    told = {name: getattr(clip, name) for name in ("licence", "device", "distance_m")}
    told = {name: value for name, value in told.items() if value not in ("", None)}
    return ManifestRow(
        audio_filepath=clip_key(one.dataset_id, clip.clip_id),
        text=phrase if clip.label is Label.POSITIVE else "",
        duration=clip.duration_s,
        speaker=clip.speaker,
        extras=extras | told,
    )


def _snapshot(
    dataset: Dataset, others: Sequence[Dataset], taken: Sequence[Taken], manifest: bytes
) -> Snapshot:
    rules = {
        "wakeword": dataset.dataset_id,
        "phrase": dataset.phrase,
        "language": dataset.language,
        "content": {each.dataset_id: each.content_hash for each in (dataset, *others)},
        "sides": "divided by speaker inside the training; all of it counts as heard",
    }
    snapshot_id = content_id(["wakeword", sha256_hex(manifest), rules])
    hours = seconds_to_hours(sum(one.clip.duration_s for one in taken))
    return Snapshot(
        snapshot_id=snapshot_id,
        manifests={Split.TRAIN.value: f"datasets/snapshots/{snapshot_id}/{Split.TRAIN}.jsonl"},
        clips=len(taken),
        hours={Split.TRAIN.value: hours},
        hours_by_provenance={"human": hours},
        speakers={Split.TRAIN.value: len(speakers_of(taken))},
        rules=rules,
    )


def speakers_of(taken: Iterable[Taken]) -> list[str]:
    return sorted({one.clip.speaker for one in taken} - {""})
