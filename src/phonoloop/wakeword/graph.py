"""The network as ONNX graphs. It is traced once, as a stream; what hears whole recordings is made of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from phonoloop.training.tracing import to_onnx_by_running
from phonoloop.wakeword.artefact import AUDIO, NEXT_STATE, SCORES, STATE

if TYPE_CHECKING:
    from phonoloop.wakeword.model import WakeNet

#: steps in the audio that is traced; any number may follow
_TRACED_STEPS = 3
_HEARD = "whole_steps"


class _Scores(nn.Module):
    """(audio, state…) to (probabilities, state…)."""

    def __init__(self, model: WakeNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, audio: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, after = self.model.step(audio, state)
        return torch.sigmoid(logits), *after


def trace_stream(model: WakeNet) -> onnx.ModelProto:
    """`audio` (batch, k · step_samples) and `state_*` to `scores` (batch, k) and `next_state_*`."""
    state = [STATE + name for name in model.state_names]
    after = [NEXT_STATE + name for name in model.state_names]
    open_sizes = {AUDIO: {0: "batch", 1: "samples"}, SCORES: {0: "batch", 1: "steps"}}
    return to_onnx_by_running(
        _Scores(model),
        (torch.zeros(2, _TRACED_STEPS * model.step_samples), *model.initial_state(2)),
        inputs=[AUDIO, *state],
        outputs=[SCORES, *after],
        open_sizes=open_sizes | {name: {0: "batch"} for name in (*state, *after)},
    )


def whole_of(stream: onnx.ModelProto, step_samples: int) -> onnx.ModelProto:
    """The same network without a past: `audio` (batch, samples) to `scores` (batch, samples // step_samples).

    Samples after the last whole step are left out.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(stream)
    graph = whole.graph
    state = [value for value in graph.input if value.name.startswith(STATE)]
    for node in graph.node:
        node.input[:] = [_HEARD if name == AUDIO else name for name in node.input]
    nodes = [*_opening(graph, step_samples), *_silence(graph, state), *graph.node]
    _replace(graph.node, nodes)
    _replace(graph.input, [helper.make_tensor_value_info(AUDIO, TensorProto.FLOAT, ["batch", "samples"])])
    _replace(graph.output, [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["batch", "steps"])])
    del graph.value_info[:]
    _drop_unused(graph)
    return whole


def signed(graph: onnx.ModelProto, facts: Mapping[str, str]) -> onnx.ModelProto:
    """With facts inside that its description has too."""
    del graph.metadata_props[:]
    helper.set_model_props(graph, dict(facts))
    return graph


def _opening(graph: onnx.GraphProto, step_samples: int) -> list[onnx.NodeProto]:
    """Nodes that cut the audio to whole steps, and say how many recordings there are."""
    constants = {"at_0": 0, "at_1": 1, "step": step_samples}
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), f"opening_{name}"))
    return [
        helper.make_node("Shape", [AUDIO], ["opening_shape"]),
        helper.make_node("Gather", ["opening_shape", "opening_at_0"], ["opening_batch"]),
        helper.make_node("Gather", ["opening_shape", "opening_at_1"], ["opening_samples"]),
        helper.make_node("Div", ["opening_samples", "opening_step"], ["opening_steps"]),
        helper.make_node("Mul", ["opening_steps", "opening_step"], ["opening_end"]),
        helper.make_node("Slice", [AUDIO, "opening_at_0", "opening_end", "opening_at_1"], [_HEARD]),
    ]


def _silence(graph: onnx.GraphProto, state: list[onnx.ValueInfoProto]) -> list[onnx.NodeProto]:
    """Nodes that make the state before the first sample: zeros."""
    nodes = []
    for value in state:
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim[1:]]
        graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), f"{value.name}_sizes"))
        shape = f"{value.name}_shape"
        nodes.append(helper.make_node("Concat", ["opening_batch", f"{value.name}_sizes"], [shape], axis=0))
        nodes.append(helper.make_node("ConstantOfShape", [shape], [value.name]))
    return nodes


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Leaves out what no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    _replace(graph.node, kept[::-1])
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])


def _replace(field, values) -> None:
    values = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(values)
