"""Which model serves: register, judge, promote, roll back. All within the caller's unit of work.

What becomes champion, in which order, is kept in the audit log, so that rolling back can walk back
further than one step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import NotFoundError
from phonoloop.core.events import MODEL_PROMOTED, MODEL_ROLLED_BACK, Event
from phonoloop.core.ports import Transaction
from phonoloop.data.model import AuditEntry
from phonoloop.registry.model import Champion, Model, ModelStatus

#: who promotes where a comparison did
JUDGE = "judge"


def register(tx: Transaction, model: Model) -> bool:
    """Records a model whose artefacts are complete; says whether it was new."""
    return tx.add(model)


def model_of(tx: Transaction, model_id: str) -> Model:
    """Raises `NotFoundError` `model.missing` where there is none."""
    model = tx.get(Model, model_id)
    if model is None:
        raise NotFoundError(
            "there is no such model",
            code="model.missing",
            subject=model_id,
            hint="`phonoloop models list` names those there are",
        )
    return model


def champion_of(tx: Transaction, kind: str) -> Model | None:
    """The model that serves, None before the first."""
    pointer = tx.get(Champion, kind)
    return model_of(tx, pointer.model_id) if pointer else None


def promote(
    tx: Transaction,
    model_id: str,
    *,
    actor: str,
    verdict_id: str = "",
    reason: str = "",
    now: datetime | None = None,
) -> Champion:
    """Makes a model serve. Nothing happens where it does already.

    Args:
        actor: who wants it so; the audit log keeps it.

    Raises:
        NotFoundError: `model.missing`.
    """
    model = model_of(tx, model_id)
    before = tx.get(Champion, model.kind)
    if before is not None and before.model_id == model_id:
        return before
    detail = {"verdict_id": verdict_id, "reason": reason}
    change = _Change(MODEL_PROMOTED, actor=actor, detail=detail, now=now or utc_now())
    return _point_at(tx, model, previous=before.model_id if before else "", change=change)


def rollback(
    tx: Transaction, kind: str, *, actor: str, reason: str = "", now: datetime | None = None
) -> Champion:
    """Makes the model serve that served before; doing it again walks further back.

    Raises:
        NotFoundError: `model.no_previous`, where there is nothing to go back to.
    """
    *before, current = served(tx, kind) or [""]
    earlier = [model_id for model_id in before if model_id != current and tx.get(Model, model_id)]
    if not earlier:
        raise NotFoundError(
            "no model served before this one",
            code="model.no_previous",
            subject=kind,
            hint="`phonoloop models promote MODEL` makes any model serve",
        )
    change = _Change(MODEL_ROLLED_BACK, actor=actor, detail={"reason": reason}, now=now or utc_now())
    previous = earlier[-2] if len(earlier) > 1 else ""
    return _point_at(tx, model_of(tx, earlier[-1]), previous=previous, change=change)


def served(tx: Transaction, kind: str) -> list[str]:
    """The models a rollback can walk along, oldest first, the champion last. What was rolled back
    is not among them."""
    changes = tx.find(AuditEntry, action__in=[MODEL_PROMOTED, MODEL_ROLLED_BACK])
    ours = [change for change in changes if change.detail["kind"] == kind]
    way: list[str] = []
    for change in sorted(ours, key=lambda change: change.detail["position"]):
        if change.action == MODEL_ROLLED_BACK:
            # back to the last time that this model served
            del way[len(way) - way[::-1].index(change.subject) :]
        else:
            way.append(change.subject)
    return way


@dataclass(frozen=True, slots=True)
class _Change:
    """Why the pointer moves: `action` is the event's type too."""

    action: str
    actor: str
    detail: dict[str, Any]
    now: datetime


def _point_at(tx: Transaction, model: Model, *, previous: str, change: _Change) -> Champion:
    """Pointer, statuses, audit entry and event, in one unit of work."""
    before = tx.get(Champion, model.kind)
    position = before.since_position + 1 if before else 1
    pointer = Champion(
        kind=model.kind,
        model_id=model.model_id,
        previous_model_id=previous,
        since_position=position,
        since=change.now,
    )
    tx.put(pointer, replace(model, status=ModelStatus.CHAMPION))
    if before is not None:
        tx.put(replace(model_of(tx, before.model_id), status=ModelStatus.RETIRED))
    told = {"kind": model.kind, "model_id": model.model_id, "position": position}
    told["replaced_model_id"] = before.model_id if before else ""
    tx.put(_audit(model, change, told))
    tx.emit(Event(change.action, model.model_id, told | {"actor": change.actor, **change.detail}))
    return pointer


def _audit(model: Model, change: _Change, told: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        audit_id=ids.content_id([change.action, model.kind, told["position"]]),
        actor=change.actor,
        action=change.action,
        subject=model.model_id,
        detail=told | change.detail,
        created_at=change.now,
    )
