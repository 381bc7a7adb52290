"""The two files of the speech embedding with random weights and few channels: same structure, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from phonoloop.wakeword.embedding import EMBEDDING_FILE, MEL_FILE

_WINDOW_SAMPLES, _FRAME_SAMPLES, _BINS, _MELS = 400, 512, 257, 32
#: over frequency, over time, or a pooling, as in the original; channels are `_WIDTHS` after each pooling
_PLAN = "ft P ftft p ftft P ftft p ftft P"
_WIDTHS = (8, 12, 12, 16, 16)
VECTOR = 16


def write_tiny_embedding(folder: Path, seed: int = 0) -> Path:
    """Writes `melspectrogram.onnx` and `embedding_model.onnx`, which gives vectors of 16."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_mel_model(), folder / MEL_FILE)
    onnx.save(_embedding_model(np.random.default_rng(seed)), folder / EMBEDDING_FILE)
    return folder


class _Network:
    """Nodes one after the other."""

    def __init__(self, name: str) -> None:
        self.last, self.nodes, self.arrays = name, [], []

    def constant(self, value: np.ndarray | float) -> str:
        name = f"c{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *constants: np.ndarray | float, of: str = "", **settings: object) -> str:
        given = [of or self.last, *map(self.constant, constants)]
        self.last = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, given, [self.last], **settings))
        return self.last

    def join(self, kind: str, one: str, two: str) -> None:
        self.last = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [one, two], [self.last]))

    def model(self, name: str, shape: list) -> onnx.ModelProto:
        given = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        got = helper.make_tensor_value_info(self.last, onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "tiny", [given], [got], self.arrays)
        opset = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)


def _mel_model() -> onnx.ModelProto:
    net = _Network("input")
    audio = net.add("Unsqueeze", np.array([1]))
    real, imaginary = (
        net.add("Conv", wave, of=audio, kernel_shape=[_FRAME_SAMPLES], strides=[160]) for wave in _waves()
    )
    powers = []
    for wave in (real, imaginary):
        net.add("Unsqueeze", np.array([1]), of=wave)
        powers.append(net.add("Transpose", perm=[0, 1, 3, 2]))
    squares = [net.add("Pow", np.float32(2), of=power) for power in powers]
    net.join("Add", *squares)
    net.add("MatMul", _filters())
    net.add("Clip", np.float32(1e-10), np.float32(np.inf))
    net.add("Log")
    net.add("Mul", np.float32(10))
    net.add("Div", np.float32(np.log(10)))
    decibels = net.add("Sub", np.float32(0))
    net.add("ReduceMax", keepdims=0)
    net.add("Sub", np.float32(80))
    net.join("Clip", decibels, net.add("Cast", to=1))
    return net.model("input", ["batch_size", "samples"])


def _waves() -> tuple[np.ndarray, np.ndarray]:
    """Of a Fourier transform of 512 samples under a window of 400 in their middle."""
    window = np.zeros(_FRAME_SAMPLES)
    edge = (_FRAME_SAMPLES - _WINDOW_SAMPLES) // 2
    window[edge:-edge] = np.hanning(_WINDOW_SAMPLES + 1)[:-1]
    angles = 2 * np.pi / _FRAME_SAMPLES * np.outer(np.arange(_BINS), np.arange(_FRAME_SAMPLES))
    return tuple(
        (wave(angles) * window).astype(np.float32)[:, None] for wave in (np.cos, lambda a: -np.sin(a))
    )


def _filters() -> np.ndarray:
    """(257, 32) triangles over the frequencies up to 3.8 kHz."""
    bins, middles = np.arange(_BINS)[:, None], np.linspace(4, 118, _MELS)[None]
    return np.maximum(0, 0.01 * (1 - np.abs(bins - middles) / 4)).astype(np.float32)


def _embedding_model(rng: np.random.Generator) -> onnx.ModelProto:
    net = _Network("input_1")
    net.add("Pad", np.array([0, 0, 1, 0, 0, 0, 1, 0]))
    net.add("Reshape", np.array([-1, 1, 76, _MELS + 2]))
    channels, widths = _WIDTHS[0], iter(_WIDTHS)
    net.add("Conv", _weight(rng, channels, 1, (3, 3)), kernel_shape=[3, 3])
    net.add("Relu")
    _normalise(net, rng, channels)
    _activate(net)
    for part in "".join(_PLAN.split()):
        if part in "pP":
            net.add("MaxPool", kernel_shape=[1 + (part == "P"), 2], strides=[1 + (part == "P"), 2])
            continue
        wanted = next(widths) if net.nodes[-1].op_type == "MaxPool" else channels
        _convolve(net, rng, (channels, wanted), over_time=part == "t")
        channels = wanted
    net.add("Conv", _weight(rng, VECTOR, channels, (3, 1)), kernel_shape=[3, 1])
    net.add("Reshape", np.array([-1, 1, 1, VECTOR]))
    return net.model("input_1", ["batch", 76, _MELS, 1])


def _weight(rng: np.random.Generator, outputs: int, inputs: int, kernel: tuple[int, int]) -> np.ndarray:
    spread = 1 / np.sqrt(inputs * np.prod(kernel))
    return (spread * rng.standard_normal((outputs, inputs, *kernel))).astype(np.float32)


def _normalise(net: _Network, rng: np.random.Generator, channels: int) -> None:
    scale, variance = (rng.uniform(0.5, 1.5, channels).astype(np.float32) for _ in range(2))
    shift, mean = (rng.uniform(-1, 1, channels).astype(np.float32) for _ in range(2))
    net.add("BatchNormalization", scale, shift, mean, variance, epsilon=1e-3)


def _activate(net: _Network) -> None:
    net.add("LeakyRelu", alpha=0.2)
    net.add("Max", np.full((1, 1, 1, 1), -0.4, np.float32))


def _convolve(net: _Network, rng: np.random.Generator, channels: tuple[int, int], *, over_time: bool) -> None:
    inputs, outputs = channels
    kernel, pads = ((3, 1), [0] * 4) if over_time else ((1, 3), [0, 1, 0, 1])
    bias = (0.2 * rng.standard_normal(outputs)).astype(np.float32)
    net.add("Conv", _weight(rng, outputs, inputs, kernel), bias, kernel_shape=list(kernel), pads=pads)
    _activate(net)
