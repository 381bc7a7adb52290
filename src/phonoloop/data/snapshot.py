"""Freezing what was accepted into a dataset that stays as it is, named by its content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.ids import content_id, sha256_hex
from phonoloop.core.ports import Records, Transaction
from phonoloop.core.units import samples_to_seconds
from phonoloop.data.manifest import ManifestRow, parse_manifest, write_manifest
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Snapshot, Speaker, Split
from phonoloop.data.stores import Stores, in_transaction

_FROM_RECORDING = ("language", "device", "environment", "licence")


@dataclass(frozen=True, slots=True)
class Frozen:
    """A snapshot, and what a person should know before training on it.

    Attributes:
        missing: the splits without a clip.
        notes: sentences about what is missing or weak.
    """

    snapshot: Snapshot
    missing: tuple[Split, ...]
    notes: tuple[str, ...]


def freeze(stores: Stores, rules: Mapping[str, Any]) -> Frozen:
    """Writes the manifests of every accepted clip and records the snapshot; what is the same already
    stays, so freezing twice is freezing once.

    `datasets/snapshots/{id}/{split}.jsonl` never change; `datasets/manifests/{split}.jsonl` are those
    of the latest.

    Args:
        rules: JSON values: what chose the clips and the splits. Part of the snapshot's name.

    Raises:
        IntegrityError: `snapshot.leak` where a speaker would be in two splits,
            `snapshot.machine_text` where what a machine wrote would be tested on.
    """
    rows, weak = in_transaction(stores.records, _accepted)
    manifests = {split: write_manifest(row for row, _ in rows[split]) for split in Split}
    _check(rows)
    snapshot = _snapshot(manifests, rows, rules)
    for split in Split:
        stores.blobs.put(snapshot.manifests[split], manifests[split])
        stores.blobs.put(current_manifest(split), manifests[split])
    snapshot = in_transaction(stores.records, lambda tx: _keep(tx, snapshot))
    return Frozen(snapshot, tuple(split for split in Split if not rows[split]), _notes(rows, weak))


def current_manifest(split: Split) -> str:
    return f"datasets/manifests/{split}.jsonl"


_Rows = Mapping[Split, Sequence[tuple[ManifestRow, Clip]]]


def _accepted(tx: Transaction) -> tuple[_Rows, frozenset[str]]:
    recordings = {recording.audio_id: recording for recording in tx.find(Recording)}
    rows: dict[Split, list[tuple[ManifestRow, Clip]]] = {split: [] for split in Split}
    for clip in tx.find(Clip, status=ClipStatus.ACCEPTED):
        rows[clip.split].append((manifest_row(clip, recordings[clip.audio_id]), clip))
    return rows, frozenset(speaker.speaker_id for speaker in tx.find(Speaker, weak=True))


def manifest_row(clip: Clip, recording: Recording) -> ManifestRow:
    """A clip as a line: its file is the blob key of its recording."""
    extras: dict[str, Any] = {
        "snr_db": round(clip.snr_db, 2),
        "provenance": str(clip.provenance),
        "confidence": round(clip.confidence, 4),
    }
    known = {name: getattr(recording, name) for name in _FROM_RECORDING}
    known["dialect"] = recording.attributes.get("dialect", "")
    return ManifestRow(
        audio_filepath=recording.path,
        text=clip.text,
        duration=samples_to_seconds(clip.end_sample - clip.start_sample),
        speaker=clip.speaker_id,
        clip_id=clip.clip_id,
        offset=samples_to_seconds(clip.start_sample),
        extras=extras | {name: value for name, value in known.items() if value},
    )


def _check(rows: _Rows) -> None:
    """The records hold both rules; a snapshot is the last place to notice that they were got round."""
    home: dict[str, Split] = {}
    for split in Split:
        for _, clip in rows[split]:
            if home.setdefault(clip.speaker_id, split) != split:
                raise IntegrityError(
                    f"this speaker is in {home[clip.speaker_id]} and in {split}",
                    code="snapshot.leak",
                    subject=clip.speaker_id,
                    hint="Somebody wrote past the rules of the records: `phonoloop doctor`",
                )
            if split != Split.TRAIN and clip.provenance == Provenance.MACHINE:
                raise IntegrityError(
                    f"a machine's text would be in {split}",
                    code="snapshot.machine_text",
                    subject=clip.clip_id,
                    hint="Somebody wrote past the rules of the records: `phonoloop doctor`",
                )


def _snapshot(manifests: Mapping[Split, bytes], rows: _Rows, rules: Mapping[str, Any]) -> Snapshot:
    hashes = {str(split): sha256_hex(manifests[split]) for split in Split}
    snapshot_id = content_id({"manifests": hashes, "rules": dict(rules)})
    clips = [clip for split in Split for _, clip in rows[split]]
    return Snapshot(
        snapshot_id=snapshot_id,
        manifests={str(split): f"datasets/snapshots/{snapshot_id}/{split}.jsonl" for split in Split},
        clips=len(clips),
        hours={str(split): _hours(clip for _, clip in rows[split]) for split in Split},
        hours_by_provenance=_by_provenance(clips),
        speakers={str(split): len({clip.speaker_id for _, clip in rows[split]}) for split in Split},
        rules=dict(rules),
    )


def _hours(clips: Iterable[Clip]) -> float:
    """From whole samples, so that the order does not matter."""
    return samples_to_seconds(sum(clip.end_sample - clip.start_sample for clip in clips)) / 3600


def _by_provenance(clips: Iterable[Clip]) -> dict[str, float]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[str(clip.provenance)].append(clip)
    return {name: _hours(group) for name, group in sorted(groups.items())}


def _notes(rows: _Rows, weak: frozenset[str]) -> tuple[str, ...]:
    empty = [f"there is nothing in {split} yet" for split in Split if not rows[split]]
    stand_ins = [
        f"{count} of the speakers in {split} are recordings or sessions whose speaker nobody named: "
        "the same person may be in another split"
        for split in Split
        if (count := len({clip.speaker_id for _, clip in rows[split]} & weak))
    ]
    return (*empty, *stand_ins)


def _keep(tx: Transaction, snapshot: Snapshot) -> Snapshot:
    return snapshot if tx.add(snapshot) else tx.get(Snapshot, snapshot.snapshot_id)


def get_snapshot(records: Records, snapshot_id: str) -> Snapshot:
    """Raises NotFoundError `snapshot.missing`."""
    with records.transaction() as tx:
        snapshot = tx.get(Snapshot, snapshot_id)
    if snapshot is None:
        raise NotFoundError(
            "there is no such snapshot",
            code="snapshot.missing",
            subject=snapshot_id,
            hint="`phonoloop data snapshot` freezes one",
        )
    return snapshot


def snapshot_rows(stores: Stores, snapshot: Snapshot, split: Split) -> list[ManifestRow]:
    """The rows of one split, in the order of clip ids."""
    key = snapshot.manifests[split]
    return parse_manifest(stores.blobs.get(key), name=key)
