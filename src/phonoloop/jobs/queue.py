"""The queue of long work: functions on a unit of work.

A job waits (`queued`), runs on a slot under a lease (`running`) and ends (`succeeded`, `failed`,
`cancelled`). Its `attempt` counts the starts and is the fencing token: whoever holds an older one
has lost the job and can no longer change it. At most one job runs on a slot.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.core.ids import content_id
from phonoloop.core.ports import Transaction
from phonoloop.jobs.model import Job, JobState, TriggerFiring

ABANDONED = {
    "code": "job.abandoned",
    "message": "every worker that ran it stopped without a word",
    "hint": "Read its log; a machine that runs out of memory is the usual reason. Then start it again",
}


def submit(
    tx: Transaction,
    *,
    kind: str,
    slot: str,
    params: Mapping[str, Any] | None = None,
    cause: str = "",
    max_attempts: int = 5,
    now: datetime | None = None,
) -> Job:
    """Queues a job.

    Args:
        cause: what asks for it (`cron/train.asr/2026-11-20`). A cause that is known already gives the
            job it started then. Without one, every call is a new job.
    """
    firing = tx.get(TriggerFiring, cause) if cause else None
    if firing is not None:
        return get(tx, firing.job_id)
    now = now or utc_now()
    job_id = content_id([kind, cause]) if cause else uuid.uuid4().hex
    job = Job(
        job_id=job_id,
        kind=kind,
        slot=slot,
        params=dict(params or {}),
        max_attempts=max_attempts,
        created_at=now,
    )
    tx.put(job)
    if cause:
        tx.put(TriggerFiring(cause=cause, job_id=job_id, created_at=now))
    return job


def get(tx: Transaction, job_id: str) -> Job:
    """`NotFoundError` `job.missing` where there is none."""
    job = tx.get(Job, job_id)
    if job is None:
        raise NotFoundError(
            "there is no such job", code="job.missing", subject=job_id, hint="List them with `phonoloop jobs`"
        )
    return job


def claim(
    tx: Transaction,
    *,
    worker: str,
    slots: Sequence[str],
    lease_s: float,
    now: datetime | None = None,
) -> Job | None:
    """Takes the next job for these slots: one whose worker went silent, else the oldest that waits
    for a free slot. None where there is nothing to do.

    What went silent too often ends as failed (`job.abandoned`) on the way, and as cancelled where
    somebody had asked for that.

    Raises:
        ConflictError: `job.slot_taken`, where another worker won the slot in between.
    """
    now = now or utc_now()
    running = tx.find(Job, state=JobState.RUNNING, slot__in=list(slots), order_by="created_at")
    silent = [job for job in running if job.lease_until is None or job.lease_until <= now]
    for job in silent:
        if job.cancel_requested or job.attempt >= job.max_attempts:
            tx.put(_given_up(job, now))
        else:
            return _start(tx, job, worker=worker, lease_s=lease_s, now=now)
    busy = {job.slot for job in running} - {job.slot for job in silent}
    waiting = _oldest_waiting(tx, [slot for slot in slots if slot not in busy], now)
    return _start(tx, waiting, worker=worker, lease_s=lease_s, now=now) if waiting else None


def _given_up(job: Job, now: datetime) -> Job:
    if job.cancel_requested:
        return _ended(job, JobState.CANCELLED, now)
    return _ended(job, JobState.FAILED, now, error=ABANDONED)


def _oldest_waiting(tx: Transaction, slots: Sequence[str], now: datetime) -> Job | None:
    queued = tx.find(Job, state=JobState.QUEUED, slot__in=list(slots), order_by="created_at") if slots else []
    return next((job for job in queued if job.lease_until is None or job.lease_until <= now), None)


def _start(tx: Transaction, job: Job, *, worker: str, lease_s: float, now: datetime) -> Job:
    started = replace(
        job,
        state=JobState.RUNNING,
        attempt=job.attempt + 1,
        worker=worker,
        lease_until=now + timedelta(seconds=lease_s),
        eta_s=None,
        error={},
        started_at=job.started_at or now,
    )
    tx.put(started)
    return started


def heartbeat(
    tx: Transaction,
    job_id: str,
    attempt: int,
    *,
    lease_s: float,
    stage: str = "",
    progress: float | None = None,
    eta_s: float | None = None,
    now: datetime | None = None,
) -> Job:
    """Says that the worker is alive and how far it is; what it returns says whether to stop.

    Raises:
        ConflictError: `job.lease_lost`, where another attempt owns the job or it has ended.
    """
    job = _owned(tx, job_id, attempt)
    beaten = replace(
        job,
        lease_until=(now or utc_now()) + timedelta(seconds=lease_s),
        stage=stage or job.stage,
        progress=job.progress if progress is None else progress,
        eta_s=eta_s,
    )
    tx.put(beaten)
    return beaten


def succeed(
    tx: Transaction, job_id: str, attempt: int, *, result: Mapping[str, Any], now: datetime | None = None
) -> Job:
    """Ends it with what came out. `ConflictError` `job.lease_lost` as in `heartbeat`."""
    done = _ended(_owned(tx, job_id, attempt), JobState.SUCCEEDED, now or utc_now(), result=dict(result))
    tx.put(replace(done, progress=1.0))
    return replace(done, progress=1.0)


def fail(
    tx: Transaction,
    job_id: str,
    attempt: int,
    *,
    error: Mapping[str, Any],
    retryable: bool = False,
    delay_s: float = 0.0,
    now: datetime | None = None,
) -> Job:
    """Ends it, or queues it again after `delay_s` where trying again may help and attempts remain.

    `ConflictError` `job.lease_lost` as in `heartbeat`.
    """
    now = now or utc_now()
    job = _owned(tx, job_id, attempt)
    if retryable and job.cancel_requested:
        after = _ended(job, JobState.CANCELLED, now)
    elif retryable and job.attempt < job.max_attempts:
        after = replace(_queued_again(job, now + timedelta(seconds=delay_s)), error=dict(error))
    else:
        after = _ended(job, JobState.FAILED, now, error=dict(error))
    tx.put(after)
    return after


def release(tx: Transaction, job_id: str, attempt: int, *, now: datetime | None = None) -> Job:
    """Gives it back unfinished because the worker itself has to stop. That is nobody's failure, so
    one more attempt is allowed. `ConflictError` `job.lease_lost` as in `heartbeat`."""
    job = _owned(tx, job_id, attempt)
    after = replace(_queued_again(job, now or utc_now()), max_attempts=job.max_attempts + 1)
    tx.put(after)
    return after


def cancelled(tx: Transaction, job_id: str, attempt: int, *, now: datetime | None = None) -> Job:
    """Its worker has stopped it. `ConflictError` `job.lease_lost` as in `heartbeat`."""
    after = _ended(_owned(tx, job_id, attempt), JobState.CANCELLED, now or utc_now())
    tx.put(after)
    return after


def request_cancel(tx: Transaction, job_id: str, *, now: datetime | None = None) -> Job:
    """A waiting job is cancelled at once; a running one is asked to stop; a cancelled one stays so.

    Raises:
        NotFoundError: `job.missing`.
        ConflictError: `job.ended`, where it has succeeded or failed already.
    """
    job = get(tx, job_id)
    if job.state is JobState.CANCELLED:
        return job
    if job.state.ended:
        raise ConflictError(
            f"it has {job.state} already and cannot be cancelled", code="job.ended", subject=job_id
        )
    if job.state is JobState.QUEUED:
        after = _ended(replace(job, cancel_requested=True), JobState.CANCELLED, now or utc_now())
    else:
        after = replace(job, cancel_requested=True)
    tx.put(after)
    return after


def _owned(tx: Transaction, job_id: str, attempt: int) -> Job:
    job = get(tx, job_id)
    if job.state is not JobState.RUNNING or job.attempt != attempt:
        raise ConflictError(
            f"attempt {attempt} no longer runs this job: it is {job.state}, attempt {job.attempt}",
            code="job.lease_lost",
            subject=job_id,
            hint="Whoever took it over goes on from the last checkpoint; nothing has to be done",
        )
    return job


def _queued_again(job: Job, not_before: datetime) -> Job:
    return replace(job, state=JobState.QUEUED, worker="", lease_until=not_before, eta_s=None)


def _ended(job: Job, state: JobState, now: datetime, **changes: Any) -> Job:
    return replace(job, state=state, lease_until=None, eta_s=None, ended_at=now, **changes)
