"""The queue of long work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job, JobState

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ERROR = {"code": "disk.full", "message": "no space", "hint": "make some"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def tx():
    with MemoryRecords().transaction() as tx:
        yield tx


def submit(tx, n: float = 0, *, slot: str = "cpu", **options) -> Job:
    return queue.submit(tx, kind="train.asr", slot=slot, now=at(n), **options)


def claim(tx, n: float, *, slots=("cpu",), worker: str = "w1") -> Job | None:
    return queue.claim(tx, worker=worker, slots=slots, lease_s=60, now=at(n))


class TestSubmit:
    def test_a_job_waits_with_what_it_was_given(self, tx):
        job = submit(tx, params={"recipe": "debug"})
        assert tx.get(Job, job.job_id) == job
        assert (job.state, job.attempt, dict(job.params)) == (JobState.QUEUED, 0, {"recipe": "debug"})

    def test_without_a_cause_every_call_is_a_new_job(self, tx):
        assert submit(tx).job_id != submit(tx).job_id

    def test_one_cause_starts_one_job(self, tx):
        first = submit(tx, 0, cause="cron/train.asr/2026-11-20")
        again = submit(tx, 9, cause="cron/train.asr/2026-11-20")
        other = submit(tx, 9, cause="cron/train.asr/2026-11-21")
        assert again == first
        assert other.job_id != first.job_id
        assert tx.total(Job) == 2

    def test_a_cause_gives_its_job_also_when_that_has_ended(self, tx):
        submit(tx, cause="hours/train.asr/s1")
        job = claim(tx, 1)
        queue.succeed(tx, job.job_id, job.attempt, result={}, now=at(2))
        assert submit(tx, 3, cause="hours/train.asr/s1").state is JobState.SUCCEEDED


class TestClaim:
    def test_nothing_to_do(self, tx):
        assert claim(tx, 0) is None

    def test_the_oldest_that_waits_is_started_under_a_lease(self, tx):
        submit(tx, 5)
        oldest = submit(tx, 1)
        job = claim(tx, 10, worker="w7")
        assert job.job_id == oldest.job_id
        assert (job.state, job.attempt, job.worker) == (JobState.RUNNING, 1, "w7")
        assert (job.lease_until, job.started_at) == (at(70), at(10))

    def test_a_busy_slot_takes_no_second_job(self, tx):
        submit(tx)
        submit(tx, 1)
        assert claim(tx, 2) is not None
        assert claim(tx, 3) is None

    def test_another_slot_is_free(self, tx):
        submit(tx)
        on_gpu = submit(tx, 1, slot="cuda:0")
        claim(tx, 2)
        assert claim(tx, 3, slots=("cpu", "cuda:0")).job_id == on_gpu.job_id

    def test_slots_of_other_workers_are_left_alone(self, tx):
        submit(tx, slot="cuda:0")
        assert claim(tx, 1, slots=("cpu",)) is None
        assert claim(tx, 1, slots=()) is None

    def test_a_silent_workers_job_is_taken_over_as_the_next_attempt(self, tx):
        submit(tx)
        first = claim(tx, 0)
        assert claim(tx, 59) is None
        second = claim(tx, 60, worker="w2")
        assert (second.job_id, second.attempt, second.worker) == (first.job_id, 2, "w2")
        assert second.started_at == first.started_at

    def test_what_went_silent_too_often_fails_and_frees_its_slot(self, tx):
        bad = submit(tx, 0, max_attempts=2)
        good = submit(tx, 1)
        claim(tx, 0)
        claim(tx, 60)
        assert claim(tx, 120).job_id == good.job_id
        bad = queue.get(tx, bad.job_id)
        assert (bad.state, bad.error["code"], bad.ended_at) == (JobState.FAILED, "job.abandoned", at(120))

    def test_a_cancelled_job_whose_worker_went_silent_is_cancelled(self, tx):
        job = submit(tx)
        claim(tx, 0)
        queue.request_cancel(tx, job.job_id)
        assert claim(tx, 60) is None
        assert queue.get(tx, job.job_id).state is JobState.CANCELLED


class TestHeartbeat:
    def test_it_renews_the_lease_and_tells_how_far_it_is(self, tx):
        submit(tx)
        job = claim(tx, 0)
        beaten = queue.heartbeat(
            tx, job.job_id, 1, lease_s=60, stage="train", progress=0.5, eta_s=30, now=at(50)
        )
        assert (beaten.stage, beaten.progress, beaten.eta_s) == ("train", 0.5, 30)
        assert claim(tx, 100) is None

    def test_it_keeps_what_it_is_not_told(self, tx):
        submit(tx)
        job = claim(tx, 0)
        queue.heartbeat(tx, job.job_id, 1, lease_s=60, stage="train", progress=0.5, now=at(1))
        beaten = queue.heartbeat(tx, job.job_id, 1, lease_s=60, now=at(2))
        assert (beaten.stage, beaten.progress) == ("train", 0.5)

    def test_it_shows_that_somebody_asked_to_stop(self, tx):
        submit(tx)
        job = claim(tx, 0)
        queue.request_cancel(tx, job.job_id)
        assert queue.heartbeat(tx, job.job_id, 1, lease_s=60, now=at(1)).cancel_requested

    def test_a_late_one_is_good_while_nobody_took_over(self, tx):
        submit(tx)
        job = claim(tx, 0)
        assert queue.heartbeat(tx, job.job_id, 1, lease_s=60, now=at(500)).lease_until == at(560)


class TestFencing:
    """Whoever holds an older attempt can change nothing any more."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda tx, job: queue.heartbeat(tx, job.job_id, 1, lease_s=60),
            lambda tx, job: queue.succeed(tx, job.job_id, 1, result={}),
            lambda tx, job: queue.fail(tx, job.job_id, 1, error=ERROR),
            lambda tx, job: queue.cancelled(tx, job.job_id, 1),
            lambda tx, job: queue.release(tx, job.job_id, 1),
        ],
    )
    def test_lost(self, tx, act):
        submit(tx)
        claim(tx, 0)
        current = claim(tx, 60, worker="w2")
        with pytest.raises(ConflictError) as refused:
            act(tx, current)
        assert refused.value.code == "job.lease_lost"
        assert queue.get(tx, current.job_id) == current

    def test_an_ended_job_is_nobodys(self, tx):
        submit(tx)
        job = claim(tx, 0)
        queue.succeed(tx, job.job_id, 1, result={})
        with pytest.raises(ConflictError) as refused:
            queue.heartbeat(tx, job.job_id, 1, lease_s=60)
        assert refused.value.code == "job.lease_lost"


class TestEnds:
    def test_success_keeps_the_result_and_frees_the_slot(self, tx):
        submit(tx)
        other = submit(tx, 1)
        job = claim(tx, 0)
        done = queue.succeed(tx, job.job_id, 1, result={"wer": 0.1}, now=at(9))
        assert (done.state, dict(done.result), done.progress) == (JobState.SUCCEEDED, {"wer": 0.1}, 1.0)
        assert (done.lease_until, done.ended_at) == (None, at(9))
        assert queue.get(tx, job.job_id) == done
        assert claim(tx, 10).job_id == other.job_id

    def test_an_error_that_stays_ends_it(self, tx):
        submit(tx)
        job = claim(tx, 0)
        failed = queue.fail(tx, job.job_id, 1, error=ERROR)
        assert (failed.state, dict(failed.error)) == (JobState.FAILED, ERROR)

    def test_an_error_that_may_pass_is_tried_again_after_a_while(self, tx):
        submit(tx)
        job = claim(tx, 0)
        again = queue.fail(tx, job.job_id, 1, error=ERROR, retryable=True, delay_s=30, now=at(1))
        assert (again.state, again.error["code"]) == (JobState.QUEUED, "disk.full")
        assert claim(tx, 30) is None
        assert claim(tx, 31).attempt == 2

    def test_the_last_attempt_is_the_last(self, tx):
        submit(tx, max_attempts=1)
        job = claim(tx, 0)
        assert queue.fail(tx, job.job_id, 1, error=ERROR, retryable=True).state is JobState.FAILED

    def test_what_was_to_be_cancelled_is_not_tried_again(self, tx):
        submit(tx)
        job = claim(tx, 0)
        queue.request_cancel(tx, job.job_id)
        assert queue.fail(tx, job.job_id, 1, error=ERROR, retryable=True).state is JobState.CANCELLED

    def test_given_back_it_costs_no_attempt(self, tx):
        submit(tx, max_attempts=1)
        job = claim(tx, 0)
        queue.release(tx, job.job_id, 1, now=at(1))
        again = claim(tx, 2)
        assert (again.attempt, again.max_attempts) == (2, 2)


class TestCancel:
    def test_a_waiting_job_at_once(self, tx):
        job = queue.request_cancel(tx, submit(tx).job_id)
        assert job.state is JobState.CANCELLED
        assert claim(tx, 1) is None

    def test_a_running_job_by_its_worker(self, tx):
        submit(tx)
        job = claim(tx, 0)
        assert queue.request_cancel(tx, job.job_id).state is JobState.RUNNING
        assert queue.cancelled(tx, job.job_id, 1).state is JobState.CANCELLED

    def test_twice_is_once(self, tx):
        job = queue.request_cancel(tx, submit(tx).job_id)
        assert queue.request_cancel(tx, job.job_id) == job

    def test_not_what_has_ended(self, tx):
        submit(tx)
        job = claim(tx, 0)
        queue.succeed(tx, job.job_id, 1, result={})
        with pytest.raises(ConflictError) as refused:
            queue.request_cancel(tx, job.job_id)
        assert refused.value.code == "job.ended"

    def test_not_what_is_not_there(self, tx):
        with pytest.raises(NotFoundError) as refused:
            queue.request_cancel(tx, "nothing")
        assert refused.value.code == "job.missing"
