"""`phonoloop wakeword train --dataset ID`: the training of a dataset, as a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import open_app
from phonoloop.app.cli.common import emit, progress
from phonoloop.app.cli.train import raise_unless_done
from phonoloop.app.settings import load_settings
from phonoloop.app.views import plain
from phonoloop.app.wakeword_training import WakeWish, submit_wakeword
from phonoloop.app.work import run_and_wait
from phonoloop.jobs.model import Job, JobState


def train_dataset(wish: WakeWish, *, data_dir: Path | None, detach: bool, as_json: bool) -> None:
    """Queues it, and unless it is to be left to `phonoloop up`, sees it through to its end.

    Raises:
        As `submit_wakeword`; what the job failed with; CancelledError `job.cancelled`.
    """
    with open_app(load_settings({"data_dir": data_dir})) as app:
        job = submit_wakeword(app, wish)
        if not detach:
            with progress("Training", enabled=not as_json) as bar:
                job = run_and_wait(app, job.job_id, lambda j: bar(j.progress, _words(j)))
            raise_unless_done(job)
        emit(as_json, plain(job), lambda: _lines(job))


def _words(job: Job) -> str:
    return job.stage if job.state is JobState.RUNNING else f"waiting ({job.state.value})"


def _lines(job: Job) -> Iterator[str]:
    if not job.state.ended:
        yield f"Queued as job {job.job_id}. `phonoloop up` runs it; `phonoloop jobs show` follows it."
        return
    result: dict[str, Any] = dict(job.result)
    yield f"{result['model_id']}: {result['verdict']}"
    yield from (f"  {line}" for line in result["measured"])
    yield from (f"Warning: {line}." for line in result["warnings"])
    verb = "It serves now" if result["promoted"] else "It does not serve"
    yield f"{verb}: {result['reason']}."
    if not result["promoted"]:
        yield f"`phonoloop wakeword promote {result['run_id']} --force` lets it serve all the same."
