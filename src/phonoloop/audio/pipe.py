"""Audio that comes through a pipe while it is made: raw samples or a WAV file, at any rate.

for samples in heard(sys.stdin.buffer, rate_hz=48_000):
    detector.push(samples)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soxr

from phonoloop.audio.pcm import MAX_RATE_HZ, MIN_RATE_HZ
from phonoloop.core.errors import AudioError
from phonoloop.core.units import CANONICAL_RATE_HZ

#: as ffmpeg calls them: what a sample is, and what its full scale is
FORMATS = {"s16le": ("<i2", 2.0**15), "s32le": ("<i4", 2.0**31), "f32le": ("<f4", 1.0)}
#: (format, bits) of a WAV file
_WAV_FORMATS = {(1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}
_EXTENSIBLE = 0xFFFE
_BLOCK_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class PipeFormat:
    """What the bytes are.

    Attributes:
        sample_format: one of `FORMATS`.
    """

    rate_hz: int = CANONICAL_RATE_HZ
    sample_format: str = "s16le"
    channels: int = 1

    def __post_init__(self) -> None:
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise AudioError(f"{self.rate_hz} Hz is no sample rate", code="audio.corrupt", hint="Give --rate")
        if self.sample_format not in FORMATS or not 1 <= self.channels <= 64:
            raise _not_pcm(f"samples are {self.sample_format}, in {self.channels} channels")


def heard(pipe: BinaryIO, given: PipeFormat) -> Iterator[np.ndarray]:
    """float32 (n,) blocks in [-1, 1] at 16,000 Hz, mono, each as soon as its bytes are there.

    A pipe that begins as a WAV file is read as one, whatever was given.

    Raises:
        AudioError: `audio.not_pcm`, for a WAV file with other samples; `audio.corrupt`.
    """
    head = _read(pipe, 4)
    if head == b"RIFF":
        given, head = _wav_format(pipe), b""
    resampler = Resampler(given.rate_hz)
    for block in _blocks(pipe, given, head):
        yield resampler.push(block)
    yield resampler.push(np.zeros(0, np.float32), last=True)


def _read(pipe: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    got = b""
    while len(got) < size and (more := pipe.read(size - len(got))):
        got += more
    return got


def _blocks(pipe: BinaryIO, given: PipeFormat, head: bytes) -> Iterator[np.ndarray]:
    """Mono at the pipe's own rate. What is left of the last frame, if anything, is no sound."""
    kind, full_scale = FORMATS[given.sample_format]
    frame_bytes = np.dtype(kind).itemsize * given.channels
    waiting, read = head, getattr(pipe, "read1", pipe.read)
    while more := read(_BLOCK_BYTES):
        waiting += more
        whole = len(waiting) // frame_bytes * frame_bytes
        frames = np.frombuffer(waiting[:whole], kind).reshape(-1, given.channels)
        waiting = waiting[whole:]
        yield (frames.mean(axis=1, dtype=np.float64) / full_scale).astype(np.float32)


def _wav_format(pipe: BinaryIO) -> PipeFormat:
    """Reads a WAV file's head up to its first sample. A pipe cannot say how many follow."""
    _read(pipe, 8)
    given = None
    while len(chunk := _read(pipe, 8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data" and given is not None:
            return given
        body = _read(pipe, size + size % 2)
        if name == b"fmt ":
            given = _described(body)
    raise AudioError("the WAV file has no samples", code="audio.corrupt", hint="Write it again")


def _described(body: bytes) -> PipeFormat:
    if len(body) < 16:
        raise AudioError("the WAV file's header is cut", code="audio.corrupt", hint="Write it again")
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = struct.unpack_from("<H", body, 24)[0]
    if (kind, bits) not in _WAV_FORMATS:
        raise _not_pcm(f"the WAV file has {bits} bits in format {kind}")
    return PipeFormat(rate_hz, _WAV_FORMATS[kind, bits], channels)


def _not_pcm(message: str) -> AudioError:
    return AudioError(
        f"{message}, which is not read from a pipe",
        code="audio.not_pcm",
        hint="Send it through `ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -`",
    )


class Resampler:
    """Mono float32 that comes in pieces, from `rate_hz` to 16,000 Hz."""

    def __init__(self, rate_hz: int) -> None:
        same = rate_hz == CANONICAL_RATE_HZ
        self._stream = (
            None if same else soxr.ResampleStream(rate_hz, CANONICAL_RATE_HZ, 1, "float32", quality="HQ")
        )

    def push(self, samples: np.ndarray, *, last: bool = False) -> np.ndarray:
        return samples if self._stream is None else self._stream.resample_chunk(samples, last=last)
