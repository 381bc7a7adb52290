"""The child process that decodes media: `python -m phonoloop.audio.decode_worker MEMORY_BYTES PARENT_PID`.

It lives as long as its `Decoder` and serves one file at a time. A request is a
line of JSON on its standard input. An answer is a run of blocks on its standard
output, each a kind (one byte), a length (four bytes, big endian) and that many
bytes: `P` carries samples (little-endian int16, mono), and one `D` (done) or
`E` (an error), both JSON, ends the answer. The first block of all, `R`, says
that it is ready.

It may write no file, use no more address space than it was given, and dies with
its parent. It imports numpy and the decoders, nothing else of the product.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import Any

from phonoloop.audio import decode_media
from phonoloop.core.errors import AudioError

HEADER = struct.Struct(">cI")
READY, PCM, DONE, FAILED = b"R", b"P", b"D", b"E"

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 64


def _lower_limits(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _die_with(parent_pid: int) -> None:
    """Linux only; elsewhere the end of standard input ends the process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we could ask for the signal
        raise SystemExit(0)


class _Answers:
    """Writes blocks to the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, kind: bytes, payload: bytes | memoryview) -> None:
        view = memoryview(payload).cast("B")
        written = os.writev(self._fd, [HEADER.pack(kind, len(view)), view]) - HEADER.size
        while written < len(view):
            written += os.write(self._fd, view[written:])

    def send_json(self, kind: bytes, value: dict[str, Any]) -> None:
        self.send(kind, json.dumps(value).encode())


def _serve(request: dict[str, Any], answers: _Answers) -> None:
    try:
        facts = decode_media.decode_file(
            request["path"],
            rate_hz=request["rate_hz"],
            max_duration_s=request["max_duration_s"],
            emit=lambda pcm: answers.send(PCM, pcm.data),
        )
    except AudioError as error:
        answers.send_json(FAILED, {"code": error.code, "message": error.message, "hint": error.hint})
    except MemoryError:
        # the heap may be in pieces: say so, and let the parent start a fresh process
        answers.send_json(FAILED, decode_media.memory_error())
        raise SystemExit(1) from None
    else:
        answers.send_json(DONE, facts)


def main(arguments: list[str]) -> None:
    memory_bytes, parent_pid = (int(argument) for argument in arguments)
    _die_with(parent_pid)
    answers = _Answers(os.dup(1))
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    _lower_limits(memory_bytes)
    answers.send_json(READY, {})
    for line in sys.stdin.buffer:
        _serve(json.loads(line), answers)


if __name__ == "__main__":
    main(sys.argv[1:])
