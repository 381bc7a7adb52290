"""The LSTM encoder in ONNX's own operator: torch's exporter cannot trace torch's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from phonoloop.asr.layers import Context
from phonoloop.asr.model import Cache, LstmEncoder

#: the operator set that brought the operator in its present form
_VERSION = 14


class OnnxLstmEncoder(nn.Module):
    """What `LstmEncoder` computes, for tracing only: it cannot be run in torch."""

    def __init__(self, encoder: LstmEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(encoder.layers, i) for i in range(encoder.layers.num_layers))
        self.norm = encoder.norm

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = x.transpose(0, 1)
        for layer in self.layers:
            x, _, _ = layer(x, context.lengths.to(torch.int32), ())
        return self.norm(x.transpose(0, 1))

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        x, kept = x.transpose(0, 1), []
        for i, layer in enumerate(self.layers):
            x, *state = layer(x, None, (cache[0][i : i + 1], cache[1][i : i + 1]))
            kept.append(state)
        return self.norm(x.transpose(0, 1)), tuple(torch.cat(parts) for parts in zip(*kept, strict=True))


class _Layer(nn.Module):
    """One layer, in one direction or two."""

    def __init__(self, lstm: nn.LSTM, layer: int) -> None:
        super().__init__()
        ends = [f"_l{layer}", f"_l{layer}_reverse"] if lstm.bidirectional else [f"_l{layer}"]
        self.hidden, self.directions = lstm.hidden_size, len(ends)

        def gates(kind: str) -> Tensor:
            return torch.stack([_reordered(getattr(lstm, kind + end)) for end in ends])

        self.register_buffer("inputs", gates("weight_ih"))
        self.register_buffer("recurrent", gates("weight_hh"))
        self.register_buffer("bias", torch.cat([gates("bias_ih"), gates("bias_hh")], dim=1))

    def forward(
        self, x: Tensor, lengths: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(T, B, D) to (T, B, directions * hidden) and the last (hidden, cell)."""
        frames, batch, _ = x.shape
        last = (self.directions, batch, self.hidden)
        heard, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (x, self.inputs, self.recurrent, self.bias, lengths, *state),
            attrs={
                "hidden_size": self.hidden,
                "direction": "bidirectional" if self.directions == 2 else "forward",
            },
            dtypes=(x.dtype,) * 3,
            shapes=((frames, *last), last, last),
            version=_VERSION,
        )
        return heard.transpose(1, 2).reshape(frames, batch, self.directions * self.hidden), hidden, cell


def _reordered(weights: Tensor) -> Tensor:
    """torch has the gates as input, forget, cell, output; ONNX as input, output, forget, cell."""
    entry, forget, cell, out = weights.detach().chunk(4)
    return torch.cat([entry, out, forget, cell])
