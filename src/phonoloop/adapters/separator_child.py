"""What the adapters of separators share: a process of its own for the model, with local weights only.

Separators bring torch, are large, and load files that somebody else made; a process that ends gives all of
its memory back, and a crash in it is an error here. It may not reach the network (`separator_worker`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from phonoloop.core.errors import (
    ConfigError,
    IntegrityError,
    PhonoloopError,
    ResourceError,
    UnavailableError,
)
from phonoloop.core.ids import file_sha256

#: for one recording: real time on a slow processor for a day of audio
TIMEOUT_S = 24 * 3600.0
_KINDS: dict[str, type[PhonoloopError]] = {
    "separator.not_installed": UnavailableError,
    "separator.weights": IntegrityError,
}
_TOLD_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Job:
    """For the worker. Paths as text; `library`: `demucs` or `audio_separator`."""

    library: str
    weights: str
    wav: str
    stem: str


def weights_file(path: Path, suffix: str) -> Path:
    """The file of weights that is named, or the only one with that ending in the folder that is named.

    Raises:
        ConfigError: `separator.no_weights`, `separator.many_weights`, `separator.format`.
    """
    found = sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise ConfigError(
            f"there are no weights ({suffix}) there",
            code="separator.no_weights",
            subject=str(path),
            hint="Put the model's file on this machine and name it in separate_model; nothing is downloaded",
        )
    if len(found) > 1:
        raise ConfigError(
            f"there are {len(found)} files of weights in this folder",
            code="separator.many_weights",
            subject=str(path),
            hint=f"Name one of them: {', '.join(one.name for one in found[:5])}",
        )
    if found[0].suffix != suffix:
        raise ConfigError(
            f"this is no {suffix} file",
            code="separator.format",
            subject=str(found[0]),
            hint="Other formats can hold programs, and are not loaded",
        )
    return found[0]


def name_of(library: str, weights: Path) -> str:
    """Of a separator: the weights' name, and the beginning of their hash."""
    return f"{library}:{weights.stem}:{file_sha256(weights)[:16]}"


def run_worker(job: Job, timeout_s: float = TIMEOUT_S) -> None:
    """Have the stem written.

    Raises:
        UnavailableError: `separator.not_installed`.
        IntegrityError: `separator.weights`, they cannot be loaded.
        ResourceError: `separator.timeout`; `separator.crashed`, which is mostly too little memory.
    """
    command = [sys.executable, "-P", "-m", "phonoloop.adapters.separator_worker", str(os.getpid())]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asdict(job)),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,  # it says itself what went wrong
        )
    except subprocess.TimeoutExpired as error:
        raise ResourceError(
            f"separating took longer than {timeout_s:g} s",
            code="separator.timeout",
            subject=job.wav,
            hint="Cut the recording into parts",
        ) from error
    if done.returncode:
        raise _failure(job, done)


def _failure(job: Job, done: subprocess.CompletedProcess[str]) -> PhonoloopError:
    last = done.stdout.rstrip().rpartition("\n")[2]
    if last.startswith("{"):
        told = json.loads(last)
        kind = _KINDS.get(told["code"], UnavailableError)
        return kind(told["message"], code=told["code"], subject=told["subject"], hint=told["hint"])
    return ResourceError(
        f"the separator ended with status {done.returncode}: {done.stderr[-_TOLD_CHARS:].strip()}",
        code="separator.crashed",
        subject=job.wav,
        hint="Free memory, or take another separator",
    )
