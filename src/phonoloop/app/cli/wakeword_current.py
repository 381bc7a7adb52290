"""`phonoloop wakeword current`, `… promote`: which detector serves."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from typing import Any

import click

from phonoloop.app import wakeword_models as models
from phonoloop.app.cli.common import App, common_options, emit, table
from phonoloop.app.views import plain


@click.command()
@click.option("--all", "everything", is_flag=True, help="List all detectors, newest first.")
@click.option("--rollback", is_flag=True, help="Let the detector before this one serve again.")
@common_options
def current(app: App, as_json: bool, everything: bool, rollback: bool) -> None:
    """Which detector serves: models/wakeword/current in the data folder."""
    if rollback:
        models.rollback(app, actor=getpass.getuser())
    if everything:
        found = models.detectors_view(app)
        emit(as_json, found, lambda: _list_lines(found))
        return
    view = models.current_view(app)
    emit(as_json, view, lambda: _lines(view))


def _lines(view: dict[str, Any]) -> Iterator[str]:
    metrics = view["metrics"]
    phrase = f"“{metrics['phrase']}” ({metrics['language']})"
    yield f"{view['model_id']} serves since {view['since'][:16]}: {phrase}"
    yield from (f"  {line}" for line in metrics["measured"])
    yield f"  verdict: {metrics['verdict']}"
    yield f"  {view['path']} -> {view['run_id']}"
    if view["previous_model_id"]:
        yield f"  before it: {view['previous_model_id']} (--rollback goes back to it)"


def _list_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "No detector yet. `phonoloop wakeword train --dataset ID` makes one."
        return
    yield from table(
        ("run", "model", "phrase", "verdict", "", "trained"),
        [
            (
                one["run_id"],
                one["model_id"],
                one["metrics"]["phrase"],
                one["metrics"]["verdict"],
                "serves" if one["serves"] else "",
                one["created_at"][:16],
            )
            for one in found
        ],
    )


@click.command()
@click.argument("run")
@click.option("--force", is_flag=True, help="Also one that was not shown to be good enough.")
@common_options
def promote(app: App, as_json: bool, run: str, force: bool) -> None:
    """Let the detector of RUN (its run's or its model's id) serve from now on.

    The audit log keeps who did it.
    """
    champion = models.promote(app, run, actor=getpass.getuser(), force=force)
    emit(as_json, plain(champion), lambda: [f"{champion.model_id} serves now."])
