"""A job's child process as the runner sees it: started, heard, stopped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from phonoloop.core.errors import UnavailableError
from phonoloop.jobs.child import RUNNER_PID
from phonoloop.jobs.progress import Failure, Line, Report, Result, parse_line

#: a line of the protocol is never longer
_LINE_LIMIT = 1 << 20
_TAIL_BYTES = 8_192
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Command:
    """How to run a job. No shell is involved.

    Attributes:
        argv: program and arguments.
        log_path: takes the standard error of all attempts, one after the other. A lock file is kept
            beside it: on one machine no two children run with the same log at once.
        environment: on top of the runner's own.
    """

    argv: Sequence[str]
    log_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """One running child.

    Attributes:
        result, failure: what it said last about how it ended; None where it did not.

    Raises:
        UnavailableError: `job.still_running`, where an earlier child of this job is alive.
            `job.not_started`, where the program cannot be run.
    """

    def __init__(self, command: Command) -> None:
        self.result: Result | None = None
        self.failure: Failure | None = None
        self._command = command
        self._lines: queue.Queue[Line | None] = queue.Queue()
        command.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._popen = _start(command)
        self._reader = threading.Thread(target=self._read, name=f"job-reader-{self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def reports(self, timeout_s: float) -> tuple[list[Report], bool]:
        """What it reported since, after waiting at most that long, and whether it is still talking."""
        reports: list[Report] = []
        try:
            line = self._lines.get(timeout=timeout_s)
            while line is not None:
                self._take(line, reports)
                line = self._lines.get_nowait()
        except queue.Empty:
            return reports, True
        return reports, False

    def _take(self, line: Line, reports: list[Report]) -> None:
        if isinstance(line, Report):
            reports.append(line)
        elif isinstance(line, Result):
            self.result = line
        else:
            self.failure = line

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def wait(self) -> int:
        """Waits for its end; the exit code, or minus the signal that killed it."""
        code = self._popen.wait()
        self._reader.join()
        self._popen.stdout.close()
        return code

    def terminate(self) -> None:
        """Asks it to save its state and end."""
        self._popen.terminate()

    def kill(self) -> None:
        """Ends it and whatever it has started, at once. A group that is gone already is what is wanted."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines it wrote to its log."""
        with self._command.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().replace(b"\0", b"").decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def _read(self) -> None:
        """Parses in a thread; what is not of the protocol goes to the log, where a person looks."""
        with self._command.log_path.open("ab") as log:
            while raw := self._popen.stdout.readline(_LINE_LIMIT):
                line = parse_line(raw.decode("utf-8", "replace"))
                if line is None:
                    log.write(raw)
                    log.flush()
                else:
                    self._lines.put(line)
        self._lines.put(None)


def _start(command: Command) -> subprocess.Popen[bytes]:
    """The child inherits the lock, so that it is held as long as the child lives, also where the
    runner is suspended, loses its lease and cannot see to the child."""
    lock = _take_lock(command.log_path.with_name(command.log_path.name + ".lock"))
    try:
        with command.log_path.open("ab") as log:
            return subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **command.environment, RUNNER_PID: str(os.getpid())},
                pass_fds=(lock.fileno(),),
                start_new_session=True,  # a Ctrl-C at the terminal is the runner's to handle
            )
    except OSError as error:
        raise UnavailableError(
            f"its program could not be started ({error})",
            code="job.not_started",
            subject=str(command.argv[0]),
            hint="Check that the installation is whole with `phonoloop doctor`",
        ) from error
    finally:
        lock.close()


def _take_lock(path: Path) -> IO[bytes]:
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise UnavailableError(
            "an earlier child of this job is still running",
            code="job.still_running",
            subject=str(path),
            hint="It is started again as soon as that one has ended",
        ) from error
    return lock
