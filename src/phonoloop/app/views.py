"""What is there, as JSON values: the same for the command line and for HTTP."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.core.errors import NotFoundError
from phonoloop.core.events import Event
from phonoloop.core.ports import DeadLetter, Transaction
from phonoloop.core.units import seconds_to_hours
from phonoloop.data.curate import accepted_hours
from phonoloop.data.model import Clip, ClipStatus, IntakeOutcome, Provenance, Recording, Speaker, Split
from phonoloop.jobs.model import Job, JobState
from phonoloop.registry.model import Champion, EpochMetric, Model, TrainingRun, Verdict


def plain(value: Any) -> Any:
    """Entities, enumerations and times as JSON values."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(item) for name, item in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def status_view(app: App) -> dict[str, Any]:
    """Recordings, hours, speakers, waiting and refused work, jobs, dead letters, the champion."""
    dead = len(app.bus.dead())
    with app.records.transaction() as tx:
        return {
            "recordings": int(tx.total(Recording)),
            "hours": {"recorded": _hours(tx.total(Recording, "duration_s")), **_split_hours(tx)},
            "hours_by_provenance": _provenance_hours(tx),
            "speakers": {split.value: int(tx.total(Speaker, split=split)) for split in Split},
            "clips": {status.value: int(tx.total(Clip, status=status)) for status in ClipStatus},
            "clips_not_used": _reasons(tx),
            "intake": {
                status: int(tx.total(IntakeOutcome, status=status))
                for status in ("ingested", "duplicate", "refused", "skipped")
            },
            "jobs": {state.value: int(tx.total(Job, state=state)) for state in JobState},
            "dead_letters": dead,
            "champion": champion_view(tx),
        }


def champion_view(tx: Transaction, kind: str = "asr") -> dict[str, Any] | None:
    champion = tx.get(Champion, kind)
    model = tx.get(Model, champion.model_id) if champion else None
    return plain(model) | {"since": champion.since.isoformat()} if champion and model else None


def _hours(seconds: float) -> float:
    return round(seconds_to_hours(seconds), 4)


def _split_hours(tx: Transaction) -> dict[str, float]:
    return {split.value: round(accepted_hours(tx, split), 4) for split in Split}


def _provenance_hours(tx: Transaction) -> dict[str, float]:
    return {
        source.value: _hours(tx.total(Clip, "duration_s", status=ClipStatus.ACCEPTED, provenance=source))
        for source in Provenance
    }


def _reasons(tx: Transaction) -> dict[str, int]:
    """Why clips are waiting or refused: reason → how many."""
    counts: dict[str, int] = {}
    for clip in tx.find(Clip, status__in=[ClipStatus.WAITING, ClipStatus.REFUSED]):
        counts[clip.reason or "transcript.none"] = counts.get(clip.reason or "transcript.none", 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def jobs_view(app: App, *, limit: int = 50) -> list[dict[str, Any]]:
    """Newest first."""
    with app.records.transaction() as tx:
        return [plain(job) for job in tx.find(Job, order_by="created_at", descending=True, limit=limit)]


def job_view(app: App, job_id: str) -> dict[str, Any]:
    """One job, with its run and what each epoch measured. `NotFoundError` `job.missing`."""
    with app.records.transaction() as tx:
        job = tx.get(Job, job_id)
        if job is None:
            raise NotFoundError("there is no such job", code="job.missing", subject=job_id)
        runs = tx.find(TrainingRun, job_id=job_id)
        epochs = [m for run in runs for m in tx.find(EpochMetric, order_by="epoch", run_id=run.run_id)]
    return plain(job) | {"runs": plain(runs), "epochs": [{"epoch": m.epoch, **m.values} for m in epochs]}


def models_view(app: App, *, kind: str = "asr") -> list[dict[str, Any]]:
    """Newest first."""
    with app.records.transaction() as tx:
        return [plain(m) for m in tx.find(Model, order_by="created_at", descending=True, kind=kind)]


def model_view(app: App, model_id: str) -> dict[str, Any]:
    """One model with its verdicts. `NotFoundError` `model.missing`."""
    with app.records.transaction() as tx:
        model = find_model(tx, model_id)
        verdicts = tx.find(Verdict, order_by="created_at", candidate_id=model.model_id)
    return plain(model) | {"verdicts": plain(verdicts)}


def find_model(tx: Transaction, name: str, kind: str = "asr") -> Model:
    """A model by id, or the one that serves for `champion`. `NotFoundError` `model.missing`."""
    champion = tx.get(Champion, kind) if name == "champion" else None
    if name == "champion" and champion is None:
        raise NotFoundError(
            "no model has been promoted yet",
            code="model.no_champion",
            hint="Ingest recordings with transcripts, then run `phonoloop train asr`",
        )
    model = tx.get(Model, champion.model_id if champion else name)
    if model is None:
        raise NotFoundError(
            "there is no such model",
            code="model.missing",
            subject=name,
            hint="`phonoloop models list` shows all",
        )
    return model


def event_view(event: Event) -> dict[str, Any]:
    """The event as structured CloudEvents JSON."""
    return json.loads(event.to_json())


def letter_view(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter_id": letter.letter_id,
        "consumer": letter.consumer,
        "code": letter.code,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "at": letter.at.isoformat(),
        "event": event_view(letter.event),
    }
