"""The record of a voice's training: on what, and what each epoch measured, while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.ports import Transaction
from phonoloop.core.units import seconds_to_hours
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import Snapshot, Split
from phonoloop.data.split import SpeakerClaim, enrol, speaker_id_of
from phonoloop.registry.model import EpochMetric, Model, TrainingRun

#: of the models and their runs
KIND = "voice"


def begin_run(
    app: App, manifest: Mapping[str, Any], recipe: Mapping[str, Any], *, job_id: str
) -> TrainingRun:
    """The run of a job on the clips of a build's manifest: until it has a model, always the same one.

    Raises:
        InputError: `speaker.forgotten`, `speaker.name`.
    """
    snapshot, rows = _snapshot(manifest)
    app.blobs.put(snapshot.manifests[Split.TRAIN.value], rows)
    with app.records.transaction() as tx:
        tx.add(snapshot)
        for speaker in _speakers(manifest):
            enrol(tx, SpeakerClaim(speaker), app.ingest.rules.split)
        run = _begun(tx, job_id, snapshot.snapshot_id) or _new(tx, job_id, snapshot.snapshot_id)
        run = replace(run, recipe=dict(recipe), seed=int(recipe["train"]["seed"]))
        tx.put(run)
    return run


def _begun(tx: Transaction, job_id: str, snapshot_id: str) -> TrainingRun | None:
    """What an earlier attempt began; a run that has a model is over, and its files stay as they are."""
    found = tx.find(TrainingRun, job_id=job_id, snapshot_id=snapshot_id, kind=KIND)
    return next((run for run in found if not tx.find(Model, run_id=run.run_id)), None)


def _new(tx: Transaction, job_id: str, snapshot_id: str) -> TrainingRun:
    now = utc_now()
    return TrainingRun(
        run_id=ids.run_id(now, lambda name: tx.get(TrainingRun, name) is not None),
        kind=KIND,
        job_id=job_id,
        snapshot_id=snapshot_id,
        recipe={},
        seed=0,
        code_version=__version__,
        started_at=now,
    )


def _speakers(manifest: Mapping[str, Any]) -> list[str]:
    named = {one["source_id"]: one["speaker"] for one in manifest["sources"]}
    return sorted({named[one["source_id"]] for one in manifest["clips"]} - {""})


def keep_epoch(tx: Transaction, run: TrainingRun, epoch: int, figures: Mapping[str, Any]) -> None:
    """What an epoch measured, once: its figures are what they are."""
    metric_id = f"{run.run_id}/{epoch:04d}"
    if tx.get(EpochMetric, metric_id) is None:
        values = {name: value for name, value in figures.items() if isinstance(value, float)}
        tx.put(EpochMetric(metric_id=metric_id, run_id=run.run_id, epoch=epoch, values=values))


def end_run(tx: Transaction, run: TrainingRun, epochs: Sequence[Mapping[str, Any]]) -> None:
    """It has a model.

    Args:
        epochs: as in the build's report; those that nobody told while it trained are kept now.
    """
    for one in epochs:
        keep_epoch(tx, run, one["epoch"], one)
    tx.put(replace(run, state="succeeded", ended_at=utc_now()))


def _snapshot(manifest: Mapping[str, Any]) -> tuple[Snapshot, bytes]:
    rows = write_manifest(_row(one) for one in manifest["clips"])
    rules = {name: manifest[name] for name in ("manifest_id", "language")} | {"voice": manifest["name"]}
    snapshot_id = ids.content_id(["voice", ids.sha256_hex(rows), rules])
    hours = seconds_to_hours(sum(one["duration_s"] for one in manifest["clips"]))
    by: dict[str, float] = {}
    for one in manifest["clips"]:
        by[one["origin"]] = by.get(one["origin"], 0.0) + seconds_to_hours(one["duration_s"])
    train = Split.TRAIN.value
    return (
        Snapshot(
            snapshot_id=snapshot_id,
            manifests={train: f"datasets/snapshots/{snapshot_id}/{train}.jsonl"},
            clips=len(manifest["clips"]),
            hours={train: hours},
            hours_by_provenance=by,
            speakers={train: len({one["speaker"] for one in manifest["clips"]} - {""})},
            rules=rules,
        ),
        rows,
    )


def _row(clip: Mapping[str, Any]) -> ManifestRow:
    """All that was heard, what its checkpoints were chosen by too; it is of no recording of this folder."""
    extras = {
        "voice_clip": clip["clip_id"],
        "source": clip["source_id"],
        "provenance": clip["origin"],
        "licence": clip["licence"],
        "part": clip["split"],
    }
    return ManifestRow(
        audio_filepath=f"clips/{clip['clip_id']}.wav",
        text=clip["text"],
        duration=clip["duration_s"],
        speaker=speaker_id_of(clip["speaker"]) if clip["speaker"] else "",
        extras={name: value for name, value in extras.items() if value != ""},
    )
