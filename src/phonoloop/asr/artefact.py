"""The files of an exported model, and the checks before anything is loaded from them. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import IntegrityError
from phonoloop.text.tokens import Tokenizer, load_tokenizer
from phonoloop.training import artefacts

MODEL, STREAM_MODEL = "model.onnx", "model_stream.onnx"
#: formats of metadata.json that this version reads
_KNOWN_FORMATS = (1,)


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json, once the files are those it lists. Raises as `training.artefacts.read_metadata`."""
    return artefacts.read_metadata(folder, formats=_KNOWN_FORMATS)


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


def run_model(
    session: onnxruntime.InferenceSession, features: np.ndarray, lengths: np.ndarray | None = None
) -> np.ndarray:
    """(B, T, mels) float32 to (B, T // 4, vocab) log-probabilities, rows for whole 40 ms only."""
    batch, frames, _ = features.shape
    lengths = np.full(batch, frames, np.int64) if lengths is None else lengths
    padded = max(8, -(-frames // 4) * 4)
    fed = np.pad(features, ((0, 0), (0, padded - frames), (0, 0)))
    return session.run(["log_probs"], {"features": fed, "lengths": lengths})[0][:, : frames // 4]
