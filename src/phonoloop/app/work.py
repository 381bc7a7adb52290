"""Running queued jobs: in the background of `phonoloop up`, or in front of somebody who waits."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from phonoloop.app import training, voice_jobs, wakeword_training
from phonoloop.app.bootstrap import App
from phonoloop.app.training import SLOT
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConfigError
from phonoloop.core.ports import Transaction
from phonoloop.jobs import queue, runner
from phonoloop.jobs.model import Job
from phonoloop.jobs.process import Command
from phonoloop.jobs.progress import Report
from phonoloop.registry.model import TrainingRun

LOOK_S = 0.5

OnReport = Callable[[Job, Report], None]


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"


def launch(app: App, job: Job) -> Command:
    """How a job's child process is started: this interpreter, a fixed module, no shell."""
    argv = [
        sys.executable,
        "-m",
        "phonoloop.app.trainer",
        "--data",
        str(app.data_dir),
        "--job-id",
        job.job_id,
    ]
    return Command(argv=argv, log_path=app.job_log(job.job_id), environment=_quiet_threads())


def _quiet_threads() -> dict[str, str]:
    """OpenMP's threads sleep while they wait: spinning, they starve each other wherever something else runs.

    It has to be set before torch is imported; what somebody has set is left alone.
    """
    return {} if "OMP_WAIT_POLICY" in os.environ else {"OMP_WAIT_POLICY": "PASSIVE"}


#: kind of job → what its child process runs
RUNNERS = {
    training.KIND: training.run_training,
    wakeword_training.KIND: wakeword_training.run_wakeword,
    voice_jobs.KIND: voice_jobs.run_voice,
}


def runner_of(job: Job) -> Callable[..., dict[str, Any]]:
    """Raises ConfigError `job.unknown_kind`."""
    if job.kind not in RUNNERS:
        raise ConfigError(
            f"this version runs no jobs of kind {job.kind!r}",
            code="job.unknown_kind",
            subject=job.job_id,
            hint="A newer version queued it: run that one",
        )
    return RUNNERS[job.kind]


def close_run(app: App, tx: Transaction, job: Job) -> None:
    """What a job that ended without a model leaves behind: a run that says how it ended."""
    for run in tx.find(TrainingRun, job_id=job.job_id):
        if run.state == "running":
            tx.put(replace(run, state=job.state.value, ended_at=utc_now()))
        if run.kind == wakeword_training.MODEL_KIND:
            wakeword_training.drop_leftovers(app, run.run_id)


def run_jobs(app: App, stop: threading.Event, on_report: OnReport | None = None) -> None:
    """Runs one queued job after the other until `stop` is set."""
    runner.work(
        app.records,
        stop=stop,
        idle_s=LOOK_S,
        worker=worker_name(),
        slots=[SLOT],
        launch=lambda job: launch(app, job),
        timing=runner.Timing(lease_s=app.settings.job_lease_s, beat_s=min(3.0, app.settings.job_lease_s / 4)),
        on_end=lambda tx, job: close_run(app, tx, job),
        on_report=on_report,
    )


def run_and_wait(app: App, job_id: str, on_progress: Callable[[Job], None]) -> Job:
    """Sees a job through to its end, whoever runs it: this process, or a `phonoloop up` beside it.

    Ctrl-C gives the job back to the queue with its last checkpoint kept.
    """
    stop = threading.Event()
    worker = threading.Thread(target=run_jobs, args=(app, stop), name="job-runner")
    worker.start()
    try:
        while not (job := _look(app, job_id)).state.ended:
            on_progress(job)
            stop.wait(LOOK_S)
        return job
    finally:
        stop.set()
        worker.join()


def _look(app: App, job_id: str) -> Job:
    with app.records.transaction() as tx:
        return queue.get(tx, job_id)
