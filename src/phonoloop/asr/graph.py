"""The network as ONNX graphs. Tracing takes many seconds and depends on the shape of the network alone,
so a graph is traced once and filled with the weights of every model of that shape.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from phonoloop.asr import graph_lstm, layers
from phonoloop.asr import model as network
from phonoloop.asr.artefact import MODEL, STREAM_MODEL, read_metadata
from phonoloop.asr.config import AsrRecipe, recipe_to_dict
from phonoloop.asr.model import SUBSAMPLING, CtcModel, LstmEncoder
from phonoloop.core.errors import IntegrityError
from phonoloop.training import tracing
from phonoloop.training.tracing import to_onnx

#: the optimiser keeps a linear layer's weights turned; their initialiser says so in its name
_TURNED = ":transposed"
#: the code that decides what a graph looks like
_SOURCES = (layers.__file__, network.__file__, graph_lstm.__file__, tracing.__file__, __file__)


@dataclass(frozen=True, slots=True)
class Graphs:
    """What hears whole utterances, and what hears chunks where the model can stream.

    Attributes:
        key: models with the same key may take these graphs.
    """

    whole: onnx.ModelProto
    stream: onnx.ModelProto | None
    key: str


def graph_key(recipe: AsrRecipe, vocab_size: int) -> str:
    """Equal where graphs are equal but for the weights: the network's shape, its source, what traces it."""
    sources = [Path(str(source)).read_bytes() for source in _SOURCES]
    parts = {
        "model": recipe_to_dict(recipe)["model"],
        "vocab_size": vocab_size,
        "n_mels": recipe.front_end.n_mels,
        "sources": [hashlib.sha256(source).hexdigest() for source in sources],
        "versions": [torch.__version__, onnx.__version__, onnxscript.__version__],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def trace(model: CtcModel, recipe: AsrRecipe) -> Graphs:
    """Fresh graphs with the model's weights."""
    marked = _marked(_exportable(model))
    weights = _arrays(marked)
    whole, stream = _trace_whole(marked, recipe), None
    _name_weights(whole, weights)
    if not recipe.model.bidirectional:
        stream = _trace_stream(marked, recipe, _example_cache(model, recipe))
        _name_weights(stream, weights)
    return fill(Graphs(whole, stream, graph_key(recipe, model.head.out_features)), model)


def fill(graphs: Graphs, model: CtcModel) -> Graphs:
    """The same graphs with this model's weights.

    Raises:
        IntegrityError: `export.graph`, where a weight has no place in a graph, or one of another shape.
    """
    weights = _arrays(_exportable(model))
    stream = None if graphs.stream is None else _filled(graphs.stream, weights)
    return Graphs(_filled(graphs.whole, weights), stream, graphs.key)


def read_graphs(folder: Path, key: str) -> Graphs | None:
    """The graphs of an exported model, None where its network is another one.

    Raises:
        NotFoundError: `model.missing`. IntegrityError: `model.damaged`, `model.format`.
    """
    metadata = read_metadata(folder)
    if metadata.get("graph_key") != key:
        return None
    stream = _read(folder / STREAM_MODEL) if STREAM_MODEL in metadata["files"] else None
    return Graphs(_read(folder / MODEL), stream, key)


def _read(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except (OSError, DecodeError) as error:
        raise IntegrityError("this is no ONNX graph", code="model.damaged", subject=str(path)) from error


# ---------------------------------------------------------------- weights


def _exportable(model: CtcModel) -> CtcModel:
    """A copy that can be traced."""
    copied = copy.deepcopy(model)
    if isinstance(copied.encoder, LstmEncoder):
        copied.encoder = graph_lstm.OnnxLstmEncoder(copied.encoder)
    return copied.eval()


def _arrays(model: CtcModel) -> dict[str, np.ndarray]:
    return {f"model.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}


def _marked(model: CtcModel) -> CtcModel:
    """The model with no two weights equal: equal ones (norms at the start) would be merged."""
    rng = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=rng))
    return model


def _name_weights(graph: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Calls the initialisers that are transposed weights by the weights' names."""
    turned = {value.T.tobytes(): name for name, value in weights.items() if value.ndim == 2}
    names = {}
    for tensor in graph.graph.initializer:
        source = turned.get(onnx.numpy_helper.to_array(tensor).tobytes())
        if tensor.name not in weights and source is not None:
            names[tensor.name] = tensor.name = source + _TURNED
    _rename_inputs(graph, {old: new for old, new in names.items() if old != new})


def _rename_inputs(graph: onnx.ModelProto, names: Mapping[str, str]) -> None:
    for node in graph.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)


def _filled(graph: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    filled = onnx.ModelProto()
    filled.CopyFrom(graph)
    missing = set(weights)
    for tensor in filled.graph.initializer:
        name = tensor.name.removesuffix(_TURNED)
        if name in weights:
            _put(tensor, weights[name].T if tensor.name.endswith(_TURNED) else weights[name])
            missing.discard(name)
    if missing:
        raise _misfit(f"there is no place in the graph for {min(missing)}")
    return filled


def _put(tensor: onnx.TensorProto, value: np.ndarray) -> None:
    if tuple(tensor.dims) != value.shape:
        raise _misfit(f"{tensor.name} has the shape {tuple(tensor.dims)}, the weights have {value.shape}")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))


def _misfit(message: str) -> IntegrityError:
    return IntegrityError(message, code="export.graph", hint="Report this with the recipe")


# ---------------------------------------------------------------- tracing


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


def _example_cache(model: CtcModel, recipe: AsrRecipe) -> tuple[Tensor, ...]:
    features = torch.zeros(1, 32, recipe.front_end.n_mels)
    return model.step(features, model.empty_cache(features))[1]


def _trace_whole(model: CtcModel, recipe: AsrRecipe) -> onnx.ModelProto:
    features = torch.zeros(2, 160, recipe.front_end.n_mels)
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("quarter", min=2)
    return to_onnx(
        _Whole(model),
        (features, torch.tensor([160, 120])),
        inputs=["features", "lengths"],
        outputs=["log_probs", "out_lengths"],
        shapes=({0: batch, 1: SUBSAMPLING * frames}, {0: batch}),
    )


def _trace_stream(model: CtcModel, recipe: AsrRecipe, cache: tuple[Tensor, ...]) -> onnx.ModelProto:
    features = torch.zeros(1, 32, recipe.front_end.n_mels)
    frames = torch.export.Dim("quarter", min=1, max=1024)
    past = torch.export.Dim("past", min=0, max=16384)
    attention = recipe.model.encoder != "lstm"
    shapes = ({1: SUBSAMPLING * frames}, ({}, {}, *_cache_shapes(cache[2:], past if attention else None)))
    names = [f"cache_{i}" for i in range(len(cache))]
    return to_onnx(
        _Step(model),
        (features, *cache),
        inputs=["features", *names],
        outputs=["log_probs", *(f"new_{name}" for name in names)],
        shapes=shapes,
    )


def _cache_shapes(cache: Sequence[Tensor], past: Any) -> list[dict[int, Any]]:
    return [{3: past} if past is not None and tensor.ndim == 5 else {} for tensor in cache]
