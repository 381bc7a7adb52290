"""A detector for tests: a real network whose weights are set by hand, so that its phrase is a beep.

It fires within 160 ms of the end of a tone of 5 kHz, and at nothing else. Exporting it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from phonoloop.audio.features import FrontEnd
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.testing import sounds
from phonoloop.wakeword.export import Exported, Facts, export
from phonoloop.wakeword.frontend import LogMel, mel_filters
from phonoloop.wakeword.layers import Past, State, Streaming
from phonoloop.wakeword.model import Choice, WakeNet
from phonoloop.wakeword.model_config import ModelRecipe
from phonoloop.wakeword.trigger import TriggerSettings

BEEP_HZ = 5_000
BEEP_S = 0.4
_MELS = 40
_FRAMES = 8  # in a step
_FFT_SIZE = 512
_STEEPNESS, _MIDDLE = 4.0, 1.1


class BeepEnd(Streaming):
    """Features (B, 8 k, 40) to logits (B, k): how far the beep's band fell, and the others did not."""

    def __init__(self, front_end: FrontEnd, silence: float) -> None:
        super().__init__()
        self.silence = silence  # which a past of zeros stands for
        self.past = Past(_MELS, _FRAMES)
        self.state_shapes = self.past.state_shapes
        self.fall = nn.Conv1d(_MELS, 2, 2 * _FRAMES, stride=_FRAMES, bias=False)
        self.decide = nn.Conv1d(2, 1, 1)
        with torch.no_grad():
            self.fall.weight.copy_(_fall_weights(front_end))
            self.decide.weight.copy_(torch.tensor([_STEEPNESS, -_STEEPNESS]).reshape(1, 2, 1))
            self.decide.bias.fill_(-_STEEPNESS * _MIDDLE)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        seen, kept = self.past.step((x - self.silence).transpose(1, 2), state)
        return self.decide(self.fall(seen).relu()).squeeze(1), kept


def _fall_weights(front_end: FrontEnd) -> Tensor:
    """(2, 40, 16): the beep's band before and now, and all others."""
    bin_hz = CANONICAL_RATE_HZ / _FFT_SIZE
    beep = mel_filters(front_end, _FFT_SIZE)[:, round(BEEP_HZ / bin_hz)] > 0
    bands = np.stack([beep / beep.sum(), ~beep / (~beep).sum()])
    before_and_now = np.repeat([1.0, -1.0], _FRAMES) / _FRAMES
    return torch.from_numpy(bands[:, :, None] * before_and_now).float()


def beep_net() -> WakeNet:
    recipe = ModelRecipe(kind="bcresnet", front_end=FrontEnd(n_mels=_MELS))
    choice = Choice(recipe, None, "a network for tests")
    front = LogMel(recipe.front_end)
    return WakeNet(front, BeepEnd(recipe.front_end, front.silence), choice).eval()


def beep_facts(model_id: str = "beep-1", *, cooldown_s: float = 1.0) -> Facts:
    return Facts(
        model_id=model_id,
        phrase="beep",
        language="en",
        trigger=TriggerSettings(0.5, cooldown_s=cooldown_s),
        licences={"made here": "Apache-2.0"},
        provenance={"seed": 0},
    )


def export_beep_detector(folder: Path, facts: Facts | None = None) -> Exported:
    """For another one like it, `conclude` with other facts is quicker."""
    return export(beep_net(), folder, facts=facts or beep_facts(), audio=[with_beeps(8.0, [1.0, 4.0])])


def with_beeps(duration_s: float, starts_s: Sequence[float], *, seed: int = 0) -> np.ndarray:
    """Beeps over faint noise; each ends `BEEP_S` after its start."""
    samples = sounds.noise(duration_s, seed=seed, level_dbfs=-60.0)
    beep = sounds.tone(BEEP_HZ, BEEP_S, level_dbfs=-12.0)
    for start_s in starts_s:
        start = round(start_s * CANONICAL_RATE_HZ)
        samples[start : start + len(beep)] += beep[: len(samples) - start]
    return samples
