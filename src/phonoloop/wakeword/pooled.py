"""What decides at the end of the networks that start from nothing."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.wakeword.layers import State, Streaming, TrailingMean


class PooledLogit(Streaming):
    """Frames (B, C, rate · k) to logits (B, k): their mean over the last `steps` steps, then a line.

    The line comes first, which is the same, so that the past is a number a step.
    """

    def __init__(self, channels: int, *, rate: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.rate = rate
        self.dropout = nn.Dropout1d(dropout)
        self.line = nn.Conv1d(channels, 1, 1, bias=False)
        self.bias = nn.Parameter(self.line.weight.new_zeros(1))
        self.mean = TrailingMean(1, steps)
        self.state_shapes = self.mean.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        a_step = F.avg_pool1d(self.line(self.dropout(x)), self.rate)
        mean, kept = self.mean.step(a_step, state)
        return mean.squeeze(1) + self.bias, kept
