"""`phonoloop jobs`: list, show, follow the log of, and cancel long work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from phonoloop.app import training, views
from phonoloop.app.cli.common import App, common_options, emit, table


@click.group()
def jobs() -> None:
    """List, follow and cancel long work."""


@jobs.command("list")
@common_options
def list_jobs(app: App, as_json: bool) -> None:
    """Newest first."""
    rows = views.jobs_view(app)
    emit(as_json, rows, lambda: _list_lines(rows))


def _list_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "No jobs yet."
        return
    yield from table(
        ("job", "kind", "state", "stage", "done", "attempt", "created"),
        [
            (
                r["job_id"],
                r["kind"],
                r["state"],
                r["stage"],
                f"{r['progress']:.0%}",
                r["attempt"],
                r["created_at"][:16],
            )
            for r in rows
        ],
    )


@jobs.command()
@click.argument("job_id")
@common_options
def show(app: App, as_json: bool, job_id: str) -> None:
    """One job: state, error, what each epoch measured."""
    view = views.job_view(app, job_id)
    emit(as_json, view, lambda: _job_lines(view))


def _job_lines(view: dict[str, Any]) -> Iterator[str]:
    yield f"{view['job_id']}  {view['kind']}: {view['state']}, {view['stage']} {view['progress']:.0%}"
    if view["error"]:
        error = view["error"]
        yield f"  [{error.get('code')}] {error.get('message')}. {error.get('hint', '')}"
    for epoch in view["epochs"]:
        yield "  " + "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in epoch.items()
        )


@jobs.command()
@click.argument("job_id")
@common_options
def cancel(app: App, as_json: bool, job_id: str) -> None:
    """Ask a job to stop; it keeps its last checkpoint."""
    job = training.cancel_job(app, job_id)
    emit(as_json, views.plain(job), lambda: [f"{job.job_id}: {job.state.value}, asked to stop."])


@jobs.command()
@click.argument("job_id")
@common_options
def log(app: App, as_json: bool, job_id: str) -> None:
    """What the job's process wrote."""
    views.job_view(app, job_id)
    path = app.job_log(job_id)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    emit(as_json, {"job_id": job_id, "log": text}, lambda: [text or "Nothing written yet."])
