"""Parts that hear a stream: what they give does not depend on how it is cut into steps.

Every part has its past as explicit tensors, zeros at the beginning: `initial_state(batch)`, then
`step(x, state) -> (y, state)` any number of times. Many steps at once and one after the other give
the same, so a whole recording is one step from the initial state, and there is one definition for
training, files and streams.

Shapes: B streams, T frames, C channels, F frequency bands.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: float32 tensors, each (B, …)
State = tuple[Tensor, ...]
Shapes = tuple[tuple[int, ...], ...]


class Streaming(nn.Module):
    """Something with a past.

    Attributes:
        state_shapes: of the tensors of its state, without the batch.
    """

    state_shapes: Shapes = ()

    def initial_state(self, batch: int, device: torch.device | None = None) -> State:
        """What lies before the first sample: zeros."""
        return tuple(torch.zeros((batch, *shape), device=device) for shape in self.state_shapes)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The next piece; what comes out has as many frames as the piece is worth."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """A whole recording (B, …): one step from the initial state."""
        return self.step(x, self.initial_state(x.shape[0], x.device))[0]

    def each(self, x: Tensor) -> tuple[Tensor, ...]:
        """What is learned from a whole recording: `forward`, or of a `Mean` what its parts give."""
        return (self(x),)


class _Parts(Streaming):
    """Has the past of all its parts, one after the other."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    @property
    def state_shapes(self) -> Shapes:
        return tuple(itertools.chain.from_iterable(shapes_of(part) for part in self.parts))


class Chain(_Parts):
    """Parts one after the other; modules without a past may stand between."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        kept: State = ()
        for part in self.parts:
            if isinstance(part, Streaming):
                count = len(part.state_shapes)
                x, new = part.step(x, state[:count])
                state, kept = state[count:], kept + new
            else:
                x = part(x)
        return x, kept


class Mean(_Parts):
    """Streaming parts that hear the same side by side, and the mean of what they give (deep ensembles:
    Lakshminarayanan et al. 2017, arXiv 1612.01474). Each learns as if it were alone, see `each`."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        given: list[Tensor] = []
        kept: State = ()
        for part in self.parts:
            count = len(part.state_shapes)
            y, new = part.step(x, state[:count])
            state, kept = state[count:], kept + new
            given.append(y)
        return torch.stack(given).mean(0), kept

    def each(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part(x) for part in self.parts)


class Packed(Streaming):
    """Has all its past in one tensor (B, numbers): a runtime hands over one array instead of dozens."""

    def __init__(self, inner: Streaming) -> None:
        super().__init__()
        self.inner = inner
        self.sizes = [math.prod(shape) for shape in inner.state_shapes]

    @property
    def state_shapes(self) -> Shapes:
        return ((sum(self.sizes),),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, kept = self.inner.step(x, self.unpacked(state[0]))
        return y, (packed(kept),)

    def each(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.inner.each(x)

    def unpacked(self, state: Tensor) -> State:
        parts = torch.split(state, self.sizes, dim=1)
        return tuple(
            part.reshape(-1, *shape) for part, shape in zip(parts, self.inner.state_shapes, strict=True)
        )


def packed(state: State) -> Tensor:
    """(B, numbers): every tensor of a state, flattened, in order."""
    return torch.cat([part.flatten(1) for part in state], dim=1)


def shapes_of(part: nn.Module) -> Shapes:
    """Of its past; a module that is not `Streaming` has none."""
    return part.state_shapes if isinstance(part, Streaming) else ()


class Past(Streaming):
    """Puts the last frames before the new ones: (B, C, T) to (B, C, frames + T)."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.state_shapes = ((channels, frames),) if frames else ()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.frames:
            return x, ()
        seen = torch.cat([state[0], x], dim=2)
        return seen, (seen[:, :, -self.frames :],)


class CausalConv1d(Streaming):
    """A convolution over (B, C, T) that sees nothing ahead."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation, groups=groups, bias=bias)
        self.past = Past(inputs, (kernel - 1) * dilation)
        self.state_shapes = self.past.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        seen, kept = self.past.step(x, state)
        return self.conv(seen), kept


class CausalConv2d(Streaming):
    """A convolution over (B, C, F, T): nothing ahead in time; padded in frequency, strided in either.

    Args:
        kernel: (bands, frames).
        bands: how many come in; part of the state's shape.
        stride, time_stride: over bands and over frames; a step holds a multiple of the latter.
        padding: bands of zeros on either side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        *,
        bands: int,
        stride: int = 1,
        time_stride: int = 1,
        padding: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride=(stride, time_stride),
            padding=(padding, 0),
            groups=groups,
            bias=False,
        )
        self.frames = kernel[1] - time_stride
        self.state_shapes = ((inputs, bands, self.frames),) if self.frames else ()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.frames:
            return self.conv(x), ()
        seen = torch.cat([state[0], x], dim=3)
        return self.conv(seen), (seen[:, :, :, -self.frames :],)


class TrailingMean(Streaming):
    """Over the last `window` frames, at every frame: (B, C, T) to (B, C, T). Before the first are zeros."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.past = Past(channels, window - 1)
        self.state_shapes = self.past.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        seen, kept = self.past.step(x, state)
        return F.avg_pool1d(seen, self.window, stride=1), kept


class SubSpectralNorm(nn.Module):
    """Batch normalisation of each of `groups` parts of the frequency axis of (B, C, F, T) on its own.

    Chang et al. 2021, arXiv 2103.13620.
    """

    def __init__(self, channels: int, bands: int, groups: int) -> None:
        super().__init__()
        self.groups, self.bands = groups, bands
        self.norm = nn.BatchNorm2d(channels * groups)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            scale, shift = self.scale_and_shift()
            return x * scale + shift
        batch, channels, bands, frames = x.shape
        grouped = x.reshape(batch, channels * self.groups, bands // self.groups, frames)
        return self.norm(grouped).reshape(batch, channels, bands, frames)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What it does once trained, each (C, F, 1)."""
        norm = self.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        each = self.bands // self.groups
        return tuple(
            v.reshape(-1, self.groups).repeat_interleave(each, dim=1).unsqueeze(2) for v in (scale, shift)
        )
