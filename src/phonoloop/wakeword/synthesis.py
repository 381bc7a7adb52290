"""Phrases in many voices, for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phonoloop.core.speech import Synthesizer


class VoicedSynthesizer(Synthesizer, Protocol):
    """A `Synthesizer` with a name, the first part of the names of its voices: `espeak-ng`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """An utterance.

    Attributes:
        voice: with its synthesiser, as in `espeak-ng:en-us+f3`.
        language: of the text.
        speed, pitch: factors of the voice's own.
        samples: (n,) float32 in [-1, 1] at 16,000 Hz; speech begins and ends within 20 ms of the ends.
    """

    text: str
    voice: str
    language: str
    speed: float
    pitch: float
    samples: np.ndarray
