"""What the demo does, one step a function; each is what a user would do with the commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.app import views
from phonoloop.app.bootstrap import App
from phonoloop.app.intake import scan
from phonoloop.app.loop import pump
from phonoloop.app.training import submit_training
from phonoloop.app.work import run_and_wait
from phonoloop.core.errors import PhonoloopError
from phonoloop.data.inbox import ScanCounts
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import Split
from phonoloop.data.snapshot import get_snapshot, snapshot_rows
from phonoloop.jobs.model import Job, JobState
from phonoloop.registry import promote
from phonoloop.registry.model import Champion

OnShare = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """One training of the demo, as its records tell it.

    Attributes:
        golden: what the model scored on the golden set; empty without one.
        curve: validation WER by epoch.
    """

    label: str
    model_id: str
    promoted: bool
    decision: str
    reason: str
    hours: float
    golden: dict[str, Any] = field(default_factory=dict)
    curve: tuple[float, ...] = ()

    @property
    def wer(self) -> float | None:
        return self.golden.get("rate")


def take_in_inbox(app: App) -> ScanCounts:
    """One look at the inbox, then every event to its end: what `phonoloop up` does all the time."""
    counts = scan(app)
    pump(app)
    return counts


def train(app: App, label: str, on_share: OnShare, **wish: Any) -> Trained:
    """A training job from the queue to its verdict.

    Raises:
        PhonoloopError: the job failed, with the error it ended with.
    """
    job = submit_training(app, **wish)
    job = run_and_wait(app, job.job_id, lambda now: on_share(now.progress, now.stage))
    if job.state is not JobState.SUCCEEDED:
        raise PhonoloopError(
            f"the training of {label} ended as {job.state.value}: {job.error.get('message', '')}",
            code=str(job.error.get("code", "demo.training")),
            subject=job.job_id,
            hint=f"Its log is {app.job_log(job.job_id)}",
        )
    pump(app)
    return _trained(app, label, job)


def _trained(app: App, label: str, job: Job) -> Trained:
    view = views.job_view(app, job.job_id)
    model = views.model_view(app, job.result["model_id"])
    hours = get_snapshot(app.records, model["snapshot_id"]).hours[Split.TRAIN]
    return Trained(
        label=label,
        model_id=model["model_id"],
        promoted=job.result["promoted"],
        decision=job.result["decision"],
        reason=job.result["reason"],
        hours=hours,
        golden=model["metrics"].get("golden", {}),
        curve=tuple(epoch["val_wer"] for epoch in view["epochs"] if "val_wer" in epoch),
    )


def shuffled_manifest(app: App, path: Path, *, seed: int) -> Path:
    """The training rows of today with their texts dealt out anew: what a broken import would look like."""
    snapshot = app.freeze().snapshot
    rows = snapshot_rows(app.ingest, snapshot, Split.TRAIN)
    texts = np.random.default_rng(seed).permutation(np.array([row.text for row in rows], dtype=object))
    path.write_bytes(write_manifest(_with_text(row, text) for row, text in zip(rows, texts, strict=True)))
    return path


def _with_text(row: ManifestRow, text: str) -> ManifestRow:
    return replace(row, text=str(text))


def roll_back_and_forth(app: App, back_to: str, forth_to: str) -> bool:
    """Rolls back, looks at what serves, and makes the better model serve again; whether both worked."""
    with app.records.transaction() as tx:
        promote.rollback(tx, "asr", actor="demo", reason="to show that it works")
    went_back = _serves(app) == back_to
    with app.records.transaction() as tx:
        promote.promote(tx, forth_to, actor="demo", reason="the rollback was only a demonstration")
    pump(app)
    return went_back and _serves(app) == forth_to


def _serves(app: App) -> str:
    """What a request would be answered by now, loaded and all."""
    with app.records.transaction() as tx:
        pointed_at = tx.get(Champion, "asr").model_id
    serving = app.champion.refresh()
    return pointed_at if serving and serving.model_id == pointed_at else ""
