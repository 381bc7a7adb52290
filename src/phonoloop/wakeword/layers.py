"""Parts that hear a stream: what they give does not depend on how it is cut into steps.

Every part has its past as explicit tensors, zeros at the beginning: `initial_state(batch)`, then
`step(x, state) -> (y, state)` any number of times. Many steps at once and one after the other give
the same, so a whole recording is one step from the initial state, and there is one definition for
training, files and streams.

Shapes: B streams, T frames, C channels, F frequency bands.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: float32 tensors, each (B, …)
State = tuple[Tensor, ...]


class Streaming(nn.Module):
    """Something with a past.

    Attributes:
        state_shapes: of the tensors of its state, without the batch.
    """

    state_shapes: tuple[tuple[int, ...], ...] = ()

    def initial_state(self, batch: int, device: torch.device | None = None) -> State:
        """What lies before the first sample: zeros."""
        return tuple(torch.zeros((batch, *shape), device=device) for shape in self.state_shapes)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The next piece; what comes out has as many frames as the piece is worth."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """A whole recording (B, …): one step from the initial state."""
        return self.step(x, self.initial_state(x.shape[0], x.device))[0]
