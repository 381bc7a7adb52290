"""Detectors in 8 bits: smaller files, and on some processors faster.

Weights and activations of convolutions and matrices become integers, with ranges read off real audio
(onnxruntime's static quantisation). What comes before the logarithm stays in float: a spectrum spans
more than 8 bits hold.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.training.artefacts import session_for
from phonoloop.wakeword.artefact import AUDIO, STATE

#: steps that are heard together while ranges are measured
_STEPS = 10
_MOST_S, _LONGEST_S, _PAUSE_S = 120, 10, 0.4
_FLOOR = 10 ** (-75 / 20)
_KINDS = ("Conv", "MatMul", "Gemm")


def as_one_stream(recordings: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) float32 of at most two minutes: recordings from all over the list, each to its end (or ten
    seconds), with a pause after it in which a phrase that has just ended is recognised."""
    pause = int(_PAUSE_S * CANONICAL_RATE_HZ)
    cut = [samples[: _LONGEST_S * CANONICAL_RATE_HZ] for samples in recordings]
    every = max(1, math.ceil(sum(len(one) + pause for one in cut) / (_MOST_S * CANONICAL_RATE_HZ)))
    joined = np.concatenate([np.pad(one, (0, pause)) for one in cut[::every]])
    floor = np.random.default_rng(0).standard_normal(len(joined)) * _FLOOR
    return (joined + floor).astype(np.float32)


def quantised(stream: Path, audio: np.ndarray, *, step_samples: int) -> onnx.ModelProto:
    """The stream graph in `stream` with integers inside.

    Args:
        audio: (n,) one stream to read ranges off: what is louder, or scores higher, than anything in it
            is cut off. So the phrase has to be in it, whole.
    """
    graph = onnx.load(stream)
    chosen = to_quantise(graph.graph)
    if not chosen:  # which the quantiser would take for all
        return graph
    with tempfile.TemporaryDirectory(dir=stream.parent) as folder, _quiet():
        written = Path(folder, "int8.onnx")
        quantization.quantize_static(
            stream,
            written,
            _Heard(stream, audio, step_samples * _STEPS),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=True,  # 8-bit products overflow in processors without VNNI
            nodes_to_quantize=chosen,
        )
        return onnx.load(written)


def to_quantise(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes with weights between the last logarithm and the last layer, which gives the
    logit: of that, every bit counts."""
    after = _reached(graph.node, {"Log"})
    decides = _reached(reversed(graph.node), {"Sigmoid"}, backwards=True)
    weighted = [node for node in graph.node if node.op_type in _KINDS and node.name in after]
    last = [node for node in weighted if node.name in decides][-1:]
    return [node.name for node in weighted if node not in last]


def _reached(nodes: Iterable[onnx.NodeProto], kinds: set[str], *, backwards: bool = False) -> set[str]:
    """The names of nodes that hear one of these kinds; backwards, those that it hears."""
    values: set[str] = set()
    found: set[str] = set()
    for node in nodes:
        near, far = (node.output, node.input) if backwards else (node.input, node.output)
        if node.op_type in kinds or values.intersection(near):
            values.update(far)
            found.add(node.name)
    return found


class _Heard(quantization.CalibrationDataReader):
    """What the graph is given while it hears a stream, piece by piece."""

    def __init__(self, stream: Path, audio: np.ndarray, size: int) -> None:
        self._fed = self._heard(session_for(stream, threads=1), audio, size)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._fed, None)

    @staticmethod
    def _heard(
        session: onnxruntime.InferenceSession, audio: np.ndarray, size: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        inputs = [node for node in session.get_inputs() if node.name.startswith(STATE)]
        state = {node.name: np.zeros([1, *node.shape[1:]], np.float32) for node in inputs}
        for start in range(0, len(audio) - size + 1, size):
            fed = {AUDIO: audio[None, start : start + size]} | state
            yield fed
            _, *after = session.run(None, fed)
            state = dict(zip(state, after, strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises to run a preprocessing that has nothing to do here."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
