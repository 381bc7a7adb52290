"""What a `core.child.ChildProcess` is made of on the child's side.

A request is a line of JSON on its standard input. An answer is a run of blocks on its
standard output, each a kind (one byte), a length (four bytes, big endian) and that many
bytes: `P` carries data, and one of `D` (done), `E` (an error) or `X` (an error, and the
child ends), all JSON, ends the answer. The first block of all, `R`, says that it is ready.

It may write no file, uses no more address space than it was given, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct(">cI")
READY, DATA, DONE, FAILED, FAILED_AND_ENDED = b"R", b"P", b"D", b"E", b"X"

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 64


class Answers:
    """Writes blocks to the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, kind: bytes, payload: bytes | bytearray | memoryview) -> None:
        view = memoryview(payload).cast("B")
        written = os.writev(self._fd, [HEADER.pack(kind, len(view)), view]) - HEADER.size
        while written < len(view):
            written += os.write(self._fd, view[written:])

    def send_json(self, kind: bytes, value: dict[str, Any]) -> None:
        self.send(kind, json.dumps(value).encode())


def serve(handle: Callable[[dict[str, Any], Answers], None], *, memory_bytes: int, parent_pid: int) -> None:
    """Have `handle` answer each request, until the parent closes the pipe."""
    die_with(parent_pid)
    answers = Answers(os.dup(1))
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    _lower_limits(memory_bytes)
    answers.send_json(READY, {})
    for line in sys.stdin.buffer:
        handle(json.loads(line), answers)


def _lower_limits(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def die_with(parent_pid: int) -> None:
    """Have this process killed when its parent dies. Linux only; elsewhere the end of standard input has to
    end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we could ask for the signal
        raise SystemExit(0)
