"""Checkpoints that are whole or not there, and that say when they are damaged.

A file is `MAGIC`, the SHA-256 of the rest (32 bytes), then what `torch.save` wrote. It is written
under a temporary name, synced and renamed, so a kill at any moment leaves the old ones whole.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.files import write_whole

MAGIC = b"PHONOCK1"
_HEAD = len(MAGIC) + 32


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint that was read, and the damaged ones that were passed over to get there."""

    path: Path
    state: dict[str, Any]
    damaged: tuple[Path, ...] = ()


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Writes tensors, numbers, texts and containers of them. Raises as `write_whole`."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    payload = buffer.getvalue()
    write_whole(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def load(path: Path) -> dict[str, Any]:
    """Reads what `save` wrote, onto the CPU; loads no code.

    Raises:
        NotFoundError: `checkpoint.missing`.
        IntegrityError: `checkpoint.corrupt` where the bytes are not those that were written.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no such checkpoint", code="checkpoint.missing", subject=str(path)
        ) from error
    payload = data[_HEAD:]
    if data[: len(MAGIC)] != MAGIC or hashlib.sha256(payload).digest() != data[len(MAGIC) : _HEAD]:
        raise IntegrityError(
            "this checkpoint is damaged",
            code="checkpoint.corrupt",
            subject=str(path),
            hint="Delete it: training goes on from the one before",
        )
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Writes a model's weights as a file that plain `torch.load` reads. Raises as `write_whole`."""
    buffer = io.BytesIO()
    torch.save({"model": dict(weights)}, buffer)
    write_whole(path, buffer.getvalue())


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Reads what `save_weights` wrote; loads no code.

    Raises:
        NotFoundError: `checkpoint.missing`.
        IntegrityError: `checkpoint.corrupt`.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)["model"]
    except FileNotFoundError as error:
        raise NotFoundError(
            "there are no weights here", code="checkpoint.missing", subject=str(path)
        ) from error
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise IntegrityError(
            f"these are not whole weights ({error})", code="checkpoint.corrupt", subject=str(path)
        ) from error


def save_step(folder: Path, step: int, state: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Saves `step-XXXXXXXX.ckpt` and deletes all but the newest `keep`."""
    path = folder / f"step-{step:08d}.ckpt"
    save(path, state)
    for old in _newest_first(folder)[keep:]:
        old.unlink(missing_ok=True)
    return path


def find_latest(folder: Path) -> Found | None:
    """The newest whole checkpoint of a folder; None where the folder has none at all.

    Raises:
        IntegrityError: `checkpoint.corrupt` where there are some and none is whole.
    """
    damaged: list[Path] = []
    for path in _newest_first(folder):
        try:
            return Found(path, load(path), tuple(damaged))
        except IntegrityError:
            damaged.append(path)  # told to the caller in `Found.damaged`, or raised below
    if damaged:
        raise IntegrityError(
            f"all {len(damaged)} checkpoints are damaged",
            code="checkpoint.corrupt",
            subject=str(folder),
            hint="Delete the folder to train from the beginning",
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.ckpt"), reverse=True)


def clear_temporary(folder: Path) -> None:
    """Deletes what a killed writer left behind."""
    for path in folder.glob(".*.ckpt.*"):
        path.unlink(missing_ok=True)


def average(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several models' weights (checkpoint averaging), summed in double precision."""
    names = states[0].keys()
    return {name: _mean(state[name] for state in states) for name in names}


def _mean(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    parts = list(tensors)
    if not parts[0].is_floating_point():
        return parts[-1].clone()
    return torch.stack([part.double() for part in parts]).mean(0).to(parts[0].dtype)
