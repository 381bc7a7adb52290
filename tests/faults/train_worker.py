"""What the tests of killed and starved trainings run: a small data folder, a process that runs its jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ingest_worker

from phonoloop.app.bootstrap import App, open_app
from phonoloop.app.intake import audio_files, take_in
from phonoloop.app.loop import pump
from phonoloop.app.settings import Settings, load_settings
from phonoloop.app.training import submit_training
from phonoloop.app.work import run_jobs
from phonoloop.data.model import Split
from phonoloop.data.split import pin_speaker
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job

PINS = {"an": Split.TRAIN, "bich": Split.TRAIN, "loan": Split.VAL, "lam": Split.TEST}
SEED = 11
EPOCHS = 12


def settings(data_dir: Path) -> Settings:
    return load_settings({"data_dir": data_dir, "job_lease_s": 1.0, "asr_recipe": "debug"})


def prepare(data_dir: Path) -> Path:
    """Sixteen recordings of four speakers, ingested."""
    material = data_dir.parent / f"{data_dir.name}-material"
    with open_app(settings(data_dir)) as app:
        for number in range(40):
            speaker = ingest_worker.SPEAKERS[number % len(ingest_worker.SPEAKERS)]
            if speaker in PINS:
                ingest_worker.write_recording(material, number)
        with app.records.transaction() as tx:
            for name, split in PINS.items():
                pin_speaker(tx, name, split)
        for path, hints in audio_files([material]):
            assert take_in(app, path, hints).status == "ingested"
        pump(app)
    return data_dir


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def submit(app: App) -> str:
    return submit_training(app, recipe="debug", seed=SEED, epochs=EPOCHS).job_id


def job_of(app: App, job_id: str) -> Job:
    with app.records.transaction() as tx:
        return queue.get(tx, job_id)


def start(data_dir: Path) -> subprocess.Popen:
    """A process that runs the jobs of a data folder until it is killed; a group with its trainer."""
    argv = [sys.executable, __file__, str(data_dir)]
    environ = os.environ | {"OMP_NUM_THREADS": "1", "JOB_LEASE_SEC": "1"}
    with (data_dir.parent / f"{data_dir.name}.log").open("ab") as log:
        return subprocess.Popen(argv, stdout=log, stderr=log, env=environ, start_new_session=True)


def kill_group(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)


if __name__ == "__main__":
    with open_app(settings(Path(sys.argv[1]))) as an_app:
        run_jobs(an_app, threading.Event())
