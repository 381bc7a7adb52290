"""`phonoloop train`: train now, and judge what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit, progress
from phonoloop.app.training import submit_training
from phonoloop.app.work import run_and_wait
from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.jobs.model import Job, JobState


@click.group()
def train() -> None:
    """Train a model now and judge it against the champion."""


@train.command()
@click.option("--recipe", help="Recipe name (debug, small, base, …) or a YAML file.")
@click.option("--seed", type=int, help="The recipe's if not given.")
@click.option("--epochs", type=click.IntRange(min=1), help="The recipe's if not given.")
@click.option("--from", "initial", default="", help="Start from this model (an id, or `champion`).")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Train on this manifest instead of the curated clips.",
)
@click.option("--detach", is_flag=True, help="Queue it and leave it to `phonoloop up`.")
@common_options
def asr(
    app: App,
    as_json: bool,
    recipe: str | None,
    seed: int | None,
    epochs: int | None,
    initial: str,
    manifest: Path | None,
    detach: bool,
) -> None:
    """Train a recogniser on what has been ingested."""
    job = submit_training(app, recipe=recipe, seed=seed, epochs=epochs, initial=initial, manifest=manifest)
    if not detach:
        with progress("Training", enabled=not as_json) as bar:
            job = run_and_wait(app, job.job_id, lambda j: bar(j.progress, _words(j)))
        raise_unless_done(job)
    emit(as_json, views.plain(job), lambda: _lines(job))


def _words(job: Job) -> str:
    return job.stage if job.state is JobState.RUNNING else f"waiting ({job.state.value})"


def raise_unless_done(job: Job) -> None:
    """A job that failed or was cancelled, as the error it ended with."""
    if job.state is JobState.CANCELLED:
        raise CancelledError("the training was cancelled", code="job.cancelled", subject=job.job_id)
    if job.state is JobState.FAILED:
        raise PhonoloopError(
            str(job.error.get("message", "the training failed")),
            code=str(job.error.get("code", "internal")),
            subject=job.job_id,
            hint=str(job.error.get("hint") or f"`phonoloop jobs log {job.job_id}` shows what it wrote"),
        )


def _lines(job: Job) -> Iterator[str]:
    if not job.state.ended:
        yield f"Queued as job {job.job_id}. `phonoloop up` runs it; `phonoloop jobs show` follows it."
        return
    result = job.result
    verb = "serves now" if result["promoted"] else "was not promoted"
    yield f"{result['model_id']} {verb}: {result['decision'].replace('_', ' ')}. {result['reason']}"
    yield f"`phonoloop models show {result['model_id']}` has its card."
