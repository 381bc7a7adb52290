"""What exported models of every kind share: hashes, a folder that appears whole, checks. No torch here."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from phonoloop.core.errors import IntegrityError, NotFoundError

METADATA, GOLDEN, CARD = "metadata.json", "golden.npz", "card.md"
#: torch and ONNX may differ by this much
TOLERANCE = 1e-4
#: metadata.json holds the hashes; the card is written after it
_UNHASHED = (METADATA, CARD)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to write into, which becomes `folder` at the end, in the place of an earlier
    one; after an error nothing of it stays, and the earlier one does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging, earlier = (folder.with_name(f".{folder.name}.{uuid.uuid4().hex}") for _ in range(2))
    staging.mkdir()
    try:
        yield staging
        if folder.exists():
            folder.rename(earlier)
        staging.rename(folder)
    finally:
        for leftover in (staging, earlier):
            shutil.rmtree(leftover, ignore_errors=True)


def file_hashes(folder: Path) -> dict[str, str]:
    """File name to SHA-256 of everything a runtime may load."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _UNHASHED)
    return {path.name: _hash(path) for path in paths}


def read_metadata(folder: Path, *, formats: Sequence[int]) -> dict[str, Any]:
    """metadata.json, once the files are those it lists.

    Args:
        formats: what this version reads.

    Raises:
        NotFoundError: `model.missing`.
        IntegrityError: `model.damaged`, `model.format`.
    """
    try:
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        listed = dict(metadata["files"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            "there is no exported model here", code="model.missing", subject=str(folder)
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder / METADATA, f"this does not describe a model ({error!r})") from error
    if metadata.get("format") not in formats:
        raise IntegrityError(
            f"its format is {metadata.get('format')!r}, this version reads {tuple(formats)}",
            code="model.format",
            subject=str(folder),
            hint="Export the model again with this version",
        )
    _check_files(folder, listed)
    return metadata


def _check_files(folder: Path, listed: dict[str, str]) -> None:
    for name, expected in listed.items():
        path = folder / Path(name).name
        if not path.is_file():
            raise damaged(path, "this file is missing")
        if _hash(path) != expected:
            raise damaged(path, "this file is not the one that was exported")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damaged(path: Path, message: str) -> IntegrityError:
    return IntegrityError(
        message, code="model.damaged", subject=str(path), hint="Export the model again, or fetch it again"
    )


def session_for(
    path: Path, *, threads: int, sizes: Mapping[str, int] | None = None
) -> onnxruntime.InferenceSession:
    """An ONNX session on the CPU.

    Args:
        sizes: of named dimensions that the graph leaves open, where they will not vary.
    """
    options = onnxruntime.SessionOptions()
    for name, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Between values of the same shape; infinite where the shapes differ or one is no number.

    Above 1 and below -1 it is relative: a model that is sure gives log-probabilities of -40 to what it
    rules out, and the sums behind that round in the seventh digit.
    """
    if one.shape != other.shape:
        return float("inf")
    size = np.maximum(np.abs(other), 1.0)
    difference = float((np.abs(one - other) / size).max(initial=0.0))
    return difference if np.isfinite(difference) else float("inf")


def check_same(worst_difference: float, *, subject: Path) -> None:
    """Refuses an export whose graphs do not hear what torch hears.

    Raises:
        IntegrityError: `export.differs`.
    """
    if worst_difference > TOLERANCE:
        raise IntegrityError(
            f"ONNX and torch differ by {worst_difference:.2g}, more than {TOLERANCE:g}",
            code="export.differs",
            subject=str(subject),
            hint="Report this with the recipe",
        )
