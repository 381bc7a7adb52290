"""A training set that a person gives as a manifest, frozen like any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from phonoloop.app.bootstrap import App
from phonoloop.core import ids
from phonoloop.core.errors import ManifestError, SplitConflictError
from phonoloop.core.units import seconds_to_hours
from phonoloop.data.manifest import ManifestRow, read_manifest, resolve_audio, write_manifest
from phonoloop.data.model import Clip, Snapshot, Speaker, Split


def freeze_given(app: App, manifest: Path) -> Snapshot:
    """Freezes a manifest's rows as a training set, beside the clips now accepted for validation.

    Raises:
        ManifestError: `manifest.empty`, and what `read_manifest` raises.
        NotFoundError: an audio file that is not there.
        SplitConflictError: `split.conflict`, where a row's speaker or clip is kept for val or test.
    """
    rows = [_anchored(row, manifest, app.data_dir) for row in read_manifest(manifest)]
    if not rows:
        raise ManifestError("the manifest has no rows", code="manifest.empty", subject=str(manifest))
    _refuse_held_out(app, rows, manifest)
    snapshot = _snapshot(app, rows)
    with app.records.transaction() as tx:
        tx.add(snapshot)
    return snapshot


def _anchored(row: ManifestRow, manifest: Path, data_dir: Path) -> ManifestRow:
    """The same row with a path that holds wherever its manifest is copied to."""
    found = resolve_audio(row, manifest.parent, data_dir).resolve()
    inside = found.is_relative_to(data_dir.resolve())
    name = found.relative_to(data_dir.resolve()).as_posix() if inside else str(found)
    return replace(row, audio_filepath=name)


def _refuse_held_out(app: App, rows: Sequence[ManifestRow], manifest: Path) -> None:
    with app.records.transaction() as tx:
        speakers = {s.speaker_id for s in tx.find(Speaker, split__in=[Split.VAL, Split.TEST])}
        clips = {c.clip_id for c in tx.find(Clip, split__in=[Split.VAL, Split.TEST])}
    held_out = [row for row in rows if row.speaker in speakers or row.clip_id in clips]
    if held_out:
        raise SplitConflictError(
            f"{len(held_out)} rows are of speakers kept for val or test, such as {held_out[0].speaker!r}",
            subject=str(manifest),
            hint="Leave them out: a model that trained on them cannot be judged",
        )


def _snapshot(app: App, rows: Sequence[ManifestRow]) -> Snapshot:
    frozen = write_manifest(rows)
    standing = app.freeze().snapshot
    snapshot_id = ids.content_id(["given", ids.sha256_hex(frozen), standing.snapshot_id])
    key = f"datasets/snapshots/{snapshot_id}/train.jsonl"
    app.blobs.put(key, frozen)
    seconds: Counter[str] = Counter()
    for row in rows:
        seconds[str(row.extras.get("provenance", "unstated"))] += row.duration
    return Snapshot(
        snapshot_id=snapshot_id,
        manifests={**standing.manifests, Split.TRAIN.value: key},
        clips=len(rows),
        hours={**standing.hours, Split.TRAIN.value: seconds_to_hours(sum(row.duration for row in rows))},
        hours_by_provenance={name: seconds_to_hours(total) for name, total in sorted(seconds.items())},
        speakers={**standing.speakers, Split.TRAIN.value: len({row.speaker for row in rows})},
        rules={"given": ids.sha256_hex(frozen)},
    )
