"""Causal MatchboxNet (Majumdar & Ginsburg 2020, arXiv 2004.08531) and MarbleNet (Jia et al. 2021,
arXiv 2010.13886): blocks of time-channel separable convolutions.

The two papers' networks are the same but for how often a block repeats its convolution (3×1×64 and
3×2×64 are the usual ones) and what they were trained for. Nothing is padded on the right here, and the
mean over the clip is one over the last `pool_ms`.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.wakeword.layers import CausalConv1d, Chain, Packed, Shapes, State, Streaming
from phonoloop.wakeword.model_config import STEP_MS, ModelRecipe
from phonoloop.wakeword.pooled import PooledLogit

_REPEATS = {"matchboxnet": 1, "marblenet": 2}
_FIRST_KERNEL, _BLOCK_KERNEL, _LAST_KERNEL, _LAST_DILATION = 11, 13, 29, 2


class MatchboxNet(Streaming):
    """Log-mel frames (B, 8 k, mels) to logits (B, k)."""

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        front, steps = recipe.front_end, recipe.pool_ms // STEP_MS
        ends = 2 * recipe.channels
        pooled = PooledLogit(ends, rate=STEP_MS // front.hop_ms, steps=steps, dropout=recipe.dropout)
        self.parts = Packed(
            Chain(
                _Separable(front.n_mels, ends, _FIRST_KERNEL, dropout=recipe.dropout),
                *_blocks(recipe, ends),
                _Separable(
                    recipe.channels, ends, _LAST_KERNEL, dilation=_LAST_DILATION, dropout=recipe.dropout
                ),
                _pointwise(ends, ends),
                nn.ReLU(),
                pooled,
            )
        )

    @property
    def state_shapes(self) -> Shapes:
        return self.parts.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.parts.step(x.transpose(1, 2), state)


def _blocks(recipe: ModelRecipe, inputs: int) -> list[nn.Module]:
    repeats = recipe.repeats or _REPEATS[recipe.kind]
    widths = [inputs, *[recipe.channels] * recipe.blocks]
    return [
        _Block(pair, _BLOCK_KERNEL + 2 * i, repeats=repeats, dropout=recipe.dropout)
        for i, pair in enumerate(itertools.pairwise(widths))
    ]


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))


class _Separable(Chain):
    """A convolution over time, one over channels, normalisation, and the activation where `last` is false."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        dropout: float,
        dilation: int = 1,
        last: bool = False,
    ) -> None:
        over_time = CausalConv1d(inputs, inputs, kernel, dilation=dilation, groups=inputs, bias=False)
        end = [] if last else [nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(over_time, _pointwise(inputs, outputs), *end)


class _Block(Streaming):
    """`repeats` separable convolutions beside a pointwise shortcut."""

    def __init__(self, channels: tuple[int, int], kernel: int, *, repeats: int, dropout: float) -> None:
        super().__init__()
        inputs, outputs = channels
        widths = [inputs, *[outputs] * repeats]
        self.body = Chain(
            *(
                _Separable(one, two, kernel, dropout=dropout, last=i == repeats - 1)
                for i, (one, two) in enumerate(itertools.pairwise(widths))
            )
        )
        self.shortcut = _pointwise(inputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.state_shapes = self.body.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, kept = self.body.step(x, state)
        return self.dropout(F.relu(y + self.shortcut(x))), kept
