"""A source's samples, read a stretch at a time, so that hours of it take no memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from phonoloop.audio.wav import read_wav, wav_info
from phonoloop.core.errors import AudioError
from phonoloop.voice.data import RATE_HZ


class Samples(Protocol):
    """Mono at 22,050 Hz."""

    @property
    def samples(self) -> int: ...

    def read(self, start: int, end: int) -> np.ndarray:
        """Samples [start, end), float32 in [-1, 1), each an int16 over 32,768."""
        ...


@dataclass(frozen=True, slots=True)
class WavSamples:
    """Those of a canonical WAV file."""

    path: Path
    samples: int

    @classmethod
    def of(cls, path: Path) -> WavSamples:
        """Errors as `wav_info`.

        Raises:
            AudioError: `audio.not_canonical`, for another rate than 22,050 Hz.
        """
        info = wav_info(path)
        if info.rate_hz != RATE_HZ:
            raise AudioError(
                f"it has {info.rate_hz} Hz, and voices are made from {RATE_HZ}",
                code="audio.not_canonical",
                subject=str(path),
                hint="Ingest it: that makes the copy that voices are made from",
            )
        return cls(path, info.samples)

    def read(self, start: int, end: int) -> np.ndarray:
        """Errors as `read_wav`."""
        return read_wav(self.path, start, end)


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Some of a source's samples, float32 (n,), the first of which is the source's sample `start`."""

    samples: np.ndarray
    start: int

    @classmethod
    def around(cls, samples: Samples, start: int, end: int, *, margin: int) -> Passage:
        """[start, end) with `margin` on both sides, as far as the source goes."""
        first = max(start - margin, 0)
        return cls(samples.read(first, min(end + margin, samples.samples)), first)

    def cut(self, start: int, end: int) -> np.ndarray:
        return self.samples[start - self.start : end - self.start]
