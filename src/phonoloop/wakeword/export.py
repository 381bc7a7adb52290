"""A trained detector as files that a runtime can check: ONNX, weights, description, hashes, golden vectors.

export(model, drafts / "x", facts=Facts(model_id="…", phrase="computer", language="en"), audio=some)
judged = …                              # through WakeModel.load(drafts / "x"), which is what ships
conclude(drafts / "x", folder, facts=dataclasses.replace(facts, trigger=…, evaluation=…))
"""

from __future__ import annotations

import copy
import datetime
import importlib.metadata
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import torch

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.files import write_whole
from phonoloop.training import checkpoint
from phonoloop.training.artefacts import CARD, METADATA, file_hashes, written_whole
from phonoloop.training.strict import build, to_mapping
from phonoloop.wakeword import tensorrt
from phonoloop.wakeword.artefact import (
    FORMAT,
    INT8_MODEL,
    INT8_STREAM_MODEL,
    MODEL,
    STREAM_MODEL,
    WEIGHTS,
    graph_facts,
    read_metadata,
)
from phonoloop.wakeword.card import card
from phonoloop.wakeword.golden import check_int8, check_same_everywhere, golden_audio, one_thread
from phonoloop.wakeword.graph import signed, trace_stream, whole_of
from phonoloop.wakeword.model import WakeNet, build_model, parameter_count
from phonoloop.wakeword.model_config import ModelRecipe
from phonoloop.wakeword.quantise import as_one_stream, quantised
from phonoloop.wakeword.trigger import TriggerSettings

_logger = logging.getLogger(__name__)
_NOT_JUDGED = "not judged"
_BACKBONE_LICENCES = {
    "embedding": {"speech embedding (Google, by way of openWakeWord)": "Apache-2.0"},
    "ast": {"AST backbone": "that of the model the recipe names as `model.backbone`"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a detector beside its network.

    Attributes:
        language: of the phrase, as espeak-ng calls it.
        operating: how the trigger was chosen, with the operating curve (`OperatingPoint.to_dict`).
        evaluation: what it was measured to do, on audio that nothing saw, with hours and intervals
            (`WakeEvaluation.to_dict`).
        int8_evaluation: the same of the int8 variant, where it was measured.
        verdict: one line, for people.
        licences: of everything it was trained on: source to licence.
        provenance: recipe, counts, seeds, voices, snapshot: from what it was made.
    """

    model_id: str
    phrase: str
    language: str
    trigger: TriggerSettings = TriggerSettings(0.5)
    operating: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    int8_evaluation: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = _NOT_JUDGED
    licences: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {name: to_mapping(getattr(self, name)) for name in Facts.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        worst_difference: between scores of torch, of ONNX over whole recordings, and of ONNX as a stream
            at any size of piece.
        int8: how far the int8 scores are from these: `worst_difference`, `mean_difference`, `seconds`.
    """

    folder: Path
    files: dict[str, str]
    worst_difference: float
    int8: dict[str, float]


def export(model: WakeNet, folder: Path, *, facts: Facts, audio: Sequence = ()) -> Exported:
    """Writes the graphs in float and int8, wake_model.pt, golden.npz, metadata.json and card.md into
    `folder`, which appears whole or not at all.

    Args:
        audio: (n,) float32 recordings like those it will hear, with and without the phrase, a minute or
            more in all: what int8 ranges are read off, and what the variants are compared on. Without
            the phrase among them, int8 scores would not rise as high as they should.

    Raises:
        IntegrityError: `export.differs`, where torch, ONNX and the stream disagree by more than 1e-4.
    """
    network = copy.deepcopy(model).cpu().eval()
    described = describe_network(network)
    with written_whole(folder) as staging, one_thread():
        checkpoint.save_weights(staging / WEIGHTS, network.weights())
        heard = golden_audio(audio)
        _write_graphs(staging, network, described)
        worst = check_same_everywhere(network, staging, heard)
        int8 = _write_int8(staging, described, heard)
        engine = tensorrt.build_engine(staging / MODEL)
        described |= {"worst_difference": worst, "int8": int8, "tensorrt": engine}
        files = _write_description(staging, _with(described, facts))
    _logger.info("%s: torch, ONNX and stream differ by %.1e, int8 by %s", folder, worst, int8)
    return Exported(folder, files, worst, int8)


def conclude(draft: Path, folder: Path, *, facts: Facts, pictures: Sequence[Path] = ()) -> dict[str, Any]:
    """The same graphs in another folder, with what is known by now; gives the new metadata.

    Args:
        draft: what `export` wrote.
        pictures: files that belong to the model: ROC, DET, confusion matrix.

    Raises:
        NotFoundError: `model.missing`. IntegrityError: `model.damaged`.
    """
    described = read_metadata(draft)
    with written_whole(folder) as staging:
        for path in (*(draft / name for name in described["files"]), *pictures):
            shutil.copyfile(path, staging / path.name)
        _write_description(staging, _with(described, facts))
    return read_metadata(folder)


def load_network(folder: Path, *, embedding_dir: Path | None = None) -> WakeNet:
    """The torch network of an exported detector, to train on.

    Raises:
        NotFoundError: `model.missing`, `embedding.missing`.
        IntegrityError: `model.damaged`, `model.format`, `model.weights`, `checkpoint.corrupt`;
            `model.front_end`, where the backbone at hand is another one.
    """
    metadata = read_metadata(folder)
    recipe = build(ModelRecipe, metadata["network"]["recipe"])
    model = build_model(recipe, embedding_dir=embedding_dir)
    if model.front.hash != metadata["front_end_hash"]:
        raise IntegrityError(
            "the backbone or front-end here is not the one it was trained with",
            code="model.front_end",
            subject=str(folder),
            hint="Name the folder of the backbone it was trained with, or train a new detector",
        )
    if not (folder / WEIGHTS).is_file():
        raise NotFoundError("its weights are not here", code="model.missing", subject=str(folder / WEIGHTS))
    model.load_weights(checkpoint.load_weights(folder / WEIGHTS))
    return model.eval()


def describe_network(model: WakeNet) -> dict[str, Any]:
    """What of the description comes from the network itself."""
    choice = model.choice
    return {
        "format": FORMAT,
        "kind": "wakeword",
        "network": {
            "kind": choice.recipe.kind,
            "why": choice.why,
            "parameters": parameter_count(model),
            "recipe": to_mapping(choice.recipe),
            "licences": _BACKBONE_LICENCES.get(choice.recipe.kind, {}),
        },
        "front_end": model.front.to_dict(),
        "front_end_hash": model.front.hash,
        "sample_rate_hz": 16_000,
        "step_samples": model.step_samples,
        "code_version": importlib.metadata.version("phonoloop"),
        "torch_version": str(torch.__version__),
    }


def _with(described: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The whole description. What the network was made of has licences too."""
    licences = {**described["network"]["licences"], **facts.licences}
    return {**described, **facts.to_dict(), "licences": licences}


def _write_graphs(folder: Path, model: WakeNet, described: Mapping[str, Any]) -> None:
    _write_pair(folder, trace_stream(model), described, names=(STREAM_MODEL, MODEL))


def _write_int8(folder: Path, described: Mapping[str, Any], audio: Sequence) -> dict[str, float]:
    step, heard = described["step_samples"], as_one_stream(audio)
    stream = quantised(folder / STREAM_MODEL, heard, step_samples=step)
    _write_pair(folder, stream, described, names=(INT8_STREAM_MODEL, INT8_MODEL))
    return check_int8(folder, heard, step_samples=step)


def _write_pair(
    folder: Path, stream: onnx.ModelProto, described: Mapping[str, Any], *, names: tuple[str, str]
) -> None:
    facts = graph_facts(dict(described))
    whole = whole_of(stream, described["step_samples"])
    for name, graph in zip(names, (stream, whole), strict=True):
        (folder / name).write_bytes(signed(graph, facts).SerializeToString())


def _write_description(folder: Path, described: dict[str, Any]) -> dict[str, str]:
    files = file_hashes(folder)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    metadata = described | {"exported_at": now, "files": files}
    write_whole(folder / METADATA, json.dumps(metadata, ensure_ascii=False, indent=1).encode())
    write_whole(folder / CARD, card(metadata).encode())
    return files
