"""Decoding media files, in a child process with limits.

A media file is the least trusted thing that comes in, and decoders are large C
libraries. So they run in a process of their own that can be killed: it may not
write files, has bounded memory and time, and is replaced when it dies.

    with Decoder() as decoder:
        decoded = decoder.decode(path)
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from phonoloop.core.child import Answer, ChildDied, ChildLate, ChildProcess
from phonoloop.core.errors import AudioError
from phonoloop.core.units import CANONICAL_RATE_HZ

_NAME_MAX_CHARS = 200


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Known:
    """What is known of a file that was decoded.

    Attributes:
        rate_hz: of the samples that came out.
        source_rate_hz: what the file had; likewise `channels`.
        container: ffmpeg's name, e.g. `mp3` or `matroska,webm`.
        truncated: the file ends before its header says it should, or in a broken packet.
        damaged_packets: packets that were left out because they cannot be decoded.
    """

    rate_hz: int
    source_rate_hz: int
    channels: int
    container: str
    codec: str
    truncated: bool = False
    damaged_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded(_Known):
    """A decoded file.

    Attributes:
        pcm: int16 (n,), mono, the mean of the channels.
    """

    pcm: np.ndarray

    @property
    def duration_s(self) -> float:
        return self.pcm.size / self.rate_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFacts(_Known):
    """A file that was decoded in blocks.

    Attributes:
        samples: how many were given out.
    """

    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / self.rate_hz


class Decoder:
    """Decodes files, one at a time, in a child that is kept from file to file.

    Threads may share one; they take turns. Close it, or use it as a context manager.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._child = ChildProcess(
            "phonoloop.audio.decode_worker",
            memory_bytes=self.limits.memory_bytes,
            about="decoding process",
            start_hint='Free memory or processes; check that `python -c "import av, soxr"` works',
        )

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._child.close()

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
        answer = self._decode_in_child(os.fsdecode(path), rate_hz)
        return Decoded(pcm=np.frombuffer(answer.data, "<i2"), rate_hz=rate_hz, **answer.content)

    def decode_in_blocks(
        self,
        path: str | os.PathLike[str],
        take: Callable[[np.ndarray], object],
        rate_hz: int = CANONICAL_RATE_HZ,
    ) -> DecodedFacts:
        """As `decode`, for files of hours: each block of samples (n,), int16, read-only, goes to `take` when
        it is decoded, and memory stays at one block. What `take` raises ends it.

        Blocks may have gone out before an error is found.
        """
        given = 0

        def hand_on(data: bytes) -> None:
            nonlocal given
            pcm = np.frombuffer(data, "<i2")
            take(pcm)
            given += pcm.size

        answer = self._decode_in_child(os.fsdecode(path), rate_hz, hand_on)
        return DecodedFacts(samples=given, rate_hz=rate_hz, **answer.content)

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

    def _decode_in_child(
        self, name: str, rate_hz: int, take: Callable[[bytes], object] | None = None
    ) -> Answer:
        self._look_at(name)
        request: dict[str, Any] = {
            "path": name,
            "rate_hz": rate_hz,
            "max_duration_s": self.limits.max_duration_s,
        }
        try:
            answer = self._child.ask(request, timeout_s=self.limits.timeout_s, take=take)
        except ChildLate:
            message = f"decoding it took longer than {self.limits.timeout_s:g} s"
            raise _error("audio.timeout", name, message, hint="Convert it, or raise the limit") from None
        except ChildDied as died:
            raise _crashed(name, died) from None
        if answer.failed:
            told = answer.content
            raise _error(told["code"], name, told["message"], hint=told["hint"])
        return answer


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


def _crashed(name: str, died: ChildDied) -> AudioError:
    if died.returncode == -signal.SIGKILL:  # not by us: the system was short of memory
        return _error(
            "audio.memory", name, "the decoding process was killed", hint="Free memory and try again"
        )
    return _error(
        "audio.corrupt", name, f"the decoder crashed on it ({died.how})", hint="Convert it from the original"
    )
