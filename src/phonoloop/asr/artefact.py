"""The files of an exported model, and the checks before anything is loaded from them. No torch here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.text.tokens import Tokenizer, load_tokenizer

MODEL, STREAM_MODEL = "model.onnx", "model_stream.onnx"
METADATA, GOLDEN = "metadata.json", "golden.npz"
#: torch and ONNX may differ by this much in a log-probability, by this share of one below -1
TOLERANCE = 1e-4
#: formats of metadata.json that this version reads
_KNOWN_FORMATS = (1,)
#: metadata.json holds the hashes; the card is written after it
_UNHASHED = (METADATA, "card.md")


def file_hashes(folder: Path) -> dict[str, str]:
    """File name to SHA-256 of everything a runtime may load."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _UNHASHED)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json, once the files are those it lists.

    Raises:
        NotFoundError: `model.missing`.
        IntegrityError: `model.damaged`, `model.format`.
    """
    try:
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        listed = dict(metadata["files"])
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no exported model here", code="model.missing", subject=str(folder)
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / METADATA, f"this does not describe a model ({error!r})") from error
    if metadata.get("format") not in _KNOWN_FORMATS:
        raise IntegrityError(
            f"its format is {metadata.get('format')!r}, this version reads {_KNOWN_FORMATS}",
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
            raise _damaged(path, "this file is missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise _damaged(path, "this file is not the one that was exported")


def _damaged(path: Path, message: str) -> IntegrityError:
    return IntegrityError(
        message, code="model.damaged", subject=str(path), hint="Export the model again, or fetch it again"
    )


def load_parts(folder: Path, metadata: dict[str, Any]) -> tuple[FrontEnd, Tokenizer]:
    """The front-end and the tokenizer that the model was trained with.

    Raises:
        IntegrityError: `model.front_end`, `model.tokenizer`, where this version would compute or
            write something else.
    """
    front_end = FrontEnd.from_dict(metadata["front_end"])
    if front_end.hash != metadata["front_end_hash"]:
        raise IntegrityError(
            "this version computes other features than the model was trained on",
            code="model.front_end",
            subject=str(folder),
            hint=f"Use the version it was exported with ({metadata.get('code_version')}), or train again",
        )
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    if tokenizer.hash != metadata["tokenizer_hash"]:
        raise IntegrityError(
            "the tokenizer is not the model's", code="model.tokenizer", subject=str(folder / "tokenizer.json")
        )
    return front_end, tokenizer


def session_for(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_model(
    session: onnxruntime.InferenceSession, features: np.ndarray, lengths: np.ndarray | None = None
) -> np.ndarray:
    """(B, T, mels) float32 to (B, T // 4, vocab) log-probabilities, rows for whole 40 ms only."""
    batch, frames, _ = features.shape
    lengths = np.full(batch, frames, np.int64) if lengths is None else lengths
    padded = max(8, -(-frames // 4) * 4)
    fed = np.pad(features, ((0, 0), (0, padded - frames), (0, 0)))
    return session.run(["log_probs"], {"features": fed, "lengths": lengths})[0][:, : frames // 4]


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Between log-probabilities of the same shape; infinite where the shapes differ or one is no number.

    Below -1 it is relative: a model that is sure gives -40 to what it rules out, and the sums behind that
    round in the seventh digit.
    """
    if one.shape != other.shape:
        return float("inf")
    size = np.maximum(np.abs(other), 1.0)
    difference = float((np.abs(one - other) / size).max(initial=0.0))
    return difference if np.isfinite(difference) else float("inf")
