"""A trained model as files that a runtime can check: ONNX, tokenizer, settings, hashes, golden vectors."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phonoloop.asr import graph
from phonoloop.asr.artefact import MODEL, STREAM_MODEL, run_model
from phonoloop.asr.config import AsrRecipe, load_recipe
from phonoloop.asr.model import SUBSAMPLING, CtcModel, parameter_count
from phonoloop.asr.streaming import OnnxStream, TorchStream
from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.files import write_whole
from phonoloop.text.normalise import NORMALISER_VERSION
from phonoloop.text.tokens import Tokenizer, load_tokenizer
from phonoloop.training import checkpoint
from phonoloop.training.artefacts import (
    GOLDEN,
    METADATA,
    TOLERANCE,
    check_same,
    file_hashes,
    largest_difference,
    session_for,
    written_whole,
)

_logger = logging.getLogger(__name__)
#: feature frames of the golden utterances: shorter than a chunk, odd, long
_GOLDEN_FRAMES = (24, 131, 400)
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        worst_difference: between log-probabilities of ONNX and of torch.
        graph_reused: an earlier model's graphs were filled, nothing was traced.
    """

    folder: Path
    files: dict[str, str]
    worst_difference: float
    graph_reused: bool = False


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


def export(
    out_dir: Path, artefact_dir: Path, *, model_version: str = "", template_dir: Path | None = None
) -> Exported:
    """Writes model.onnx, model_stream.onnx (where the model can stream), tokenizer.json, recipe.yaml,
    model.pt, golden.npz and metadata.json into `artefact_dir`, which appears whole or not at all.

    Args:
        out_dir: the folder of a finished training.
        model_version: what the model calls itself, `asr-{run_id}`; the folder's name where not given.
        template_dir: an earlier model's artefacts. Where its network has the same shape, its graphs are
            filled with the new weights, which takes no tracing. Where they are damaged, the log says so
            and the network is traced.

    Raises:
        IntegrityError: `export.differs`, where ONNX and torch disagree by more than 1e-4.
    """
    recipe, tokenizer, model = load_model(out_dir)
    with written_whole(artefact_dir) as staging:
        checked = _write_model(staging, out_dir, recipe=recipe, model=model, template_dir=template_dir)
        files = file_hashes(staging)
        version = model_version or f"asr-{artefact_dir.name}"
        metadata = _metadata(recipe, tokenizer, model, files=files, version=version) | checked
        write_whole(staging / METADATA, json.dumps(metadata, ensure_ascii=False, indent=1).encode())
    return Exported(artefact_dir, files, checked["worst_difference"], checked["graph_reused"])


def _write_model(
    folder: Path, out_dir: Path, *, recipe: AsrRecipe, model: CtcModel, template_dir: Path | None
) -> dict[str, Any]:
    for name in ("recipe.yaml", "tokenizer.json", "model.pt"):
        shutil.copyfile(out_dir / name, folder / name)
    graphs, reused = _graphs_for(model, recipe, template_dir)
    worst = _write_graphs(folder, graphs, recipe=recipe, model=model)
    if reused and worst > TOLERANCE:
        _logger.warning("%s: its graphs do not hear what torch hears (off by %.2g)", template_dir, worst)
        graphs, reused = graph.trace(model, recipe), False
        worst = _write_graphs(folder, graphs, recipe=recipe, model=model)
    check_same(worst, subject=out_dir)
    return {"worst_difference": worst, "graph_key": graphs.key, "graph_reused": reused}


def _graphs_for(model: CtcModel, recipe: AsrRecipe, template_dir: Path | None) -> tuple[graph.Graphs, bool]:
    """The network's graphs with the model's weights, and whether they are an earlier model's."""
    if template_dir is not None:
        try:
            known = graph.read_graphs(template_dir, graph.graph_key(recipe, model.head.out_features))
            if known is not None and (known.stream is None) == recipe.model.bidirectional:
                return graph.fill(known, model), True
        except (IntegrityError, NotFoundError) as error:
            _logger.warning(
                "%s: its graphs are not taken, the network is traced anew (%s)", error, error.code
            )
    return graph.trace(model, recipe), False


def _write_graphs(folder: Path, graphs: graph.Graphs, *, recipe: AsrRecipe, model: CtcModel) -> float:
    """Writes the graphs; gives the largest difference between what they and torch hear."""
    (folder / MODEL).write_bytes(graphs.whole.SerializeToString())
    worst = _golden(model, recipe, folder)
    if graphs.stream is None:
        return worst
    (folder / STREAM_MODEL).write_bytes(graphs.stream.SerializeToString())
    return max(worst, _check_stream(model, recipe, folder / STREAM_MODEL))


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
