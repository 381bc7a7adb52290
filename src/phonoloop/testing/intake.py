"""Taking files in without a media decoder: a container of one line and raw samples."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from phonoloop.audio.decode import Decoded
from phonoloop.core.errors import AudioError
from phonoloop.core.units import CANONICAL_RATE_HZ

_MAGIC = b"SOUND "


def babble(seed: int, duration_s: float = 1.0) -> np.ndarray:
    """int16 (n,): something loud with quiet stretches, another for every seed."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 3000, round(duration_s * CANONICAL_RATE_HZ))
    period = CANONICAL_RATE_HZ // 4
    quiet = np.arange(samples.size) // period % 2 == 1
    return np.where(quiet, samples / 100, samples).astype(np.int16)


def write_sound(path: Path, pcm: np.ndarray, *, container: str = "plain", age_s: float = 60.0) -> Path:
    """A file for `PlainDecoder`; the container's name is part of its bytes and not of its audio."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_MAGIC + container.encode() + b"\n" + pcm.astype("<i2").tobytes())
    return aged(path, age_s)


def aged(path: Path, age_s: float = 60.0) -> Path:
    """The same file, last written to a while ago."""
    moment = time.time() - age_s
    os.utime(path, (moment, moment))
    return path


class PlainDecoder:
    """Decodes what `write_sound` writes. `decoded`: the paths it was asked for."""

    def __init__(self) -> None:
        self.decoded: list[Path] = []

    def decode(self, path: Path, rate_hz: int = CANONICAL_RATE_HZ) -> Decoded:
        self.decoded.append(path)
        head, _, body = path.read_bytes().partition(b"\n")
        if not head.startswith(_MAGIC):
            raise AudioError("it is not audio", code="audio.not_audio", subject=str(path), hint="Convert it")
        return Decoded(
            pcm=np.frombuffer(body, "<i2"),
            rate_hz=rate_hz,
            source_rate_hz=rate_hz,
            channels=1,
            container=head.removeprefix(_MAGIC).decode(),
            codec="plain",
        )
