"""Models: list, show, promote, roll back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from phonoloop.app import views
from phonoloop.app.http.state import CurrentApp
from phonoloop.registry import promote

router = APIRouter(prefix="/v1/models")


@router.get("")
def models(app: CurrentApp) -> list[dict[str, Any]]:
    return views.models_view(app)


@router.post("/rollback")
def rollback(app: CurrentApp) -> dict[str, Any]:
    """Makes the champion before this one serve again."""
    with app.records.transaction() as tx:
        return views.plain(promote.rollback(tx, "asr", actor="http"))


@router.get("/{model_id}")
def model(app: CurrentApp, model_id: str) -> dict[str, Any]:
    """One model; `champion` names the one that serves."""
    return views.model_view(app, model_id)


@router.post("/{model_id}/promote")
def promote_by_hand(app: CurrentApp, model_id: str) -> dict[str, Any]:
    """Makes a model serve, whatever the judge said; the audit log keeps who did it."""
    with app.records.transaction() as tx:
        found = views.find_model(tx, model_id)
        return views.plain(promote.promote(tx, found.model_id, actor="http"))
