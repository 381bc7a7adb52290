"""Detectors in 8 bits: smaller files, and on some processors faster.

Weights and activations of convolutions and matrices become integers, with ranges read off real audio
(onnxruntime's static quantisation). What comes before the logarithm stays in float: a spectrum spans
more than 8 bits hold.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

from phonoloop.training.artefacts import session_for
from phonoloop.wakeword.artefact import AUDIO, STATE

#: steps that are heard together while ranges are measured
_STEPS = 10
_KINDS = ("Conv", "MatMul", "Gemm")


def quantised(stream: Path, audio: Sequence[np.ndarray], *, step_samples: int) -> onnx.ModelProto:
    """The stream graph in `stream` with integers inside.

    Args:
        audio: recordings (n,) to measure ranges on, in the order and proportion of use.
    """
    graph = onnx.load(stream)
    with tempfile.TemporaryDirectory(dir=stream.parent) as folder, _quiet():
        written = Path(folder, "int8.onnx")
        quantization.quantize_static(
            stream,
            written,
            _Heard(stream, audio, step_samples),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=True,  # 8-bit products overflow in processors without VNNI
            nodes_to_quantize=after_logarithm(graph.graph),
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        return onnx.load(written)


def after_logarithm(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes with weights that hear what the last logarithm gave."""
    reached: set[str] = set()
    found = []
    for node in graph.node:
        if node.op_type == "Log":
            reached, found = set(node.output), []
        elif reached.intersection(node.input):
            reached.update(node.output)
            if node.op_type in _KINDS:
                found.append(node.name)
    return found


class _Heard(quantization.CalibrationDataReader):
    """What the graph is given while it hears recordings as streams."""

    def __init__(self, stream: Path, audio: Sequence[np.ndarray], step_samples: int) -> None:
        self._fed = self._heard(session_for(stream, threads=1), audio, step_samples * _STEPS)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._fed, None)

    @staticmethod
    def _heard(
        session: onnxruntime.InferenceSession, audio: Sequence[np.ndarray], size: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        inputs = [node for node in session.get_inputs() if node.name.startswith(STATE)]
        for samples in audio:
            state = {node.name: np.zeros([1, *node.shape[1:]], np.float32) for node in inputs}
            for start in range(0, len(samples) - size + 1, size):
                fed = {AUDIO: samples[None, start : start + size]} | state
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
