"""A trained model as files that a runtime can check: ONNX, tokenizer, settings, hashes, golden vectors."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from phonoloop.asr.artefact import (
    GOLDEN,
    METADATA,
    MODEL,
    STREAM_MODEL,
    TOLERANCE,
    file_hashes,
    largest_difference,
    run_model,
    session_for,
)
from phonoloop.asr.config import AsrRecipe, load_recipe
from phonoloop.asr.model import SUBSAMPLING, CtcModel, parameter_count
from phonoloop.asr.streaming import OnnxStream, TorchStream
from phonoloop.core.errors import IntegrityError
from phonoloop.text.normalise import NORMALISER_VERSION
from phonoloop.text.tokens import Tokenizer, load_tokenizer
from phonoloop.training import checkpoint

_OPSET = 20
#: feature frames of the golden utterances: shorter than a chunk, odd, long
_GOLDEN_FRAMES = (24, 131, 400)
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how far ONNX was from torch at worst."""

    folder: Path
    files: dict[str, str]
    worst_difference: float


def load_model(out_dir: Path) -> tuple[AsrRecipe, Tokenizer, CtcModel]:
    """The averaged model of a training's folder, or of an artefact folder, ready to evaluate.

    Raises:
        NotFoundError: `checkpoint.missing`. IntegrityError: `checkpoint.corrupt`.
    """
    recipe = load_recipe(out_dir / "recipe.yaml")
    tokenizer = load_tokenizer(out_dir / "tokenizer.json")
    model = CtcModel(recipe.model, n_mels=recipe.front_end.n_mels, vocab_size=tokenizer.vocab_size)
    model.load_state_dict(checkpoint.load_weights(out_dir / "model.pt"))
    return recipe, tokenizer, model.eval()


def export(out_dir: Path, artefact_dir: Path, *, model_version: str = "") -> Exported:
    """Writes model.onnx, model_stream.onnx (where the model can stream), tokenizer.json, recipe.yaml,
    model.pt, golden.npz and metadata.json into `artefact_dir`, which appears whole or not at all.

    Args:
        out_dir: the folder of a finished training.
        model_version: what the model calls itself, `asr-{run_id}`; the folder's name where not given.

    Raises:
        IntegrityError: `export.differs`, where ONNX and torch disagree by more than 1e-4.
    """
    recipe, tokenizer, model = load_model(out_dir)
    artefact_dir.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=artefact_dir.parent, prefix=f".{artefact_dir.name}."))
    try:
        worst = _write_all(staging, out_dir, recipe=recipe, model=model)
        version = model_version or f"asr-{artefact_dir.name}"
        files = file_hashes(staging)
        metadata = _metadata(recipe, tokenizer, model, files=files, version=version)
        metadata["worst_difference"] = worst
        checkpoint.write_whole(
            staging / METADATA, json.dumps(metadata, ensure_ascii=False, indent=1).encode()
        )
        if artefact_dir.exists():
            shutil.rmtree(artefact_dir)
        staging.rename(artefact_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Exported(artefact_dir, files, worst)


def _write_all(folder: Path, out_dir: Path, *, recipe: AsrRecipe, model: CtcModel) -> float:
    for name in ("recipe.yaml", "tokenizer.json", "model.pt"):
        shutil.copyfile(out_dir / name, folder / name)
    _export_whole(model, recipe, folder / MODEL)
    worst = _golden(model, recipe, folder)
    if not recipe.model.bidirectional:
        _export_stream(model, recipe, folder / STREAM_MODEL)
        worst = max(worst, _check_stream(model, recipe, folder / STREAM_MODEL))
    if worst > TOLERANCE:
        raise IntegrityError(
            f"ONNX and torch differ by {worst:.2g}, more than {TOLERANCE:g}",
            code="export.differs",
            subject=str(out_dir),
            hint="Report this with the recipe",
        )
    return worst


class _Whole(nn.Module):
    """Whole utterances: (features, lengths) to (log_probs, out_lengths)."""

    def __init__(self, model: CtcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.model(features, lengths)


class _Step(nn.Module):
    """One chunk: (features, cache…) to (log_probs, cache…)."""

    def __init__(self, model: CtcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, *cache: Tensor) -> tuple[Tensor, ...]:
        log_probs, kept = self.model.step(features, cache)
        return log_probs, *kept


def _export_whole(model: CtcModel, recipe: AsrRecipe, path: Path) -> None:
    features = torch.zeros(2, 160, recipe.front_end.n_mels)
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("quarter", min=2)
    shapes = ({0: batch, 1: SUBSAMPLING * frames}, {0: batch})
    _to_onnx(
        _Whole(model),
        (features, torch.tensor([160, 120])),
        path=path,
        inputs=["features", "lengths"],
        outputs=["log_probs", "out_lengths"],
        shapes=shapes,
    )


def _export_stream(model: CtcModel, recipe: AsrRecipe, path: Path) -> None:
    features = torch.zeros(1, 32, recipe.front_end.n_mels)
    _, cache = model.step(features, model.empty_cache(features))
    frames = torch.export.Dim("quarter", min=1, max=1024)
    past = torch.export.Dim("past", min=0, max=16384)
    attention = recipe.model.encoder != "lstm"
    shapes = ({1: SUBSAMPLING * frames}, ({}, {}, *_cache_shapes(cache[2:], past if attention else None)))
    names = [f"cache_{i}" for i in range(len(cache))]
    _to_onnx(
        _Step(model),
        (features, *cache),
        path=path,
        inputs=["features", *names],
        outputs=["log_probs", *(f"new_{name}" for name in names)],
        shapes=shapes,
    )


def _cache_shapes(cache: Sequence[Tensor], past: Any) -> list[dict[int, Any]]:
    return [{3: past} if past is not None and tensor.ndim == 5 else {} for tensor in cache]


def _to_onnx(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    path: Path,
    inputs: list[str],
    outputs: list[str],
    shapes: tuple,
) -> None:
    with _quiet_exporter():
        torch.onnx.export(
            module.eval(),
            arguments,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter's own deprecations, and that torchvision is absent, are not ours to act on."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _golden(model: CtcModel, recipe: AsrRecipe, folder: Path) -> float:
    """Writes features and torch's answers at several lengths; gives ONNX's largest difference."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    session = session_for(folder / MODEL, threads=1)
    worst = 0.0
    for i, frames in enumerate(_GOLDEN_FRAMES):
        features = rng.standard_normal((1, frames, recipe.front_end.n_mels)).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(features), torch.tensor([frames]))[0].numpy()
        arrays |= {f"features_{i}": features, f"log_probs_{i}": expected}
        worst = max(worst, largest_difference(run_model(session, features), expected))
    np.savez(folder / GOLDEN, **arrays)
    return worst


@torch.no_grad()
def _check_stream(model: CtcModel, recipe: AsrRecipe, path: Path) -> float:
    """The largest difference between the ONNX and the torch stream over a few chunks."""
    features = np.random.default_rng(1).standard_normal((410, recipe.front_end.n_mels)).astype(np.float32)
    settings = {"chunk_ms": recipe.stream.serve_chunk_ms, "left_ms": recipe.stream.left_ms}
    streams = TorchStream(model, recipe), OnnxStream(session_for(path, threads=1), **settings)
    ours, theirs = (np.concatenate([one.push(features), one.flush()]) for one in streams)
    return largest_difference(theirs, ours)


def _metadata(
    recipe: AsrRecipe, tokenizer: Tokenizer, model: CtcModel, *, files: dict[str, str], version: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model_version": version,
        "language": recipe.language,
        "code_version": importlib.metadata.version("phonoloop"),
        "torch_version": torch.__version__,
        "normaliser_version": NORMALISER_VERSION,
        "encoder": recipe.model.encoder,
        "parameters": parameter_count(model),
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_hash": tokenizer.hash,
        "front_end": recipe.front_end.to_dict(),
        "front_end_hash": recipe.front_end.hash,
        "frame_ms": recipe.front_end.hop_ms * SUBSAMPLING,
        "serve_chunk_ms": recipe.stream.serve_chunk_ms,
        "left_ms": recipe.stream.left_ms,
        "files": files,
    }
