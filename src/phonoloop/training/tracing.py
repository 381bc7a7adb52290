"""From a torch module to an ONNX graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping

import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

_OPSET = 20
#: what speaks while a graph is traced and tidied up
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


def to_onnx(
    module: nn.Module, arguments: tuple[Tensor, ...], *, inputs: list[str], outputs: list[str], shapes: tuple
) -> onnx.ModelProto:
    """Traces a module.

    Args:
        arguments: examples of what it is called with.
        shapes: for each argument, dimension → `torch.export.Dim` of those that may vary.
    """
    with _quiet_exporter():
        program = torch.onnx.export(
            module.eval(),
            arguments,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    return _without_traces(program.model_proto)


def to_onnx_by_running(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    inputs: list[str],
    outputs: list[str],
    open_sizes: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Follows one run of a module with torch's older exporter, in a twentieth of the time of `to_onnx`.

    It cannot see branches that were not taken, or sizes that Python turned into constants: compare what
    comes out with the module, at other sizes than those of the arguments.

    Args:
        open_sizes: of inputs and outputs, dimension → name of those that may vary.
    """
    written = io.BytesIO()
    with _quiet_exporter():
        torch.onnx.export(
            module.eval(),
            arguments,
            written,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=open_sizes,
            opset_version=_OPSET,
            dynamo=False,
        )
        traced = onnx.load_from_string(written.getvalue())
        return _without_traces(optimizer.optimize(traced))


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The exporter notes for each node which line of which file it comes from, with this machine's paths."""
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter's own deprecations, and that torchvision is absent, are not ours to act on."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
