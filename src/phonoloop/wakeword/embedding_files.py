"""Reads the weights of the speech embedding out of its two ONNX files, and refuses any other network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from phonoloop.core.errors import IntegrityError, UnavailableError

if TYPE_CHECKING:
    from onnx import NodeProto

LEAK = 0.2
CONV, POOL = "conv", "pool"
MELS = 32
#: mel frames that make one vector
FRAMES_A_VECTOR = 8
_HOP_SAMPLES = 160
_ENERGY = ["Unsqueeze", "Conv", "Conv", "Unsqueeze", "Transpose", "Unsqueeze", "Transpose", "Pow", "Pow"]
_DECIBELS = ["Add", "MatMul", "Clip", "Log", "Mul", "Div", "Sub", "ReduceMax", "Sub", "Cast", "Clip"]
_FIRST = ["Conv", "Relu", "BatchNormalization", "LeakyRelu", "Max"]
#: what the mel graph raises to, multiplies, divides and takes off
_MEL_NUMBERS = {"Pow": 2.0, "Mul": 10.0, "Div": math.log(10)}
_LEAST_ENERGY = 1e-10


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the embedding's layers.

    Attributes:
        kind: `CONV` or `POOL`.
        weight: (outputs, inputs, frames, bands) of a convolution.
        lowest: what comes out after the LeakyReLU is at least this, a number or one a channel; None where
            nothing follows the convolution.
        pool: (frames, bands), as wide as its strides.
    """

    kind: str
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    lowest: np.ndarray | None = None
    pool: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class SpeechWeights:
    """What the two files hold.

    Attributes:
        mel_kernel: (2 · frequencies, samples), real then imaginary, only the samples that the window and
            the frequencies that a filter lets through.
        mel_filters: (32, 2 · frequencies).
    """

    mel_kernel: np.ndarray
    mel_filters: np.ndarray
    layers: tuple[Layer, ...]


def read_weights(mel: Path, embedding: Path) -> SpeechWeights:
    """Raises:
    UnavailableError: `embedding.onnx`, where the package onnx is missing.
    IntegrityError: `embedding.structure`, for files of another network.
    """
    kernel, filters = _mel(_graph(mel))
    return SpeechWeights(kernel, filters, tuple(_layers(_graph(embedding))))


@dataclass(frozen=True, slots=True)
class _Graph:
    """The nodes of a file in order, without constants, and its arrays by name."""

    path: Path
    nodes: list[NodeProto]
    arrays: Mapping[str, np.ndarray]

    def array(self, node: NodeProto, index: int) -> np.ndarray:
        if index >= len(node.input) or node.input[index] not in self.arrays:
            self.refuse(f"{node.op_type} has no constant number {index}")
        return self.arrays[node.input[index]]

    def attributes(self, node: NodeProto) -> dict[str, Any]:
        import onnx

        return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.refuse(what)

    def refuse(self, what: str) -> NoReturn:
        raise IntegrityError(
            f"this is not the speech embedding's network ({what})",
            code="embedding.structure",
            subject=str(self.path),
            hint="Take melspectrogram.onnx and embedding_model.onnx of openwakeword 0.4.0",
        )


def _graph(path: Path) -> _Graph:
    try:
        import onnx
    except ImportError as error:
        raise UnavailableError(
            "reading the speech embedding needs the package onnx",
            code="embedding.onnx",
            hint="Install phonoloop[train]",
        ) from error
    try:
        graph = onnx.load(path).graph
    except Exception as error:
        raise IntegrityError(
            f"this is no ONNX file ({error})", code="embedding.structure", subject=str(path)
        ) from error
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            arrays[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return _Graph(path, [node for node in graph.node if node.op_type != "Constant"], arrays)


def _mel(graph: _Graph) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and the filters."""
    kinds = [node.op_type for node in graph.nodes]
    graph.expect(kinds == _ENERGY + _DECIBELS, "its operations differ")
    for node in graph.nodes:
        if node.op_type in _MEL_NUMBERS:
            number = float(graph.array(node, 1))
            graph.expect(math.isclose(number, _MEL_NUMBERS[node.op_type], rel_tol=1e-5), node.op_type)
    clip = float(graph.array(graph.nodes[kinds.index("Clip")], 1))
    graph.expect(math.isclose(clip, _LEAST_ENERGY, rel_tol=1e-3), "Clip")
    real, imaginary = (_mel_wave(graph, node) for node in graph.nodes[1:3])
    filters = graph.array(graph.nodes[kinds.index("MatMul")], 1)
    graph.expect(filters.shape == (real.shape[0], MELS), "its filters do not fit")
    return _trimmed(real, imaginary, filters)


def _mel_wave(graph: _Graph, node: NodeProto) -> np.ndarray:
    """(frequencies, samples) of a convolution with the hop as its stride."""
    settings = graph.attributes(node)
    plain = settings.get("strides") == [_HOP_SAMPLES] and not any(settings.get("pads", []))
    weight = graph.array(node, 1)
    graph.expect(plain and weight.ndim == 3 and weight.shape[1] == 1, "its convolutions differ")
    return weight[:, 0]


def _trimmed(real: np.ndarray, imaginary: np.ndarray, filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.flatnonzero(filters.any(axis=1))
    kernel = np.concatenate([real[used], imaginary[used]])
    heard = np.flatnonzero(kernel.any(axis=0))
    return kernel[:, heard[0] : heard[-1] + 1], np.tile(filters[used].T, (1, 2))


def _layers(graph: _Graph) -> Iterator[Layer]:
    kinds = [node.op_type for node in graph.nodes]
    linear = all(one.output[0] == two.input[0] for one, two in pairwise(graph.nodes))
    graph.expect(linear and kinds[:7] == ["Pad", "Reshape", *_FIRST], "it begins otherwise")
    graph.expect(kinds[-2:] == ["Conv", "Reshape"], "it ends otherwise")
    pads = graph.array(graph.nodes[0], 1).tolist()
    graph.expect(pads == [0, 0, 1, 0, 0, 0, 1, 0], "it pads otherwise")
    found = [_first(graph), *_middle(graph), _conv(graph, graph.nodes[-2:-1])]
    _check_shapes(graph, found)
    yield from found


def _first(graph: _Graph) -> Layer:
    """Convolution, ReLU and batch normalisation as one: s · max(c, 0) + b is max(s · c + b, b) for s > 0."""
    conv, _, norm, leaky, bound = graph.nodes[2:7]
    weight = graph.array(conv, 1)
    graph.expect(weight.shape[1:] == (1, 3, 3) and len(conv.input) == 2, "its first convolution differs")
    scale, shift, mean, variance = (graph.array(norm, i) for i in range(1, 5))
    factor = scale / np.sqrt(variance + graph.attributes(norm)["epsilon"])
    graph.expect(bool((factor > 0).all()), "its first scale is not positive")
    bias = (shift - mean * factor).astype(np.float32)
    lowest = np.maximum(np.where(bias > 0, bias, LEAK * bias), _bound(graph, leaky, bound))
    return Layer(CONV, (weight * factor[:, None, None, None]).astype(np.float32), bias, lowest)


def _bound(graph: _Graph, leaky: NodeProto, bound: NodeProto) -> np.ndarray:
    graph.expect(leaky.op_type == "LeakyRelu" and bound.op_type == "Max", "an activation differs")
    graph.expect(math.isclose(graph.attributes(leaky)["alpha"], LEAK, rel_tol=1e-5), "its leak differs")
    lowest = graph.array(bound, 1)
    graph.expect(lowest.size == 1 and float(lowest.max()) <= 0, "its bound differs")
    return lowest.reshape(1)


def _middle(graph: _Graph) -> Iterator[Layer]:
    nodes = graph.nodes[7:-2]
    while nodes:
        taken = 1 if nodes[0].op_type == "MaxPool" else 3
        yield _pool(graph, nodes[0]) if taken == 1 else _conv(graph, nodes[:3])
        nodes = nodes[taken:]


def _conv(graph: _Graph, nodes: Sequence[NodeProto]) -> Layer:
    """A 1 × 3 or 3 × 1 convolution, and its activation where one follows."""
    graph.expect(nodes[0].op_type == "Conv" and len(nodes) in (1, 3), "its operations differ")
    settings, weight = graph.attributes(nodes[0]), graph.array(nodes[0], 1)
    pads = {(1, 3): [0, 1, 0, 1], (3, 1): [0, 0, 0, 0]}.get(weight.shape[2:])
    graph.expect(settings.get("pads", [0, 0, 0, 0]) == pads, "a convolution differs")
    plain = all(settings.get(name, [1, 1]) == [1, 1] for name in ("strides", "dilations"))
    graph.expect(plain and settings.get("group", 1) == 1, "a convolution differs")
    bias = graph.array(nodes[0], 2) if len(nodes[0].input) > 2 else None
    return Layer(CONV, weight, bias, _bound(graph, *nodes[1:]) if len(nodes) == 3 else None)


def _pool(graph: _Graph, node: NodeProto) -> Layer:
    settings = graph.attributes(node)
    kernel = tuple(settings["kernel_shape"])
    plain = kernel in ((1, 2), (2, 2)) and tuple(settings["strides"]) == kernel
    graph.expect(plain and not any(settings.get("pads", [])), "a pooling differs")
    return Layer(POOL, pool=kernel)


def _check_shapes(graph: _Graph, layers: Sequence[Layer]) -> None:
    """Channels fit each other, and 8 frames of 32 bands become one vector."""
    convolutions = [layer.weight for layer in layers if layer.kind == CONV]
    fits = all(one.shape[0] == two.shape[1] for one, two in pairwise(convolutions))
    frames, bands = np.prod([layer.pool for layer in layers], axis=0)
    graph.expect(fits and (frames, bands) == (FRAMES_A_VECTOR, MELS), "its layers do not fit")
    graph.expect(convolutions[-1].shape[2:] == (3, 1), "its last convolution differs")
