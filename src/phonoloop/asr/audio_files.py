"""Reading the audio that manifests name. No torch here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from phonoloop.core.errors import AudioError
from phonoloop.core.units import CANONICAL_RATE_HZ


def check_readable(path: Path) -> None:
    """Reads the header. Raises AudioError `audio.not_audio`."""
    try:
        soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"this cannot be read as audio ({error})",
            code="audio.not_audio",
            subject=str(path),
            hint="Convert it to WAV or FLAC, or ingest it first",
        ) from error


def read_samples(path: Path, offset_s: float = 0.0, duration_s: float | None = None) -> np.ndarray:
    """(n,) float32 mono at 16,000 Hz; other rates are resampled, channels averaged.

    Raises:
        AudioError: `audio.not_audio`, where the file cannot be read.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            file.seek(min(round(offset_s * rate), file.frames))
            count = -1 if duration_s is None else round(duration_s * rate)
            samples = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"this cannot be read as audio ({error})", code="audio.not_audio", subject=str(path)
        ) from error
    return samples if rate == CANONICAL_RATE_HZ else soxr.resample(samples, rate, CANONICAL_RATE_HZ)
