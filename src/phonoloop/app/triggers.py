"""When a training starts by itself: enough new hours, or the time of day."""

from __future__ import annotations

import logging
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.training import KIND, MAX_ATTEMPTS, SLOT
from phonoloop.core.events import Event
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Clip, ClipStatus, Snapshot, Split
from phonoloop.jobs import triggers
from phonoloop.registry.model import TrainingRun

log = logging.getLogger(__name__)


def training_work(app: App) -> triggers.Work:
    """The training that a trigger starts: the settings' recipe on what is accepted then."""
    from phonoloop.asr.config import load_recipe, recipe_to_dict

    recipe = recipe_to_dict(load_recipe(app.settings.asr_recipe))
    params = {"recipe": recipe, "initial": ""}
    return triggers.Work(kind=KIND, slot=SLOT, params=params, max_attempts=MAX_ATTEMPTS)


def fire_hours(app: App, event: Event) -> triggers.Firing:
    """On `dataset.ready`: one training for each time the threshold is crossed."""
    work = training_work(app)
    with app.records.transaction() as tx:
        firing = triggers.on_hours(
            tx,
            work,
            subject=event.id,
            hours=float(event.data["threshold_hours"]),
            threshold_hours=float(event.data["threshold_hours"]),
        )
    log.info("hours trigger: %s", firing.reason or "training queued")
    return firing


def fire_schedule(app: App) -> triggers.Firing | None:
    """At the time of `TRAIN_DAILY_CRON`, once a local day; nothing where nothing is new."""
    if not app.settings.train_daily_cron:
        return None
    work = training_work(app)
    with app.records.transaction() as tx:
        firing = triggers.on_schedule(
            tx,
            work,
            cron=app.settings.train_daily_cron,
            tz=triggers.local_zone(app.settings.timezone),
            anything_new=_anything_new,
        )
    if firing:
        log.info("daily trigger: %s", firing.reason or "training queued")
    return firing


def trained_hours(tx: Transaction) -> float:
    """Hours of train speech that the latest training that went well had; 0 before the first."""
    last = _last(tx, state="succeeded")
    snapshot = tx.get(Snapshot, last[0].snapshot_id) if last else None
    return snapshot.hours.get(Split.TRAIN.value, 0.0) if snapshot else 0.0


def _last(tx: Transaction, **criteria: Any) -> list[TrainingRun]:
    """The latest training of a recogniser: those of wake words heard other clips."""
    return tx.find(TrainingRun, order_by="started_at", descending=True, limit=1, kind="asr", **criteria)


def _anything_new(tx: Transaction) -> bool:
    """Whether a clip to train on was accepted since the last training began."""
    last = _last(tx)
    since: dict[str, Any] = {"created_at__gt": last[0].started_at} if last else {}
    return bool(tx.find(Clip, status=ClipStatus.ACCEPTED, split=Split.TRAIN, limit=1, **since))
