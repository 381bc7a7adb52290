"""What passes between the parts that hear and the parts that speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch [start, end) of integer samples."""

    start: int
    end: int

    @property
    def samples(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Word:
    """`confidence`: 0 to 1; None where the recogniser gives none."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """`confidence`: 0 to 1; None where the recogniser gives none."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the readings of an n-best list.

    Attributes:
        score: what it was ranked by, a natural logarithm; only differences mean something.
        acoustic: the part of it that the audio gives.
        language: log10 of the words by the language model; 0 without one.
    """

    text: str
    score: float
    acoustic: float
    language: float


@dataclass(frozen=True, slots=True)
class Transcription:
    """What a recogniser heard in one stretch of audio; times count from its start.

    Attributes:
        confidence: 0 to 1, the recogniser's own estimate; None where it gives none.
        calibrated: the confidences were fitted to how often words are right.
        alternatives: the best readings, best first, where an n-best list was asked for.
        model_version: the id of the model, with its kind (`asr-20261120-101500`, `faster-whisper:small`).
    """

    text: str
    confidence: float | None = None
    segments: Sequence[Segment] = field(default_factory=tuple)
    words: Sequence[Word] = field(default_factory=tuple)
    language: str = ""
    model_version: str = ""
    calibrated: bool = False
    alternatives: Sequence[Alternative] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Detection:
    """A wake word that was heard.

    Attributes:
        model: the id of the model that heard it.
        at_s: when it was sure, in seconds of audio since the stream began.
        score: 0 to 1, what crossed the model's threshold.
    """

    model: str
    at_s: float
    score: float


class Transcriber(Protocol):
    """Hears. `samples`: float32 mono in [-1, 1] at 16,000 Hz."""

    model_version: str

    def transcribe(self, samples: np.ndarray) -> Transcription: ...


class SpeechDetector(Protocol):
    """Finds where somebody speaks. `samples`: float32 mono in [-1, 1] at 16,000 Hz."""

    def speech_spans(self, samples: np.ndarray) -> list[Span]: ...


class WakeDetector(Protocol):
    """Hears wake words in audio as it comes. `samples`: float32 mono in [-1, 1] at 16,000 Hz, any length."""

    def push(self, samples: np.ndarray) -> list[Detection]:
        """Hears more of the stream; gives what was detected in it, in the order of time."""
        ...

    def reset(self) -> None:
        """Forgets what was heard: the next samples begin a new stream, at 0 s."""
        ...


class Synthesizer(Protocol):
    """Speaks. Voices are named by the synthesiser; a voice's speech has one sample rate."""

    def voices(self, language: str) -> list[str]: ...

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """float32 mono in [-1, 1] at 16,000 Hz; speed and pitch are factors of the voice's own."""
        ...


class Phonemiser(Protocol):
    """Says how text sounds, in any language it has."""

    def languages(self) -> list[str]: ...

    def phonemise(self, text: str, language: str) -> list[tuple[str, ...]]:
        """The phonemes of each word, in the International Phonetic Alphabet, without stress."""
        ...
