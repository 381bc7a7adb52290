"""A child process that answers one request at a time, and may die of one.

Large C libraries that are given untrusted input run in it. It is kept from request to
request, is killed where a request takes too long, and is replaced after it died. What
runs inside is written with `core.child_side`, where the two pipes are described.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from phonoloop.core.child_side import DATA, FAILED, FAILED_AND_ENDED, HEADER
from phonoloop.core.errors import ResourceError

_PIPE_BYTES = 1 << 20
#: how long a child whose pipe has closed may take to be gone, so that its own exit status is seen
_DYING_S = 2.0
#: how long it may take to load; that does not count as time of the first request
_STARTING_S = 60.0


class ChildDied(Exception):
    """It ended in the middle of a request; `returncode` as `Popen` gives it."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode

    @property
    def how(self) -> str:
        return f"signal {-self.returncode}" if self.returncode < 0 else f"status {self.returncode}"


class ChildLate(Exception):
    """The request's time was over, and the child was killed."""


class _Broken(Exception):
    """Its pipe has closed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request brought.

    Attributes:
        failed: the child refused it; `content` then says why.
        data: the bytes that came before the closing block.
    """

    failed: bool
    content: dict[str, Any]
    data: bytearray


class ChildProcess:
    """`python -P -m MODULE MEMORY_BYTES PARENT_PID ARGUMENT…`, started with the first request.

    Threads may share one; they take turns. It ends with `close`, with this object, or with this
    process, whichever is first.

    Args:
        memory_bytes: address space it may use, libraries included.
        about: what to call it where it cannot be started; `start_hint` says what to do then.
    """

    def __init__(
        self, module: str, arguments: Sequence[str] = (), *, memory_bytes: int, about: str, start_hint: str
    ) -> None:
        self._command = (module, str(memory_bytes), str(os.getpid()), *arguments)
        self._about, self._start_hint = about, start_hint
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._finalizer: weakref.finalize | None = None

    @property
    def pid(self) -> int:
        """Of the child that runs now; 0 for none."""
        running = self._running
        return 0 if running is None else running.process.pid

    def ask(
        self,
        request: dict[str, Any],
        *,
        timeout_s: float,
        once_more: bool = False,
        take: Callable[[bytes], object] | None = None,
    ) -> Answer:
        """
        Args:
            once_more: where it dies, ask a fresh child again, since an earlier request may have
                damaged the memory of this one.
            take: gets each block of the data when it comes, and none is kept in the answer; what it
                raises ends the request. After a death with `once_more` it gets them from the first again.

        Raises:
            ChildDied, ChildLate
            ResourceError: `resource.no_process`, it cannot be started.
        """
        with self._lock:
            try:
                return self._ask(request, timeout_s, take)
            except ChildDied:
                if not once_more:
                    raise
            return self._ask(request, timeout_s, take)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _ask(
        self, request: dict[str, Any], timeout_s: float, take: Callable[[bytes], object] | None
    ) -> Answer:
        data = bytearray()
        try:
            running = self._ready()
            running.ask(request)
            kind, content = running.answer(data, time.monotonic() + timeout_s, take)
        except _Broken:
            raise ChildDied(self._drop(_DYING_S)) from None
        except BaseException:
            self._drop()  # an answer half read would be taken for the next request's
            raise
        if kind == FAILED_AND_ENDED:
            self._drop(_DYING_S)
        return Answer(failed=kind in (FAILED, FAILED_AND_ENDED), content=content, data=data)

    def _ready(self) -> _Running:
        if self._running is not None and self._running.process.poll() is not None:
            self._drop()
        if self._running is None:
            running = self._start()
            self._finalizer = weakref.finalize(self, running.end)
            self._running = running
        return self._running

    def _start(self) -> _Running:
        try:
            running = _Running(*self._command)
        except OSError as error:
            raise self._not_started(error.strerror) from error
        try:
            running.answer(bytearray(), time.monotonic() + _STARTING_S)
        except (_Broken, ChildLate):
            how = f"it ended with status {running.end(_DYING_S)} before it was ready"
            raise self._not_started(how) from None
        except BaseException:
            running.end()
            raise
        return running

    def _not_started(self, reason: str) -> ResourceError:
        return ResourceError(
            f"the {self._about} cannot be started ({reason})",
            code="resource.no_process",
            hint=self._start_hint,
        )

    def _drop(self, patience_s: float = 0.0) -> int:
        running, self._running = self._running, None
        if running is None:
            return 0
        self._finalizer.detach()
        return running.end(patience_s)


class _Running:
    """A child and its two pipes, and the thread that started it.

    The child dies with the thread that started it (that is how Linux counts parents), so it has a
    thread of its own, which lives as long as the child and not as long as a caller.
    """

    def __init__(self, *command: str) -> None:
        # a SimpleQueue may be put into from a finalizer, wherever that runs
        self._over: SimpleQueue[None] = SimpleQueue()
        started: Future[subprocess.Popen[bytes]] = Future()
        threading.Thread(
            target=_parent, args=(command, started, self._over), name=command[0], daemon=True
        ).start()
        self.process = started.result()
        _widen(self.process.stdout.fileno())
        self._poller = select.poll()
        self._poller.register(self.process.stdout, select.POLLIN | select.POLLHUP)

    def ask(self, request: dict[str, Any]) -> None:
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise _Broken from None

    def answer(
        self, data: bytearray, deadline: float, take: Callable[[bytes], object] | None = None
    ) -> tuple[bytes, dict[str, Any]]:
        """Append to `data`, or give to `take`, until the closing block; that block's kind and content."""
        while True:
            header = bytearray()
            self._read_into(header, HEADER.size, deadline)
            kind, length = HEADER.unpack(header)
            if kind != DATA:
                break
            self._read_into(data, length, deadline)
            if take is not None:
                take(bytes(data))
                data.clear()
        closing = bytearray()
        self._read_into(closing, length, deadline)
        return kind, json.loads(closing)

    def _read_into(self, buffer: bytearray, count: int, deadline: float) -> None:
        fd = self.process.stdout.fileno()
        while count:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._poller.poll(left_s * 1000):
                raise ChildLate
            part = os.read(fd, min(count, _PIPE_BYTES))
            if not part:
                raise _Broken
            buffer += part
            count -= len(part)

    def end(self, patience_s: float = 0.0) -> int:
        """Kill it where it still runs after `patience_s`; how it ended, as `Popen.returncode`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self._over.put(None)
        return self.process.wait()


def _parent(
    command: Sequence[str], started: Future[subprocess.Popen[bytes]], over: SimpleQueue[None]
) -> None:
    try:
        process = _open(command)
    except OSError as error:
        started.set_exception(error)
        return
    started.set_result(process)
    over.get()


def _open(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


def _widen(pipe_fd: int) -> None:
    """A larger pipe means fewer turns between the two processes; Linux only, and it may refuse."""
    try:
        fcntl.fcntl(pipe_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (AttributeError, PermissionError):
        return
