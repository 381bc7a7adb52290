"""The child's side of a job: it lives no longer than its runner, reports, and stops when asked.

def main() -> int:
    return child.main(run)

def run(job: child.Child) -> Mapping[str, Any]:
    for step in range(steps):
        job.report("train", step / steps)
        if job.should_stop():
            raise CancelledError("it was asked to stop")
    return {"steps": steps}
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.jobs.progress import Failure, Line, Report, Result, to_line

#: the runner's process id, in the child's environment
RUNNER_PID = "PHONOLOOP_RUNNER_PID"

_PR_SET_PDEATHSIG = 1
_ORPHANED = 3
_logger = logging.getLogger(__name__)


class Child:
    """Writes lines for the runner and knows whether to stop.

    Args:
        out: where the lines go.
        min_interval_s: reports of the same stage that follow faster are left out.
    """

    def __init__(self, out: TextIO, *, min_interval_s: float = 0.2) -> None:
        self._out = out
        self._min_interval_s = min_interval_s
        self._last = ("", float("-inf"))
        self._stop = threading.Event()
        self._writing = threading.Lock()

    def report(
        self,
        stage: str,
        progress: float,
        *,
        eta_s: float | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Says how far it is. Reports with metrics are never left out."""
        now_s = time.monotonic()
        stage_before, told_s = self._last
        if not metrics and stage == stage_before and now_s - told_s < self._min_interval_s:
            return
        self._last = (stage, now_s)
        self.write(Report(stage, progress, eta_s, metrics or {}))

    def write(self, line: Line) -> None:
        with self._writing:
            self._out.write(to_line(line) + "\n")
            self._out.flush()

    def stop(self) -> None:
        self._stop.set()

    def should_stop(self) -> bool:
        """Whether the runner has asked it to save its state and end (SIGTERM)."""
        return self._stop.is_set()


def main(run: Callable[[Child], Mapping[str, Any]]) -> int:
    """Runs a job in this process and tells the runner how it ended; the exit code says so too.

    What `run` returns is the result. Call this before anything slow is imported: until then the
    process would outlive a runner that is killed.
    """
    die_with_runner()
    child = Child(_take_stdout())
    signal.signal(signal.SIGTERM, lambda _signal, _frame: child.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the runner's to handle
    try:
        child.write(Result(run(child)))
    except Exception as error:
        _logger.exception("the job ended with an error")
        child.write(failure_of(error))
        return 1
    return 0


def failure_of(error: Exception) -> Failure:
    """What the runner is told of an error; one that is not of the tree has the code `internal`."""
    if isinstance(error, CancelledError):
        return Failure(error.code, str(error), error.hint, retryable=True)
    if isinstance(error, PhonoloopError):
        where = f"{error.subject}: " if error.subject else ""
        return Failure(error.code, where + error.message, error.hint, error.retryable)
    if isinstance(error, MemoryError):
        return Failure(
            "job.out_of_memory",
            "it ran out of memory",
            "Give it smaller batches or more memory",
            retryable=True,
        )
    return Failure("internal", f"{type(error).__name__}: {error}", "Its log has the whole story")


def die_with_runner() -> None:
    """From now on this process is killed when its runner dies, also by SIGKILL.

    On Linux the kernel sees to it (PR_SET_PDEATHSIG: when the *thread* that started this process
    ends, which for the runner is the same). The runner may have died before that was asked for,
    hence the look at who the parent is. Elsewhere a thread looks every second.
    """
    runner_pid = int(os.environ.get(RUNNER_PID) or os.getppid())
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    else:
        threading.Thread(target=_watch_parent, args=(runner_pid,), name="parent-watch", daemon=True).start()
    if os.getppid() != runner_pid:
        os._exit(_ORPHANED)


def _watch_parent(runner_pid: int) -> None:
    while os.getppid() == runner_pid:
        time.sleep(1.0)
    os._exit(_ORPHANED)


def _take_stdout() -> TextIO:
    """Keeps standard output for the protocol; what libraries print goes to the log instead."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return protocol
