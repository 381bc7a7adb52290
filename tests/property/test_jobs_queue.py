"""The queue under any order of calls, and under several processes on one database."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.errors import ConflictError
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job, JobState
from phonoloop.jobs.runner import claim_next

LEASE_S = 60
ERROR = {"code": "test", "message": "test", "hint": ""}


class Queue(RuleBasedStateMachine):
    """Workers that claim, beat, end and forget jobs, while time goes by."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.records = MemoryRecords()
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.ended: dict[str, JobState] = {}
        self.attempts: dict[str, int] = {}

    @rule(slot=st.sampled_from("ab"), cause=st.sampled_from(["", "one", "two"]), attempts=st.integers(1, 3))
    def submit(self, slot, cause, attempts):
        self.now += timedelta(microseconds=1)  # the oldest is claimed first, and ids are random
        with self.records.transaction() as tx:
            queue.submit(tx, kind="k", slot=slot, cause=cause, max_attempts=attempts, now=self.now)

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def time_goes_by(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(target=claims, slots=st.sampled_from(["a", "b", "ab"]))
    def claim(self, slots):
        with self.records.transaction() as tx:
            job = queue.claim(tx, worker="w", slots=list(slots), lease_s=LEASE_S, now=self.now)
        if job is None:
            return multiple()
        assert job.attempt == self.attempts.get(job.job_id, 0) + 1
        self.attempts[job.job_id] = job.attempt
        return job

    @rule(job=claims)
    def beat(self, job):
        self._as_owner(
            job, lambda tx: queue.heartbeat(tx, job.job_id, job.attempt, lease_s=LEASE_S, now=self.now)
        )

    @rule(job=consumes(claims))
    def succeed(self, job):
        self._as_owner(job, lambda tx: queue.succeed(tx, job.job_id, job.attempt, result={}, now=self.now))

    @rule(job=consumes(claims), again=st.booleans())
    def fail(self, job, again):
        self._as_owner(
            job,
            lambda tx: queue.fail(tx, job.job_id, job.attempt, error=ERROR, retryable=again, now=self.now),
        )

    @rule(job=claims)
    def cancel(self, job):
        with self.records.transaction() as tx:
            if not queue.get(tx, job.job_id).state.ended:
                queue.request_cancel(tx, job.job_id, now=self.now)

    def _as_owner(self, job: Job, act) -> None:
        """Only the newest attempt may write, and only while the job runs."""
        with self.records.transaction() as tx:
            current = queue.get(tx, job.job_id)
            if current.state is JobState.RUNNING and current.attempt == job.attempt:
                act(tx)
                return
            with pytest.raises(ConflictError) as refused:
                act(tx)
        assert refused.value.code == "job.lease_lost"

    @invariant()
    def what_has_ended_stays_as_it_ended(self):
        for job in self._jobs():
            assert self.ended.get(job.job_id, job.state) == job.state
            if job.state.ended:
                self.ended[job.job_id] = job.state

    @invariant()
    def one_job_runs_on_a_slot_and_none_too_often(self):
        running = [job for job in self._jobs() if job.state is JobState.RUNNING]
        assert len({job.slot for job in running}) == len(running)
        assert all(job.attempt <= job.max_attempts for job in self._jobs())

    def _jobs(self) -> list[Job]:
        with self.records.transaction() as tx:
            return tx.find(Job)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# ---------------------------------------------------------------- several processes

PROCESSES, JOBS, SLOTS = 4, 16, ("a", "b")


def stressed_worker(url: str, folder: str, seed: int) -> None:
    """Claims until every job has ended; every fourth time it walks away without a word."""
    import fcntl
    import random
    import time

    from phonoloop.adapters.records_sql import SqlRecords

    records, chance = SqlRecords(url), random.Random(seed)
    report = (Path(folder) / "report").open("a", buffering=1)
    while not all_ended(records):
        job = claim_next(records, worker=f"w{seed}", slots=SLOTS, lease_s=1.5)
        if job is None:
            time.sleep(0.01)
            continue
        with (Path(folder) / f"slot-{job.slot}").open("a") as slot:
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report.write(f"two on {job.slot}\n")
            time.sleep(chance.uniform(0, 0.02))
        if job.attempt == 1 and chance.random() < 0.25:
            report.write("abandoned\n")
            continue
        with records.transaction() as tx:
            queue.succeed(tx, job.job_id, job.attempt, result={"by": seed})
        report.write(f"done {job.job_id}\n")
    records.close()


def all_ended(records) -> bool:
    with records.transaction() as tx:
        states = [JobState.QUEUED, JobState.RUNNING]
        return not tx.total(Job, state__in=states)


def test_several_processes_on_one_database_never_run_a_job_or_use_a_slot_at_once(tmp_path):
    from phonoloop.adapters.records_sql import SqlRecords

    url = f"sqlite:///{tmp_path / 'records.db'}"
    records = SqlRecords(url)
    with records.transaction() as tx:
        ids = {queue.submit(tx, kind="k", slot=SLOTS[n % 2]).job_id for n in range(JOBS)}
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=stressed_worker, args=(url, str(tmp_path), seed)) for seed in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    lines = (tmp_path / "report").read_text().splitlines()
    assert not [line for line in lines if line.startswith("two")]
    assert sorted(line for line in lines if line.startswith("done")) == sorted(f"done {i}" for i in ids)
    with records.transaction() as tx:
        jobs = tx.find(Job)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert sum(job.attempt for job in jobs) == JOBS + lines.count("abandoned")
    records.close()
