"""Canonical WAV files: 16-bit PCM, mono."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from phonoloop.core.errors import AudioError, ResourceError
from phonoloop.core.units import CANONICAL_RATE_HZ

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MAX_DATA_BYTES = 0xFFFFFFFF - _HEADER.size
_PCM_FORMAT = 1


def to_float(pcm: np.ndarray) -> np.ndarray:
    """int16 to float32 in [-1, 1)."""
    return np.multiply(pcm, np.float32(1 / 32768), dtype=np.float32)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """float in [-1, 1] to int16, rounded to nearest; louder is clipped. The inverse of `to_float`."""
    scaled = np.rint(np.asarray(samples, np.float32) * np.float32(32768))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def wav_bytes(pcm: np.ndarray, rate_hz: int = CANONICAL_RATE_HZ) -> bytes:
    """A WAV file with the int16 samples `pcm` (n,), mono.

    Raises:
        AudioError: audio.too_long, more than the format's four gigabytes.
    """
    return b"".join((_header(pcm.size, rate_hz), np.ascontiguousarray(pcm, "<i2").data))


def _header(samples: int, rate_hz: int) -> bytes:
    data_bytes = samples * 2
    if data_bytes > _MAX_DATA_BYTES:
        raise AudioError("it does not fit in a WAV file", code="audio.too_long", hint="Cut it into parts")
    return _HEADER.pack(
        *(b"RIFF", data_bytes + _HEADER.size - 8, b"WAVE"),
        *(b"fmt ", 16, _PCM_FORMAT, 1, rate_hz, rate_hz * 2, 2, 16),
        *(b"data", data_bytes),
    )


class WavWriter:
    """A canonical file that is written block by block; `with` closes it, and only then is it whole.

    Its bytes are those of `wav_bytes` of all blocks together. It is on the disk, also after a power cut,
    when it is closed without an error.

    Raises:
        ResourceError: `resource.disk`, from any of its methods.
        AudioError: `audio.too_long`, more than the format's four gigabytes.
    """

    def __init__(self, path: str | os.PathLike[str], rate_hz: int = CANONICAL_RATE_HZ) -> None:
        self.samples = 0
        self._rate_hz = rate_hz
        self._name = os.fspath(path)
        with self._refusing():
            self._file = open(path, "wb")  # noqa: SIM115  (closed by `close`)
            self._file.write(_header(0, rate_hz))

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def write(self, pcm: np.ndarray) -> None:
        """int16 (n,)."""
        _header(self.samples + pcm.size, self._rate_hz)  # refuses what would be too long
        with self._refusing():
            self._file.write(np.ascontiguousarray(pcm, "<i2").data)
        self.samples += pcm.size

    def close(self) -> None:
        with self._refusing():
            self._file.seek(0)
            self._file.write(_header(self.samples, self._rate_hz))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def _abandon(self) -> None:
        """What is still in its buffer may not fit on the disk: that is not the error to report."""
        with contextlib.suppress(OSError):
            self._file.close()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResourceError(
                f"it cannot be written ({error.strerror})",
                code="resource.disk",
                subject=self._name,
                hint="Free disk space and start again",
            ) from error


@dataclass(frozen=True, slots=True)
class WavInfo:
    """Of a canonical file: its rate, its samples, and where in it the first one is."""

    rate_hz: int
    samples: int
    data_offset: int


def wav_info(path: str | os.PathLike[str]) -> WavInfo:
    """Read the header of a canonical file; errors as `read_wav`."""
    with _opened(path) as file:
        return _info(file, os.fspath(path))


def read_wav(path: str | os.PathLike[str], start: int = 0, end: int | None = None) -> np.ndarray:
    """Samples [start, end) of a canonical file, float32 (n,) in [-1, 1]; only that span is read.

    Raises:
        AudioError: audio.missing; audio.not_canonical, not 16-bit mono PCM; audio.truncated, the file
            ends inside the span; audio.bad_span, the span is not in the recording.
    """
    name = os.fspath(path)
    with _opened(path) as file:
        info = _info(file, name)
        end = info.samples if end is None else end
        if not 0 <= start <= end <= info.samples:
            message = f"samples {start} to {end} are asked for, and it has {info.samples}"
            raise AudioError(message, code="audio.bad_span", subject=name, hint="Check the clip's span")
        file.seek(info.data_offset + 2 * start)
        data = file.read(2 * (end - start))
    if len(data) < 2 * (end - start):
        raise AudioError(
            "it ends too early", code="audio.truncated", subject=name, hint="Copy or ingest it again"
        )
    return to_float(np.frombuffer(data, "<i2"))


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        message = f"it cannot be opened ({error.strerror})"
        raise AudioError(
            message, code="audio.missing", subject=os.fspath(path), hint="Check the path"
        ) from None


def _info(file: BinaryIO, name: str) -> WavInfo:
    """Walk the chunks to the samples."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise _not_canonical(name, "it is not a WAV file")
    rate_hz = 0
    while len(chunk := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", chunk)
        if kind == b"fmt ":
            rate_hz = _rate_of(file.read(size), name)
        elif kind == b"data" and rate_hz:
            return WavInfo(rate_hz, size // 2, file.tell())
        else:
            file.seek(size, os.SEEK_CUR)
        file.seek(size % 2, os.SEEK_CUR)
    raise _not_canonical(name, "it has no samples")


def _rate_of(fields: bytes, name: str) -> int:
    if len(fields) < 16:
        raise _not_canonical(name, "its header is cut")
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fields)
    if (kind, channels, bits) != (_PCM_FORMAT, 1, 16) or rate_hz == 0:
        raise _not_canonical(name, f"it has {channels} channels of {bits} bits in format {kind}")
    return rate_hz


def _not_canonical(name: str, message: str) -> AudioError:
    return AudioError(
        f"{message}; 16-bit mono PCM is needed",
        code="audio.not_canonical",
        subject=name,
        hint="Ingest it: that makes the canonical copy",
    )
