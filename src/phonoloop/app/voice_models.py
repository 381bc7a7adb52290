"""The voices of a data folder.

    models/voice/{run_id}/    a voice: NAME.onnx, NAME.onnx.json, card.md, report.json, manifest.json
    models/voice/NAME         a relative link to the newest one of this name

The records say what there is; the link follows them, and is put right wherever it does not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.views import plain
from phonoloop.app.voice_runs import KIND, begin_run, end_run
from phonoloop.core import events, ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.core.events import Event
from phonoloop.core.files import one_at_a_time, require_empty, switch_link
from phonoloop.core.ports import BlobStore, Transaction
from phonoloop.data.model import AuditEntry
from phonoloop.registry import promote
from phonoloop.registry.model import Model
from phonoloop.voice.card import card, without_consent
from phonoloop.voice.layout import MANIFEST, REPORT, VOICE

CARD = "card.md"


def prefix(run_id: str) -> str:
    """Of the objects of an installed voice."""
    return f"models/voice/{run_id}/"


def voices_folder(data_dir: Path) -> Path:
    return data_dir / "models" / "voice"


def install(app: App, folder: Path, *, job_id: str = "") -> Model:
    """Takes a voice that was built in `folder` into the data folder. Installing it again changes nothing.

    Raises:
        NotFoundError: `voice.not_built`. InputError: `speaker.forgotten`, `speaker.name`.
        IntegrityError: `voice.changed`, its files are not those that were written.
    """
    report, manifest = _read_build(folder)
    model_id = _model_id(report)
    with app.records.transaction() as tx:
        known = tx.get(Model, model_id)
    model = known or _publish(app, folder, report, manifest, job_id=job_id)
    follow(app, report["name"])
    return model


def _read_build(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        report = json.loads((folder / REPORT).read_text("utf-8"))
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        report, manifest = {}, {}
    if not report.get("files"):
        raise NotFoundError(
            "there is no trained voice in this folder",
            code="voice.not_built",
            subject=str(folder),
            hint="`phonoloop voice build … --until train` makes one",
        )
    for name, sha256 in report["files"].items():
        path = folder / VOICE / name
        if not path.is_file() or ids.file_sha256(path) != sha256:
            raise IntegrityError(
                f"{name} is not the file that was written",
                code="voice.changed",
                subject=str(path),
                hint="Build it again: what is done is found again",
            )
    return report, manifest


def _model_id(report: Mapping[str, Any]) -> str:
    """By what was exported: the same files are the same model."""
    return f"{report['name']}-{ids.content_id([report['name'], report['files']])[:12]}"


def _publish(
    app: App, folder: Path, report: Mapping[str, Any], manifest: Mapping[str, Any], *, job_id: str
) -> Model:
    """Every file first, then the records: nobody sees half a voice."""
    run = begin_run(app, manifest, report["recipe"], job_id=job_id or report["job_id"])
    model = Model(
        model_id=_model_id(report),
        kind=KIND,
        run_id=run.run_id,
        snapshot_id=run.snapshot_id,
        artefacts=prefix(run.run_id),
        files=dict(report["files"]),
        metrics=_metrics(report),
    )
    for name in report["files"]:
        app.blobs.put(model.artefacts + name, (folder / VOICE / name).read_bytes())
    for name in (REPORT, MANIFEST):
        app.blobs.put(model.artefacts + name, (folder / name).read_bytes())
    app.blobs.put(model.artefacts + CARD, card(report).encode())
    with app.records.transaction() as tx:
        promote.register(tx, model)
        end_run(tx, run, report["epochs"])
        data = {"run_id": run.run_id, "model_id": model.model_id, "snapshot_id": run.snapshot_id}
        tx.emit(Event(events.TRAINING_COMPLETED, run.run_id, data | {"kind": KIND}))
    return model


def _metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """What lists need; the whole report lies beside the model."""
    return {
        "name": report["name"],
        "language": report["language"],
        "speakers": sorted(report["speakers"]),
        "hours": report["hours"],
        "training": report["training"],
        "without_consent": without_consent(report),
        "warnings": report["warnings"],
    }


# ---------------------------------------------------------------- which voices there are


def find_voice(tx: Transaction, name: str) -> Model:
    """The newest of this name, or that of a model's or run's id. Raises NotFoundError `voice.missing`."""
    models = tx.find(Model, order_by="created_at", descending=True, kind=KIND)
    for model in models:
        if name in (model.metrics["name"], model.model_id, model.run_id):
            return model
    known = ", ".join(sorted({model.metrics["name"] for model in models}))
    raise NotFoundError(
        "there is no such voice in this data folder",
        code="voice.missing",
        subject=name,
        hint=f"There are {known}"
        if known
        else "Build one: `phonoloop voice build AUDIO --name NAME --out DIR`",
    )


def follow(app: App, name: str) -> None:
    """Makes the link of this name point at its newest voice."""
    folder = voices_folder(app.data_dir)
    with one_at_a_time(folder):
        with app.records.transaction() as tx:
            model = find_voice(tx, name)
        link = folder / name
        if not link.is_symlink() or os.readlink(link) != model.run_id:
            switch_link(link, model.run_id)


def voices_view(app: App) -> list[dict[str, Any]]:
    """Every installed voice, newest first."""
    with app.records.transaction() as tx:
        return [plain(m) for m in tx.find(Model, order_by="created_at", descending=True, kind=KIND)]


def voice_view(app: App, name: str) -> dict[str, Any]:
    """One voice with its card and consents. Raises as `find_voice`."""
    with app.records.transaction() as tx:
        model = find_voice(tx, name)
    folder = artefact_dir(app.blobs, model)
    report = json.loads((folder / REPORT).read_text("utf-8"))
    return plain(model) | {
        "path": str(folder / f"{report['name']}.onnx"),
        "sources": report["sources"],
        "card": (folder / CARD).read_text("utf-8"),
    }


def write_card(blobs: BlobStore, model: Model) -> None:
    """The card again, with what was marked since."""
    report = json.loads(blobs.get(model.artefacts + REPORT))
    marks = [f"\n**Marked** {mark}: {why}\n" for mark, why in sorted(model.marks.items())]
    blobs.put(model.artefacts + CARD, (card(report) + "".join(marks)).encode())


def export(app: App, name: str, folder: Path, *, actor: str, anyway: bool = False) -> list[Path]:
    """Copies a voice into an empty folder, for Piper's own player; the audit log keeps who did it.

    Args:
        anyway: also where a consent is missing.

    Raises:
        NotFoundError: as `find_voice`. ConflictError: `export.not_empty`.
        InputError: `voice.no_consent`, naming the recordings.
    """
    with app.records.transaction() as tx:
        model = find_voice(tx, name)
    if not anyway:
        _require_consent(model)
    require_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    source = artefact_dir(app.blobs, model)
    made = [Path(shutil.copy2(source / one, folder / one)) for one in [*sorted(model.files), CARD]]
    missing = model.metrics["without_consent"]
    now = utc_now()
    with app.records.transaction() as tx:
        tx.put(
            AuditEntry(
                audit_id=ids.content_id(["voice.exported", model.model_id, now.isoformat()]),
                actor=actor,
                action="voice.exported",
                subject=model.model_id,
                detail={"to": str(folder), "without_consent": missing},
                created_at=now,
            )
        )
    return made


def _require_consent(model: Model) -> None:
    missing = model.metrics["without_consent"]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise InputError(
            f"no consent is recorded for {shown}",
            code="voice.no_consent",
            subject=model.metrics["name"],
            hint="Give it in the build (--consent-who, --consent-purpose, --consent-date) or in the sidecar, "
            "or say --without-consent",
        )
