"""Causal BC-ResNet (Kim et al. 2021, arXiv 2106.04140): the small network that starts from nothing.

As in the paper: residual blocks of a convolution over frequency with sub-spectral normalisation, then,
on the mean over frequency, one over time, whose result is broadcast to all bands. Other than there,
nothing is padded on the right, the mean over the clip is one over the last `pool_ms`, and the first
convolution may stride over time, which makes everything after it as many times cheaper.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.wakeword.layers import (
    CausalConv1d,
    CausalConv2d,
    Chain,
    Packed,
    Shapes,
    State,
    Streaming,
    SubSpectralNorm,
)
from phonoloop.wakeword.model_config import STEP_MS, ModelRecipe
from phonoloop.wakeword.pooled import PooledLogit

_BASE = 8  # channels at width 1
_STEM_FRAMES = 5
#: (blocks, channels over `_BASE`, stride over frequency) of the four stages
_STAGES = ((2, 1.0, 1), (2, 1.5, 2), (4, 2.0, 2), (4, 2.5, 1))
_SUB_BANDS = 5


class BcResNet(Streaming):
    """Log-mel frames (B, r k, mels) to logits (B, k), r frames in a step of 80 ms.

    Attributes:
        frame_channels, frames_a_step: of what the logits are read off.
    """

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        mels = recipe.front_end.n_mels
        rate = STEP_MS // recipe.front_end.hop_ms // recipe.time_stride
        stem = _Stem(mels, _channels(recipe.width, 2), time_stride=recipe.time_stride)
        blocks, bands = _blocks(recipe, bands=mels // 2)
        tail = _Tail(_channels(recipe.width, 2.5), _channels(recipe.width, 4), bands)
        pooled = PooledLogit(
            _channels(recipe.width, 4), rate=rate, steps=recipe.pool_ms // STEP_MS, dropout=recipe.dropout
        )
        self.parts = Packed(Chain(Chain(stem, *blocks, tail), pooled))
        self.frame_channels, self.frames_a_step = _channels(recipe.width, 4), rate

    @property
    def state_shapes(self) -> Shapes:
        return self.parts.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.parts.step(x.transpose(1, 2).unsqueeze(1), state)

    def with_frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of whole recordings: logits (B, k), and what they are read off, (B, C, frames_a_step · k)."""
        body, pooled = self.parts.inner.parts
        frames = body(x.transpose(1, 2).unsqueeze(1))
        return pooled(frames), frames


def _channels(width: float, times: float) -> int:
    return round(_BASE * width * times)


def _blocks(recipe: ModelRecipe, *, bands: int) -> tuple[list[nn.Module], int]:
    """The residual blocks, and the bands that are left after them."""
    blocks: list[nn.Module] = []
    inputs = _channels(recipe.width, 2)
    for (count, times, stride), dilation in zip(_STAGES, recipe.dilations, strict=True):
        outputs = _channels(recipe.width, times)
        for i in range(count):
            block = _Block(
                (inputs, outputs), bands, stride=1 if i else stride, dilation=dilation, dropout=recipe.dropout
            )
            blocks.append(block)
            inputs, bands = outputs, block.bands
    return blocks, bands


class _Stem(Chain):
    """(B, 1, mels, T) to (B, C, mels / 2, T / time_stride)."""

    def __init__(self, mels: int, channels: int, *, time_stride: int) -> None:
        kernel = (5, _STEM_FRAMES)
        conv = CausalConv2d(1, channels, kernel, bands=mels, stride=2, time_stride=time_stride, padding=2)
        super().__init__(conv, nn.BatchNorm2d(channels), nn.ReLU())


class _Block(Streaming):
    """(B, C, F, T) to (B, C', F', T); the first block of a stage changes the channels and has no shortcut."""

    def __init__(
        self, channels: tuple[int, int], bands: int, *, stride: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        self.bands = (bands - 1) // stride + 1
        self.shortcut = inputs == outputs and stride == 1
        widen = [] if self.shortcut else [nn.Conv2d(inputs, outputs, 1, bias=False)]
        widen += [] if self.shortcut else [nn.BatchNorm2d(outputs), nn.ReLU()]
        over_bands = nn.Conv2d(
            outputs, outputs, (3, 1), stride=(stride, 1), padding=(1, 0), groups=outputs, bias=False
        )
        self.spectral = nn.Sequential(*widen, over_bands, SubSpectralNorm(outputs, self.bands, _SUB_BANDS))
        self.temporal = Chain(
            CausalConv1d(outputs, outputs, 3, dilation=dilation, groups=outputs, bias=False),
            nn.BatchNorm1d(outputs),
            nn.SiLU(),
            nn.Conv1d(outputs, outputs, 1, bias=False),
            nn.Dropout1d(dropout),
        )
        self.state_shapes = self.temporal.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        spectral = self.spectral(x)
        temporal, kept = self.temporal.step(spectral.mean(dim=2), state)
        y = spectral + temporal.unsqueeze(2)
        return F.relu(x + y if self.shortcut else y), kept


class _Tail(Streaming):
    """(B, C, F, T) to (B, C', T): a convolution over all bands that are left, then a pointwise one."""

    def __init__(self, inputs: int, outputs: int, bands: int) -> None:
        super().__init__()
        self.over_all = CausalConv2d(inputs, inputs, (bands, 5), bands=bands, groups=inputs)
        self.point = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.state_shapes = self.over_all.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, kept = self.over_all.step(x, state)
        return F.relu(self.norm(self.point(y.squeeze(2)))), kept
