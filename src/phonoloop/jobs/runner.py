"""Runs jobs: takes one, starts its child process, watches it, records how it ended.

The runner owns the job only as long as its lease: it renews it every few seconds, kills the child
when it cannot, and writes with its attempt number, which a later attempt makes void.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phonoloop.core.errors import ConflictError, UnavailableError
from phonoloop.core.ports import Records, Transaction
from phonoloop.jobs import queue
from phonoloop.jobs.child import failure_of
from phonoloop.jobs.model import Job
from phonoloop.jobs.oom import oom_kills
from phonoloop.jobs.process import Command, Process
from phonoloop.jobs.progress import Failure, Report

_logger = logging.getLogger(__name__)

Launch = Callable[[Job], Command]
#: runs in the unit of work that records how a job ended, so that its events are told if, and only if, it is
OnEnd = Callable[[Transaction, Job], None]
OnReport = Callable[[Job, Report], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """How a runner keeps time.

    Attributes:
        lease_s: after so long without a sign of life, somebody else may take the job over.
        beat_s: between two signs of life.
        grace_s: between asking a child to stop and killing it.
        look_s: how often stop requests and the child's end are looked for.
        retry_s: before a job whose child was killed or unlucky is tried again, times the attempt.
    """

    lease_s: float = 60.0
    beat_s: float = 3.0
    grace_s: float = 20.0
    look_s: float = 0.2
    retry_s: float = 5.0


def claim_next(records: Records, *, worker: str, slots: Sequence[str], lease_s: float) -> Job | None:
    """`queue.claim` in a unit of work of its own; a race that was lost is nothing to do."""
    try:
        with records.transaction() as tx:
            return queue.claim(tx, worker=worker, slots=slots, lease_s=lease_s)
    except ConflictError as error:
        if error.code != "job.slot_taken":
            raise
        return None
    except UnavailableError as error:
        if error.code != "records.conflict":
            raise
        return None


def run_next(
    records: Records,
    *,
    worker: str,
    slots: Sequence[str],
    launch: Launch,
    timing: Timing | None = None,
    stop: threading.Event | None = None,
    on_end: OnEnd | None = None,
    on_report: OnReport | None = None,
) -> Job | None:
    """Runs the next job for these slots to its end. None where there is nothing to do.

    Args:
        launch: how to run it.
        stop: set by the caller when the process has to end: the child saves its state and the job
            goes back to the queue.

    Returns:
        The job as it is afterwards: ended, queued again, or (lease lost) somebody else's.
    """
    timing = timing or Timing()
    job = claim_next(records, worker=worker, slots=slots, lease_s=timing.lease_s)
    if job is None:
        return None
    run = _Run(records, job, timing=timing, stop=stop or threading.Event())
    return run.to_end(launch, on_end or _nothing, on_report or _nothing)


def work(records: Records, *, stop: threading.Event, idle_s: float = 1.0, **options: Any) -> None:
    """Runs one job after the other until `stop` is set; `options` as for `run_next`.

    An error of the records or of a launch is logged, and the next try waits.
    """
    while not stop.is_set():
        try:
            done = run_next(records, stop=stop, **options)
        except Exception:
            _logger.exception("running a job went wrong; trying again in %.0f s", idle_s)
            done = None
        if done is None:
            stop.wait(idle_s)


def _nothing(*_: Any) -> None:
    """For hooks that nobody gave."""


class _LeaseLostError(Exception):
    """The job is no longer ours."""


class _Run:
    """One attempt of one job."""

    def __init__(self, records: Records, job: Job, *, timing: Timing, stop: threading.Event) -> None:
        self._records = records
        self._job = job
        self._timing = timing
        self._stop = stop
        self._beat_at_s = time.monotonic()
        self._heard = Report(job.stage, job.progress)
        self._oom_kills = oom_kills()

    def to_end(self, launch: Launch, on_end: OnEnd, on_report: OnReport) -> Job:
        try:
            ending = self._attempt(launch, on_report)
            return self._record(ending, on_end)
        except _LeaseLostError:
            _logger.warning("job %s was taken over after attempt %d", self._job.job_id, self._job.attempt)
            with self._records.transaction() as tx:
                return queue.get(tx, self._job.job_id)

    # ------------------------------------------------------------ the child

    def _attempt(self, launch: Launch, on_report: OnReport) -> Callable[[Transaction], Job]:
        try:
            command = launch(self._job)
            process = self._start(command)
        except Exception as error:
            _logger.exception("job %s could not be started", self._job.job_id)
            return self._fails(failure_of(error))
        if process is None:
            return self._stopped()
        try:
            self._watch(process, on_report)
        finally:
            process.kill()
            code = process.wait()
        self._hear(process, 0.0, on_report)
        return self._ending(process, code, command)

    def _start(self, command: Command) -> Process | None:
        """Waits, alive, for an earlier child of this job to end; None where it was told to stop."""
        while not self._must_stop():
            try:
                return Process(command)
            except UnavailableError as error:
                if error.code != "job.still_running":
                    raise
                self._heard = replace(self._heard, stage="waiting for an earlier child to end")
                self._stop.wait(self._timing.look_s)
                self._beat_if_due()
        return None

    def _watch(self, process: Process, on_report: OnReport) -> None:
        """Until the child has ended, or has had its time to after it was asked to."""
        while process.exit_code() is None and not self._must_stop():
            if not self._hear(process, self._timing.look_s, on_report):
                self._stop.wait(min(0.01, self._timing.look_s))  # silent for good: it is about to end
            self._beat_if_due()
        if process.exit_code() is not None:
            return
        process.terminate()
        deadline_s = time.monotonic() + self._timing.grace_s
        while process.exit_code() is None and time.monotonic() < deadline_s:
            time.sleep(min(0.05, self._timing.look_s))
            self._beat_if_due()

    def _hear(self, process: Process, timeout_s: float, on_report: OnReport) -> bool:
        reports, talking = process.reports(timeout_s)
        for report in reports:
            self._heard = report
            on_report(self._job, report)
        return talking

    def _must_stop(self) -> bool:
        return self._stop.is_set() or self._job.cancel_requested

    # ------------------------------------------------------------ the lease

    def _beat_if_due(self) -> None:
        if time.monotonic() - self._beat_at_s < self._timing.beat_s:
            return
        began_s = time.monotonic()
        try:
            with self._records.transaction() as tx:
                self._job = queue.heartbeat(
                    tx,
                    self._job.job_id,
                    self._job.attempt,
                    lease_s=self._timing.lease_s,
                    stage=self._heard.stage,
                    progress=self._heard.progress,
                    eta_s=self._heard.eta_s,
                )
        except ConflictError as error:
            raise _LeaseLostError from error
        except UnavailableError as error:
            self._missed_beat(error)
        else:
            self._beat_at_s = began_s

    def _missed_beat(self, error: UnavailableError) -> None:
        """Goes on while the lease lasts; after that the job may be somebody else's."""
        silent_s = time.monotonic() - self._beat_at_s
        _logger.warning("job %s: no heartbeat for %.0f s: %s", self._job.job_id, silent_s, error)
        if silent_s >= self._timing.lease_s:
            raise _LeaseLostError from error
        time.sleep(self._timing.look_s)

    # ------------------------------------------------------------ the end

    def _ending(self, process: Process, code: int, command: Command) -> Callable[[Transaction], Job]:
        """What a child said counts more than how it exited: a result was written before it was told."""
        if process.result is not None:
            return self._succeeds(process.result.values)
        if self._must_stop():
            return self._stopped()
        failure = process.failure or self._unsaid(code, process.log_tail())
        extra = {"log": str(command.log_path), "log_tail": process.log_tail()}
        return self._fails(failure, extra)

    def _unsaid(self, code: int, tail: str) -> Failure:
        if code < 0:
            return self._killed(-code)
        last = tail.splitlines()[-1].strip() if tail.strip() else "it wrote nothing to its log"
        if code == 0:
            return Failure("job.no_result", "it ended without a result", "Its log has the whole story")
        return Failure("job.crashed", f"it exited with code {code}: {last}", "Its log has the whole story")

    def _killed(self, number: int) -> Failure:
        before, after = self._oom_kills, oom_kills()
        if number == signal.SIGKILL and before is not None and after is not None and after > before:
            return Failure(
                "job.out_of_memory",
                "the system killed it because memory ran out",
                "Give it smaller batches (`batch_seconds`), fewer loader processes or more memory",
                retryable=True,
            )
        name = signal.Signals(number).name
        hint = "If nobody did that, memory may have run out" if number == signal.SIGKILL else ""
        return Failure("job.killed", f"it was killed by signal {number} ({name})", hint, retryable=True)

    def _succeeds(self, values: Mapping[str, Any]) -> Callable[[Transaction], Job]:
        return lambda tx: queue.succeed(tx, self._job.job_id, self._job.attempt, result=values)

    def _fails(
        self, failure: Failure, extra: Mapping[str, Any] | None = None
    ) -> Callable[[Transaction], Job]:
        return lambda tx: queue.fail(
            tx,
            self._job.job_id,
            self._job.attempt,
            error={**failure.as_error(), **(extra or {})},
            retryable=failure.retryable,
            delay_s=self._timing.retry_s * self._job.attempt,
        )

    def _stopped(self) -> Callable[[Transaction], Job]:
        end = queue.cancelled if self._job.cancel_requested else queue.release
        return lambda tx: end(tx, self._job.job_id, self._job.attempt)

    def _record(self, ending: Callable[[Transaction], Job], on_end: OnEnd) -> Job:
        """Written once the records can be reached; a lease that ran out meanwhile makes it void."""
        while True:
            try:
                with self._records.transaction() as tx:
                    job = ending(tx)
                    if job.state.ended:
                        on_end(tx, job)
                    return job
            except ConflictError as error:
                if error.code != "job.lease_lost":
                    raise
                raise _LeaseLostError from error
            except UnavailableError as error:
                self._missed_beat(error)
