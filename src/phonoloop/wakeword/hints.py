"""What a student decides by is to tell what its teacher heard: richer than a score, for training only.

Romero et al. 2015, "FitNets: hints for thin deep nets" (arXiv 1412.6550).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from phonoloop.training.seeds import seed_torch
from phonoloop.wakeword.bcresnet import BcResNet
from phonoloop.wakeword.features import Pool

#: of a strip, in which the teacher has heard mostly what lies before it: nothing
_FIRST_STEPS = 4
#: of each pool, to see how large vectors are
_MEASURED_STRIPS = 100


class Hints(nn.Module):
    """Guesses a teacher's vectors (B, S, F) from a student's frames (B, C, rate · S) by a line.

    Args:
        mean, std: (F,) of the teacher's vectors.
    """

    def __init__(self, channels: int, rate: int, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.guess = nn.Conv1d(channels, len(mean), rate, stride=rate)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std.clamp(min=1e-3))

    def loss(self, frames: Tensor, vectors: Tensor) -> Tensor:
        """The mean squared error in standard deviations, a scalar."""
        wanted = (vectors - self.mean) / self.std
        guessed = self.guess(frames).transpose(1, 2)
        return (guessed - wanted)[:, _FIRST_STEPS:].square().mean()


def hints_for(student: BcResNet, shown: Sequence[Pool], seed: int) -> Hints:
    """Fresh ones, the same for a seed.

    Args:
        shown: strips in the teacher's vectors.
    """
    some = [pool.take(range(0, len(pool), max(1, len(pool) // _MEASURED_STRIPS))) for pool in shown]
    vectors = torch.from_numpy(np.concatenate(some)).flatten(0, 1).double()
    seed_torch(seed, "hints", 0)
    return Hints(
        student.frame_channels, student.frames_a_step, vectors.mean(0).float(), vectors.std(0).float()
    )
