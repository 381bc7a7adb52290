"""Workers and their children are killed with SIGKILL at random moments; the job ends right all the same.

The job counts to a number and keeps a checkpoint. An independent lock file shows whether two
children ever ran at once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job, JobState

GOAL = 20_000

CHILD = """
import fcntl, json, os, sys, time
from pathlib import Path
from phonoloop.core.errors import CancelledError
from phonoloop.jobs import child

def run(job):
    folder, goal = Path(sys.argv[1]), int(sys.argv[2])
    alone = (folder / "alone").open("a")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (folder / "two-at-once").write_text("1")
    (folder / "child").write_text(str(os.getpid()))
    checkpoint = folder / "checkpoint"
    state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"count": 0, "sum": 0}
    job.report("count", state["count"] / goal)  # and no more: an orphan shall not die of its broken pipe
    while state["count"] < goal:
        if job.should_stop():
            raise CancelledError("it was asked to stop")
        for _ in range(10):
            state["count"] += 1
            state["sum"] += state["count"]
        part = folder / "checkpoint.part"
        part.write_text(json.dumps(state))
        os.replace(part, checkpoint)
        if not (folder / "calm").exists():
            time.sleep(0.01)
    return state

sys.exit(child.main(run))
"""

WORKER = """
import sys, threading
from pathlib import Path
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.jobs.process import Command
from phonoloop.jobs.runner import Timing, work

url, folder, goal, name = sys.argv[1:]

def launch(job):
    return Command([sys.executable, "-c", (Path(folder) / "child.py").read_text(), folder, goal],
                   Path(folder) / "job.log")

work(SqlRecords(url), stop=threading.Event(), idle_s=0.05, worker=name, slots=["cpu"], launch=launch,
     timing=Timing(lease_s=1.5, beat_s=0.2, grace_s=1, look_s=0.02, retry_s=0))
"""


class Site:
    """Two workers on one database, one of which comes back whenever it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "child.py").write_text(CHILD)
        self.url = f"sqlite:///{folder / 'records.db'}"
        self.records = SqlRecords(self.url)
        with self.records.transaction() as tx:
            self.job_id = queue.submit(tx, kind="count", slot="cpu", max_attempts=1000).job_id
        self.workers = [self._worker(number) for number in range(2)]

    def _worker(self, number: int) -> subprocess.Popen:
        argv = [sys.executable, "-c", WORKER, self.url, str(self.folder), str(GOAL), str(number)]
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log)

    def job(self) -> Job:
        with self.records.transaction() as tx:
            return queue.get(tx, self.job_id)

    def count(self) -> int:
        checkpoint = self.folder / "checkpoint"
        return json.loads(checkpoint.read_text())["count"] if checkpoint.exists() else 0

    def wait_for_progress(self, attempt: int) -> None:
        """Until this attempt, or a later one, runs and counts: so every kill strikes a job that runs."""
        self._wait(lambda: self.job().attempt >= attempt and self.job().state is JobState.RUNNING)
        before = self.count()
        self._wait(lambda: self.count() > before)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline_s, (self.folder / "worker.log").read_text()
            time.sleep(0.01)

    def kill_idle_worker(self) -> int:
        """The next attempt to wait for: here the same."""
        job = self.job()
        self._kill_worker(1 - int(job.worker))
        return job.attempt

    def kill_its_worker(self) -> int:
        job = self.job()
        self._kill_worker(int(job.worker))
        return job.attempt + 1

    def kill_child(self) -> int:
        attempt = self.job().attempt
        os.kill(int((self.folder / "child").read_text()), signal.SIGKILL)
        return attempt + 1

    def _kill_worker(self, number: int) -> None:
        os.kill(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait()
        self.workers[number] = self._worker(number)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.records.close()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


def kill_at_random_and_finish(site: Site, kills: int, seed: int) -> Job:
    chance, attempt = random.Random(seed), 1
    for _ in range(kills):
        site.wait_for_progress(attempt)
        time.sleep(chance.uniform(0, 0.3))
        strike = chance.choice([site.kill_its_worker, site.kill_idle_worker, site.kill_child])
        attempt = strike()
    assert not site.job().state.ended, "it ended before the last kill: nothing was shown"
    (site.folder / "calm").write_text("1")
    deadline_s = time.monotonic() + 60
    while not site.job().state.ended:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return site.job()


def check(site: Site, job: Job) -> None:
    assert job.state is JobState.SUCCEEDED, dict(job.error)
    assert dict(job.result) == {"count": GOAL, "sum": GOAL * (GOAL + 1) // 2}
    assert not (site.folder / "two-at-once").exists()
    assert job.attempt > 1


def test_killed_ten_times_it_ends_right_and_never_runs_twice_at_once(site):
    check(site, kill_at_random_and_finish(site, 10, seed=20261120))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_a_hundred_times(site):
    check(site, kill_at_random_and_finish(site, 100, seed=1))
