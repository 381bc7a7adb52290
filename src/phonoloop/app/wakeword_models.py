"""The detectors of a data folder: which one serves, by a link that is switched in one step.

    models/wakeword/{run_id}/     an export, whole
    models/wakeword/current       a relative link to one of them

The records say which one serves and what was before; the link follows them, and is put right wherever it
does not.
"""

from __future__ import annotations

import os
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.views import plain
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.core.files import one_at_a_time, switch_link
from phonoloop.core.ports import BlobStore, Transaction
from phonoloop.registry import promote as registry
from phonoloop.registry.model import Champion, Model
from phonoloop.wakeword.artefact import CURRENT, current_folder, read_metadata
from phonoloop.wakeword.card import card
from phonoloop.wakeword.verdict import Outcome

KIND = "wakeword"


def prefix(run_id: str) -> str:
    """Of the objects of an installed detector."""
    return f"models/wakeword/{run_id}/"


def find_detector(tx: Transaction, name: str) -> Model:
    """By the id of its model or of its run, or `current`.

    Raises:
        NotFoundError: `model.no_champion`, `model.missing`.
    """
    pointer = tx.get(Champion, KIND) if name == CURRENT else None
    if name == CURRENT and pointer is None:
        raise NotFoundError(
            "no detector serves yet",
            code="model.no_champion",
            hint="Train one: `phonoloop wakeword train --dataset ID`; then `phonoloop wakeword promote RUN`",
        )
    found = tx.get(Model, pointer.model_id if pointer else name)
    if found is None or found.kind != KIND:
        found = next(iter(tx.find(Model, run_id=name, kind=KIND)), None)
    if found is None:
        raise NotFoundError(
            "there is no such detector in this data folder",
            code="model.missing",
            subject=name,
            hint="`phonoloop wakeword current --all` lists them",
        )
    return found


def promote(app: App, name: str, *, actor: str, force: bool = False, reason: str = "") -> Champion:
    """Lets a detector serve from now on; the audit log keeps who wanted it.

    Args:
        force: also one that was not shown to be good enough.

    Raises:
        NotFoundError: as `find_detector`. ConflictError: `wakeword.not_shown`.
        IntegrityError: as `read_metadata`, where its files are not those that were exported.
    """
    with app.records.transaction() as tx:
        model = find_detector(tx, name)
    read_metadata(artefact_dir(app.blobs, model))
    _require_shown(model, force)
    with app.records.transaction() as tx:
        champion = registry.promote(
            tx, model.model_id, actor=actor, reason=reason or ("forced" if force else "")
        )
    follow(app)
    return champion


def _require_shown(model: Model, force: bool) -> None:
    outcome = model.metrics.get("verdict", "not judged")
    if force or outcome == Outcome.GOOD.value:
        return
    why = "; ".join(model.metrics.get("reasons", ())) or "it was not judged"
    raise ConflictError(
        f"its verdict is {outcome}: {why}",
        code="wakeword.not_shown",
        subject=model.model_id,
        hint="Give it more to be judged on, or say --force to let it serve all the same",
    )


def rollback(app: App, *, actor: str) -> Champion:
    """Lets the detector before this one serve again. `NotFoundError` `model.no_previous`."""
    with app.records.transaction() as tx:
        champion = registry.rollback(tx, KIND, actor=actor)
    follow(app)
    return champion


def follow(app: App) -> str:
    """Makes the link point where the records say; gives the run that serves, empty for none."""
    link = current_folder(app.data_dir)
    with one_at_a_time(link.parent):
        with app.records.transaction() as tx:
            pointer = tx.get(Champion, KIND)
            model = registry.model_of(tx, pointer.model_id) if pointer else None
        if model is None:
            return ""
        if not link.is_symlink() or os.readlink(link) != model.run_id:
            switch_link(link, model.run_id)
        return model.run_id


def detectors_view(app: App) -> list[dict[str, Any]]:
    """All detectors, newest first; `serves` says which one does."""
    with app.records.transaction() as tx:
        pointer = tx.get(Champion, KIND)
        models = tx.find(Model, order_by="created_at", descending=True, kind=KIND)
    return [plain(m) | {"serves": bool(pointer and pointer.model_id == m.model_id)} for m in models]


def current_view(app: App) -> dict[str, Any]:
    """The detector that serves, since when, and what served before. Raises as `find_detector`."""
    follow(app)
    with app.records.transaction() as tx:
        model, pointer = find_detector(tx, CURRENT), tx.get(Champion, KIND)
    told = {"since": pointer.since.isoformat(), "previous_model_id": pointer.previous_model_id}
    return plain(model) | told | {"path": str(current_folder(app.data_dir))}


def check_current(app: App) -> str:
    """Says which detector serves, once its files are those that were exported.

    Raises:
        IntegrityError, NotFoundError: as `read_metadata`.
    """
    run_id = follow(app)
    return read_metadata(current_folder(app.data_dir))["model_id"] if run_id else "none yet"


def write_card(blobs: BlobStore, model: Model) -> None:
    """The card again, with what was marked since."""
    text = card(read_metadata(artefact_dir(blobs, model)))
    marks = [f"\n**Marked** {mark}: {why}\n" for mark, why in sorted(model.marks.items())]
    blobs.put(model.artefacts + "card.md", (text + "".join(marks)).encode())
