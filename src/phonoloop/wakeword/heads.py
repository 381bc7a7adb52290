"""What decides over the vectors of a backbone, 80 ms each: five heads that look at the last `head_steps`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.wakeword.layers import (
    CausalConv1d,
    Chain,
    Mean,
    Packed,
    Past,
    Shapes,
    State,
    Streaming,
    TrailingMean,
)
from phonoloop.wakeword.model_config import ModelRecipe

_KERNEL = 3
_ATTENTION_HEADS = 4
#: attention scores stay within this, so that sums of their exponentials stay precise
_MOST_SCORE = 8.0
_SQUEEZE = 4


class Head(Streaming):
    """Vectors (B, k, C) to logits (B, k).

    Vectors are standardised by constants, see `set_normalisation`, which are part of the weights.
    """

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.parts = Packed(_HEADS[recipe.head](recipe, inputs))

    @property
    def state_shapes(self) -> Shapes:
        return self.parts.state_shapes

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Of the training data's vectors, each (C,); a number that never changes is left as it is."""
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(std > 1e-5, 1 / std.clamp(min=1e-5), torch.ones_like(std)))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        logits, kept = self.parts.step(self._standardised(x), state)
        return logits.squeeze(1), kept

    def each(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(logits.squeeze(1) for logits in self.parts.each(self._standardised(x)))

    def _standardised(self, x: Tensor) -> Tensor:
        """(B, k, C) to (B, C, k)."""
        return ((x - self.mean) * self.scale).transpose(1, 2)


def _convolved(recipe: ModelRecipe, inputs: int, outputs: int, dilation: int = 1) -> list[nn.Module]:
    conv = CausalConv1d(inputs, outputs, _KERNEL, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(recipe.dropout)]


class _Tcn(Chain):
    """Convolutions over time with dilations 1, 2, 4, … until they see `head_steps`."""

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        width, parts, seen, dilation = recipe.head_width, [], 1, 1
        while not parts or seen < recipe.head_steps:
            parts += _convolved(recipe, inputs if not parts else width, width, dilation)
            seen, dilation = seen + (_KERNEL - 1) * dilation, dilation * 2
        super().__init__(*parts, nn.Conv1d(width, 1, 1))


class _Dense(Chain):
    """Layers over all vectors at once, as a person would first try it."""

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        parts: list[nn.Module] = []
        for i, width in enumerate(recipe.dense):
            kernel = recipe.head_steps if i == 0 else 1
            conv = CausalConv1d(inputs, width, kernel, bias=False)
            parts += [conv, nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(recipe.dropout)]
            inputs = width
        last = CausalConv1d(inputs, 1, 1 if parts else recipe.head_steps)
        super().__init__(*parts, last)


class _Squeeze(Streaming):
    """Squeeze and excitation (Hu et al., arXiv 1709.01507): the mean over the last steps weighs channels."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.mean = TrailingMean(channels, steps)
        self.state_shapes = self.mean.state_shapes
        narrow = max(1, channels // _SQUEEZE)
        self.gate = nn.Sequential(
            nn.Conv1d(channels, narrow, 1), nn.ReLU(), nn.Conv1d(narrow, channels, 1), nn.Sigmoid()
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        mean, kept = self.mean.step(x, state)
        return x * self.gate(mean), kept


class _SqueezeHead(Chain):
    """Two convolutions, their channels weighed, and the mean over the last steps."""

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        width = recipe.head_width
        super().__init__(
            *_convolved(recipe, inputs, width),
            *_convolved(recipe, width, width, 2),
            _Squeeze(width, recipe.head_steps),
            TrailingMean(width, recipe.head_steps),
            nn.Conv1d(width, 1, 1),
        )


class _Pooling(Streaming):
    """Attention over the last `steps` steps: (B, C, T) to (B, C, T).

    Weights are exponentials of bounded scores, summed over the window; what lies before the beginning
    has no weight.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.channels, self.steps = channels, steps
        self.heads = _ATTENTION_HEADS if channels % _ATTENTION_HEADS == 0 else 1
        self.score = nn.Conv1d(channels, self.heads, 1)
        self.past = Past(channels + self.heads, steps - 1)
        self.state_shapes = self.past.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        weight = torch.exp(_MOST_SCORE * torch.tanh(self.score(x) / _MOST_SCORE))
        each = weight.repeat_interleave(self.channels // self.heads, dim=1)
        seen, kept = self.past.step(torch.cat([x * each, weight], dim=1), state)
        sums = F.avg_pool1d(seen, self.steps, stride=1)
        weights = sums[:, self.channels :].repeat_interleave(self.channels // self.heads, dim=1)
        return sums[:, : self.channels] / weights, kept


class _AttentionHead(Chain):
    """Two convolutions, and the mean over the last steps weighed by attention."""

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        width = recipe.head_width
        super().__init__(
            *_convolved(recipe, inputs, width),
            *_convolved(recipe, width, width, 2),
            _Pooling(width, recipe.head_steps),
            nn.Conv1d(width, 1, 1),
        )


class _Ensemble(Mean):
    """A `tcn` and an `attention` head: what fools both is rarer than what fools either."""

    def __init__(self, recipe: ModelRecipe, inputs: int) -> None:
        super().__init__(_Tcn(recipe, inputs), _AttentionHead(recipe, inputs))


_HEADS = {
    "attention": _AttentionHead,
    "se": _SqueezeHead,
    "tcn": _Tcn,
    "dense": _Dense,
    "ensemble": _Ensemble,
}
