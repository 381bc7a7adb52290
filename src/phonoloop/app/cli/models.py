"""`phonoloop models`: list, show, promote, roll back, export."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from phonoloop.app import views
from phonoloop.app.champion import artefact_dir
from phonoloop.app.cli.common import App, common_options, emit, table
from phonoloop.core.files import require_empty
from phonoloop.registry import promote as registry


@click.group()
def models() -> None:
    """List, show, promote, roll back and export models."""


@models.command("list")
@common_options
def list_models(app: App, as_json: bool) -> None:
    """All models, newest first."""
    rows = views.models_view(app)
    emit(as_json, rows, lambda: _list_lines(rows))


def _list_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "No model yet. Ingest recordings with transcripts, then run `phonoloop train asr`."
        return
    yield from table(
        ("model", "status", "WER", "measured on", "trained"),
        [(r["model_id"], _status(r), _wer(r), _measured_on(r), r["created_at"][:16]) for r in rows],
    )


def _status(row: dict[str, Any]) -> str:
    return f"{row['status']} (unproven)" if row["unproven"] else row["status"]


def _wer(row: dict[str, Any]) -> str:
    golden = row["metrics"].get("golden", {})
    if "rate" not in golden:
        return "not measured"
    if golden["interval"] is None:
        return f"{golden['rate']:.1%} (one speaker)"
    low, high = golden["interval"]
    return f"{golden['rate']:.1%} ({low:.1%} to {high:.1%})"


def _measured_on(row: dict[str, Any]) -> str:
    golden = row["metrics"].get("golden", {})
    return f"{golden['speakers']} speakers, {golden['words']} words" if golden else ""


@models.command()
@click.argument("model")
@common_options
def show(app: App, as_json: bool, model: str) -> None:
    """One model, by id or `champion`: its card, from the records."""
    view = views.model_view(app, model)
    emit(as_json, view, lambda: [app.blobs.get(view["artefacts"] + "card.md").decode()])


@models.command()
@click.argument("model")
@common_options
def promote(app: App, as_json: bool, model: str) -> None:
    """Make MODEL serve, whatever the judge said. The audit log keeps who did it."""
    with app.records.transaction() as tx:
        found = views.find_model(tx, model)
        champion = registry.promote(tx, found.model_id, actor=getpass.getuser())
    emit(as_json, views.plain(champion), lambda: [f"{champion.model_id} serves now."])


@models.command()
@common_options
def rollback(app: App, as_json: bool) -> None:
    """Make the champion before this one serve again."""
    with app.records.transaction() as tx:
        champion = registry.rollback(tx, "asr", actor=getpass.getuser())
    emit(as_json, views.plain(champion), lambda: [f"{champion.model_id} serves again."])


@models.command()
@click.argument("model")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@common_options
def export(app: App, as_json: bool, model: str, out: Path) -> None:
    """Copy a model's files to the folder OUT; they run anywhere onnxruntime does."""
    with app.records.transaction() as tx:
        found = views.find_model(tx, model)
    require_empty(out)
    shutil.copytree(artefact_dir(app.blobs, found), out, dirs_exist_ok=True)
    files = sorted(path.name for path in out.iterdir())
    emit(
        as_json,
        {"model_id": found.model_id, "out": str(out), "files": files},
        lambda: [f"{found.model_id}: {len(files)} files in {out}"],
    )
