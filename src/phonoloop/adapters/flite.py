"""flite, where the Debian program is installed: a few American and Scottish voices for English.

Each utterance is a process of its own, which ends with it: it takes 10 ms, and what it could damage is gone.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import soxr

from phonoloop.core.errors import InputError, NotFoundError, ResourceError, UnavailableError
from phonoloop.core.units import CANONICAL_RATE_HZ

TIMEOUT_S = 30.0
MIN_SPEED, MAX_SPEED = 0.5, 2.5
MIN_PITCH, MAX_PITCH = 0.5, 2.0
_LANGUAGES = ("en", "en-us", "en-gb-scotland")
_SCOTTISH = frozenset({"awb"})
#: what the voices that come with it say at, in hertz; others are left at their own pitch
_PITCH_HZ = {"kal": 105.0, "kal16": 105.0, "awb": 130.0, "rms": 100.0, "slt": 180.0}
_MEMORY_BYTES = 1 << 30
_FILE_BYTES = 1 << 26
_LONGEST_CHARS = 2000


def find_flite() -> Path | None:
    """The program on the search path; None where it is not installed."""
    found = shutil.which("flite")
    return Path(found) if found else None


class FliteSynthesizer:
    """A `Synthesizer` of English.

    Args:
        program: the `flite` to run.
    """

    name = "flite"

    def __init__(self, program: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._program, self._timeout_s = program, timeout_s

    def voices(self, language: str) -> list[str]:
        """`kal`, `slt`, …; none for a language that is not English. Of Scottish English only the Scot."""
        if language not in _LANGUAGES:
            return []
        scottish = language == "en-gb-scotland"
        return [v for v in self._voices if language == "en" or (v in _SCOTTISH) == scottish]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """(n,) float32 in [-1, 1] at 16,000 Hz.

        Raises:
            NotFoundError: `flite.voice`.
            InputError: `flite.text`, `flite.speed`, `flite.pitch`, `flite.failed`.
            ResourceError: `flite.timeout`.
            UnavailableError: `flite.missing`, the program is gone.
        """
        self._check(text, voice, speed=speed, pitch=pitch)
        with tempfile.TemporaryDirectory(prefix="flite") as folder:
            path = Path(folder) / "speech.wav"
            self._run("-voice", voice, *_settings(voice, speed, pitch), "-t", text, "-o", str(path))
            if not path.exists() or path.stat().st_size <= 44:
                raise InputError(
                    "there is nothing to say in this text", code="flite.text", subject=repr(text[:80])
                )
            samples, rate_hz = soundfile.read(path, dtype="float32")
        if rate_hz != CANONICAL_RATE_HZ:
            samples = soxr.resample(samples, rate_hz, CANONICAL_RATE_HZ)
        return np.clip(samples, -1.0, 1.0)

    def _check(self, text: str, voice: str, *, speed: float, pitch: float) -> None:
        if voice not in self._voices:
            raise NotFoundError(
                "flite has no such voice",
                code="flite.voice",
                subject=voice,
                hint=f"It has {', '.join(self._voices)}",
            )
        if not any(map(str.isalnum, text)) or "\0" in text or len(text) > _LONGEST_CHARS:
            message = f"the text must have 1 to {_LONGEST_CHARS} characters, a letter or digit among them"
            raise InputError(message, code="flite.text", subject=repr(text[:80]))
        for name, value, low, high in (
            ("speed", speed, MIN_SPEED, MAX_SPEED),
            ("pitch", pitch, MIN_PITCH, MAX_PITCH),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} is {value}", code=f"flite.{name}", hint=f"Give {low} to {high}")

    @cached_property
    def _voices(self) -> list[str]:
        """It prints `Voices available: kal awb_time kal16 awb rms slt`; `awb_time` only tells the time."""
        listed = self._run("-lv").partition(":")[2].split()
        return sorted(voice for voice in listed if voice.isalnum())

    def _run(self, *arguments: str) -> str:
        try:
            process = subprocess.Popen(
                [str(self._program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise UnavailableError(
                f"flite cannot be started ({error.strerror})",
                code="flite.missing",
                hint="apt-get install flite",
            ) from error
        with process:
            _lower_limits(process.pid)
            try:
                printed, _ = process.communicate(timeout=self._timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                message = f"flite took longer than {self._timeout_s:g} s and was stopped"
                raise ResourceError(message, code="flite.timeout", hint="Give a shorter text") from None
        if process.returncode != 0:
            message = f"flite ended with status {process.returncode}"
            raise InputError(message, code="flite.failed", subject=" ".join(arguments)[:200])
        return printed.decode(errors="replace")


def _settings(voice: str, speed: float, pitch: float) -> list[str]:
    settings = ["--setf", f"duration_stretch={1 / speed:.4f}"]
    if pitch != 1.0 and voice in _PITCH_HZ:
        settings += ["--setf", f"int_f0_target_mean={_PITCH_HZ[voice] * pitch:.1f}"]
    return settings


def _lower_limits(pid: int) -> None:
    """From outside, since nothing may run between fork and exec where there are threads; Linux only."""
    if not hasattr(resource, "prlimit"):
        return
    limits = (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in limits:
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, kind, (most, most))
