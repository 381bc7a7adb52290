"""Models: list, show, promote, roll back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from phonoloop.app import views, wakeword_models
from phonoloop.app.http.state import CurrentActor, CurrentApp
from phonoloop.registry import promote

router = APIRouter(prefix="/v1/models")


Kind = Annotated[Literal["asr", "wakeword"], Query(description="`asr` or `wakeword`")]


@router.get("")
def models(app: CurrentApp, kind: Kind = "asr") -> list[dict[str, Any]]:
    """All models of a kind, newest first."""
    return views.models_view(app, kind=kind)


@router.post("/rollback")
def rollback(app: CurrentApp, actor: CurrentActor, kind: Kind = "asr") -> dict[str, Any]:
    """Makes the model serve again that served before this one."""
    if kind == wakeword_models.KIND:
        return views.plain(wakeword_models.rollback(app, actor=actor))
    with app.records.transaction() as tx:
        return views.plain(promote.rollback(tx, kind, actor=actor))


@router.get("/{model_id}")
def model(app: CurrentApp, model_id: str) -> dict[str, Any]:
    """One model; `champion` names the one that serves."""
    return views.model_view(app, model_id)


@router.post("/{model_id}/promote")
def promote_by_hand(
    app: CurrentApp, actor: CurrentActor, model_id: str, force: bool = False
) -> dict[str, Any]:
    """Makes a model serve; the audit log keeps who did it. A recogniser, whatever the judge said; a detector
    that was not shown to be good only with `force`."""
    with app.records.transaction() as tx:
        found = views.find_model(tx, model_id)
    if found.kind == wakeword_models.KIND:
        return views.plain(wakeword_models.promote(app, model_id, actor=actor, force=force))
    with app.records.transaction() as tx:
        return views.plain(promote.promote(tx, found.model_id, actor=actor))
