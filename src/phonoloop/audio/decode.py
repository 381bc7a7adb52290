"""Decoding media files, in a child process with limits.

A media file is the least trusted thing that comes in, and decoders are large C
libraries. So they run in a process of their own that can be killed: it may not
write files, has bounded memory and time, and is replaced when it dies.

    with Decoder() as decoder:
        decoded = decoder.decode(path)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phonoloop.core.errors import AudioError, ResourceError
from phonoloop.core.units import CANONICAL_RATE_HZ

# the same as in decode_worker, which is not imported here: that would load the decoders
_HEADER_BYTES = 5
_PCM, _DONE, _FAILED = b"P", b"D", b"E"
_PIPE_BYTES = 1 << 20
_NAME_MAX_CHARS = 200
#: how long a child whose pipe has closed may take to be gone, so that its own exit status is seen
_DYING_S = 2.0
#: how long it may take to load; that does not count as time of the first file
_STARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one file may cost.

    Attributes:
        timeout_s: wall-clock time for one file.
        memory_bytes: address space of the child. About 250 MB of it are the libraries
            themselves, and a file of any length decodes in little more.
    """

    max_duration_s: float = 4 * 3600
    timeout_s: float = 300.0
    memory_bytes: int = 2 << 30
    max_input_bytes: int = 8 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded file.

    Attributes:
        pcm: int16 (n,), mono, the mean of the channels.
        rate_hz: of `pcm`.
        source_rate_hz: what the file had; likewise `channels`.
        container: ffmpeg's name, e.g. `mp3` or `matroska,webm`.
        truncated: the file ends before its header says it should, or in a broken packet.
        damaged_packets: packets that were left out because they cannot be decoded.
    """

    pcm: np.ndarray
    rate_hz: int
    source_rate_hz: int
    channels: int
    container: str
    codec: str
    truncated: bool = False
    damaged_packets: int = 0

    @property
    def duration_s(self) -> float:
        return self.pcm.size / self.rate_hz


class _Died(Exception):
    """The child ended in the middle of a file."""


class _Late(Exception):
    """The file's time is over."""


@dataclass(slots=True)
class _Child:
    """A running worker and its two pipes."""

    process: subprocess.Popen[bytes]
    poller: Any = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self.poller.register(self.process.stdout, select.POLLIN | select.POLLHUP)

    def ask(self, request: dict[str, Any]) -> None:
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise _Died from None

    def answer(self, pcm: bytearray, deadline: float) -> tuple[bytes, dict[str, Any]]:
        """Append samples to `pcm` until the closing block; that block's kind and content."""
        while True:
            header = bytearray()
            self._read_into(header, _HEADER_BYTES, deadline)
            kind, length = header[:1], int.from_bytes(header[1:], "big")
            if kind != _PCM:
                break
            self._read_into(pcm, length, deadline)
        closing = bytearray()
        self._read_into(closing, length, deadline)
        return bytes(kind), json.loads(closing)

    def _read_into(self, buffer: bytearray, count: int, deadline: float) -> None:
        fd = self.process.stdout.fileno()
        while count:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self.poller.poll(left_s * 1000):
                raise _Late
            part = os.read(fd, min(count, _PIPE_BYTES))
            if not part:
                raise _Died
            buffer += part
            count -= len(part)

    def end(self, patience_s: float = 0.0) -> int:
        """Kill it where it still runs after `patience_s`; how it ended, as `Popen.returncode`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


class Decoder:
    """Decodes files, one at a time, in a child that is kept from file to file.

    Threads may share one; they take turns. Close it, or use it as a context manager.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._lock = threading.Lock()
        self._child: _Child | None = None
        # The child dies with the thread that started it (that is how Linux counts parents),
        # so that thread has to live as long as the decoder, not as long as a caller.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="decoder")

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._drop_child()
        self._starter.shutdown()

    def decode(self, path: str | os.PathLike[str], rate_hz: int = CANONICAL_RATE_HZ) -> Decoded:
        """The first audio track of `path` as mono int16 at `rate_hz`.

        The same bytes give the same samples, whatever the file is called.

        Raises:
            AudioError: audio.missing, audio.not_a_file, audio.unreadable, audio.too_large, audio.empty,
                audio.not_audio, audio.no_audio_track, audio.truncated (no sample is usable),
                audio.too_short (it holds none), audio.too_long, audio.corrupt, audio.timeout,
                audio.memory.
            ResourceError: resource.no_process, the child cannot be started.
        """
        name = os.fsdecode(path)
        self._look_at(name)
        with self._lock:
            return self._decode_in_child(name, rate_hz)

    def _look_at(self, name: str) -> None:
        try:
            found = os.stat(name)
        except (OSError, ValueError) as error:
            raise _no_such_file(name, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise _error("audio.not_a_file", name, "it is not a plain file", hint="Name a file in it")
        if found.st_size == 0:
            raise _error("audio.empty", name, "the file is empty", hint="Copy it again")
        if found.st_size > self.limits.max_input_bytes:
            message = f"it has {found.st_size} bytes, and {self.limits.max_input_bytes} are allowed"
            raise _error(
                "audio.too_large", name, message, hint="Cut it into smaller files, or raise the limit"
            )

    def _decode_in_child(self, name: str, rate_hz: int) -> Decoded:
        pcm = bytearray()
        request = {"path": name, "rate_hz": rate_hz, "max_duration_s": self.limits.max_duration_s}
        try:
            child = self._ready_child()
            child.ask(request)
            kind, content = child.answer(pcm, time.monotonic() + self.limits.timeout_s)
        except _Late:
            self._drop_child()
            message = f"decoding it took longer than {self.limits.timeout_s:g} s"
            raise _error("audio.timeout", name, message, hint="Convert it, or raise the limit") from None
        except _Died:
            raise _crashed(name, self._drop_child(_DYING_S)) from None
        except BaseException:
            self._drop_child()  # an answer half read would be taken for the next file's
            raise
        if kind == _FAILED:
            if content["code"] == "audio.memory":  # it ends itself after that
                self._drop_child(_DYING_S)
            raise _error(content["code"], name, content["message"], hint=content["hint"])
        return Decoded(pcm=np.frombuffer(pcm, "<i2"), rate_hz=rate_hz, **content)

    def _ready_child(self) -> _Child:
        if self._child is not None and self._child.process.poll() is not None:
            self._drop_child()
        if self._child is None:
            self._child = self._starter.submit(_start, self.limits.memory_bytes).result()
        return self._child

    def _drop_child(self, patience_s: float = 0.0) -> int:
        child, self._child = self._child, None
        return 0 if child is None else child.end(patience_s)


def _start(memory_bytes: int) -> _Child:
    arguments = [str(memory_bytes), str(os.getpid())]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "phonoloop.audio.decode_worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except OSError as error:
        raise _no_process(error.strerror) from error
    _widen(process.stdout.fileno())
    child = _Child(process)
    try:
        child.answer(bytearray(), time.monotonic() + _STARTING_S)
    except (_Died, _Late):
        raise _no_process(f"it ended with status {child.end(_DYING_S)} before it was ready") from None
    return child


def _no_process(reason: str) -> ResourceError:
    return ResourceError(
        f"the decoding process cannot be started ({reason})",
        code="resource.no_process",
        hint='Free memory or processes; check that `python -c "import av, soxr"` works',
    )


def _widen(pipe_fd: int) -> None:
    """A larger pipe means fewer turns between the two processes; Linux only, and it may refuse."""
    try:
        fcntl.fcntl(pipe_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (AttributeError, PermissionError):
        return


def _error(code: str, name: str, message: str, *, hint: str) -> AudioError:
    return AudioError(message, code=code, subject=_printable(name), hint=hint)


def _printable(name: str) -> str:
    """A file name that can be printed and stored: undecodable bytes and control characters escaped."""
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )
    return text if len(text) <= _NAME_MAX_CHARS else "..." + text[-_NAME_MAX_CHARS:]


def _no_such_file(name: str, error: OSError | ValueError) -> AudioError:
    reason = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) == errno.EACCES:
        return _error(
            "audio.unreadable", name, f"it may not be read ({reason})", hint="Check its permissions"
        )
    return _error("audio.missing", name, f"there is no such file ({reason})", hint="Check the path")


def _crashed(name: str, returncode: int) -> AudioError:
    if returncode == -signal.SIGKILL:  # not by us: the system was short of memory
        return _error(
            "audio.memory", name, "the decoding process was killed", hint="Free memory and try again"
        )
    how = f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
    return _error(
        "audio.corrupt", name, f"the decoder crashed on it ({how})", hint="Convert it from the original"
    )
