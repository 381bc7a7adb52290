"""A voice as files that Piper's players read, with what proves that they are whole.

NAME.onnx          the network
NAME.onnx.json     Piper's description; `onnx_sha256` is ours, players pass over it
golden.json        phoneme ids and the samples that the network makes of them without noise
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.ids import file_sha256
from phonoloop.voice.evaluate import PREVIEWS

GOLDEN = "golden.json"


def voice_files(epoch: Path, name: str) -> dict[str, Path]:
    """Name where the voice is used → where it lies, of an epoch of a training."""
    files = {
        f"{name}.onnx": epoch / "voice.onnx",
        f"{name}.onnx.json": epoch / "voice.onnx.json",
        GOLDEN: epoch / "golden.json",
    }
    return files | {f"preview-{path.name}": path for path in sorted((epoch / PREVIEWS).glob("*.wav"))}


def check_hash(onnx: Path) -> dict[str, Any]:
    """What the JSON beside a network says, after the network was held against its hash.

    Raises:
        NotFoundError: `voice.not_exported`. IntegrityError: `voice.changed`, `voice.config`.
    """
    config = onnx.with_name(f"{onnx.name}.json")
    if not onnx.is_file() or not config.is_file():
        raise NotFoundError(
            "a voice is NAME.onnx with NAME.onnx.json beside it",
            code="voice.not_exported",
            subject=str(onnx),
            hint="Check the path, or build the voice",
        )
    try:
        told = json.loads(config.read_text("utf-8"))
        wanted = told.get("onnx_sha256")
    except (ValueError, AttributeError) as error:
        raise _wrong(f"it is not a voice's description ({error})", config, code="voice.config") from error
    if wanted is not None and wanted != file_sha256(onnx):
        raise _wrong("the network is not the one that was exported with this description", onnx)
    return told


def check_voice(onnx: Path) -> float:
    """The largest difference, of samples in [-1, 1], between what the network says now and what torch said
    when it was exported.

    Raises:
        NotFoundError, IntegrityError: as `check_hash`; `voice.golden`, it speaks differently.
        NotFoundError: `voice.no_golden`.
    """
    told = check_hash(onnx)
    path = onnx.with_name(GOLDEN)
    if not path.is_file():
        hint = "Export the voice again"
        raise NotFoundError(
            "its golden samples are not there", code="voice.no_golden", subject=str(path), hint=hint
        )
    golden = json.loads(path.read_text("utf-8"))
    wanted, made = np.array(golden["samples"], np.float32), _spoken(onnx, golden, told)
    if made.shape != wanted.shape:
        raise _wrong(f"it makes {made.size} samples instead of {wanted.size}", onnx, code="voice.golden")
    difference = float(np.abs(made - wanted).max())
    # the golden samples are written with five decimals
    if difference > golden["tolerance"] + 1e-5:
        raise _wrong(f"its samples are off by {difference:.4f}", onnx, code="voice.golden")
    return difference


def _spoken(onnx: Path, golden: dict[str, Any], told: dict[str, Any]) -> np.ndarray:
    import onnxruntime

    inputs = {
        "input": np.array([golden["ids"]], np.int64),
        "input_lengths": np.array([len(golden["ids"])], np.int64),
        "scales": np.array(golden["scales"], np.float32),
    }
    if int(told.get("num_speakers", 1)) > 1:
        inputs["sid"] = np.zeros(1, np.int64)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0].reshape(-1)


def _wrong(message: str, path: Path, *, code: str = "voice.changed") -> IntegrityError:
    return IntegrityError(message, code=code, subject=str(path), hint="Export or install the voice again")
