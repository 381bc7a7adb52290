"""Music for tests: made from a seed, the same on every machine; float32 mono in [-1, 1].

pads     chords that swell and hold
plucked  chords broken into notes that die away, like a guitar or a piano
melody   one voice with vibrato
drums    bass drum, snare and hi-hat, no pitch
band     drums, a bass and plucked chords
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.testing.sounds import at_level

#: semitones over the root of the key: I, V, vi, IV and others that follow each other
_CHORDS = ((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12), (2, 5, 9), (4, 7, 11))
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)
_BEATS_A_CHORD = 4
_HARMONICS = 8


class _Score:
    """Sounds added up along a line of time."""

    def __init__(self, seed: int, samples: int, rate_hz: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rate_hz = rate_hz
        self.beat_s = 60 / self.rng.uniform(80, 140)
        self.root_hz = 110 * 2 ** (self.rng.integers(0, 12) / 12)
        self.duration_s = samples / rate_hz
        self.line = np.zeros(samples, np.float32)

    def add(self, at_s: float, sound: np.ndarray) -> None:
        start = round(at_s * self.rate_hz)
        part = sound[: max(0, self.line.size - start)]
        self.line[start : start + part.size] += part

    def beats(self, every: float = 1.0) -> np.ndarray:
        """When they fall, in seconds."""
        return np.arange(0, self.duration_s, every * self.beat_s)

    def chords(self) -> list[tuple[float, tuple[int, ...]]]:
        """When each begins, and its notes in semitones over the root."""
        starts = self.beats(_BEATS_A_CHORD)
        return [(at_s, _CHORDS[self.rng.integers(len(_CHORDS))]) for at_s in starts]

    def note(self, semitones: float, length_s: float, *, decay_s: float, vibrato: float = 0.0) -> np.ndarray:
        """Harmonics that fall off; `decay_s` 0 swells and holds instead of dying away."""
        time_s = np.arange(round(length_s * self.rate_hz)) / self.rate_hz
        pitch_hz = self.root_hz * 2 ** (semitones / 12) * (1 + vibrato * np.sin(2 * np.pi * 5.5 * time_s))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / self.rate_hz
        heights = [k for k in range(1, _HARMONICS + 1) if k * pitch_hz.max() < self.rate_hz / 2]
        tone = sum(np.sin(k * phase) / k**1.3 for k in heights)
        rise = np.minimum(1, time_s / (0.2 if decay_s == 0 else 0.005))
        fall = np.minimum(1, (length_s - time_s) / 0.05) * (np.exp(-time_s / decay_s) if decay_s else 1)
        return (tone * rise * fall).astype(np.float32)


def music(
    style: str,
    duration_s: float,
    *,
    seed: int = 0,
    rate_hz: int = CANONICAL_RATE_HZ,
    level_dbfs: float = -23.0,
) -> np.ndarray:
    """float32 (n,). `style`: one of `STYLES`."""
    score = _Score(seed, round(duration_s * rate_hz), rate_hz)
    for part in STYLES[style]:
        part(score)
    return at_level(score.line, level_dbfs)


def _pads(score: _Score) -> None:
    for at_s, notes in score.chords():
        for semitones in notes:
            score.add(at_s, score.note(semitones + 12, _BEATS_A_CHORD * score.beat_s, decay_s=0))


def _plucked(score: _Score) -> None:
    for at_s, notes in score.chords():
        for step in range(2 * _BEATS_A_CHORD):
            note = score.note(notes[step % 3] + 12, 1.5, decay_s=0.5)
            score.add(at_s + step * score.beat_s / 2, note)


def _melody(score: _Score) -> None:
    at_s = 0.0
    while at_s < score.duration_s:
        length_s = score.beat_s * score.rng.choice((0.5, 1, 1, 2))
        semitones = _SCALE[score.rng.integers(len(_SCALE))] + 24
        score.add(at_s, score.note(semitones, length_s, decay_s=0, vibrato=0.008))
        at_s += length_s


def _bass(score: _Score) -> None:
    for at_s, notes in score.chords():
        for beat in range(_BEATS_A_CHORD):
            score.add(at_s + beat * score.beat_s, score.note(notes[0] - 12, score.beat_s, decay_s=0.4))


def _drums(score: _Score) -> None:
    for at_s in score.beats(2):
        score.add(at_s, _bass_drum(score))
    for at_s in score.beats(2):
        score.add(at_s + score.beat_s, 0.6 * _hiss(score, 0.2, 0.05))
    for at_s in score.beats(0.5):
        score.add(
            at_s, 0.25 * np.diff(_hiss(score, 0.08, 0.02), prepend=0)
        )  # the difference leaves the highs


def _bass_drum(score: _Score) -> np.ndarray:
    time_s = np.arange(round(0.3 * score.rate_hz)) / score.rate_hz
    phase = 2 * np.pi * np.cumsum(50 + 80 * np.exp(-time_s / 0.03)) / score.rate_hz
    return (2 * np.sin(phase) * np.exp(-time_s / 0.1)).astype(np.float32)


def _hiss(score: _Score, length_s: float, decay_s: float) -> np.ndarray:
    time_s = np.arange(round(length_s * score.rate_hz)) / score.rate_hz
    return (score.rng.standard_normal(time_s.size) * np.exp(-time_s / decay_s)).astype(np.float32)


STYLES: dict[str, tuple[Callable[[_Score], None], ...]] = {
    "pads": (_pads,),
    "plucked": (_plucked,),
    "melody": (_melody,),
    "drums": (_drums,),
    "band": (_drums, _bass, _plucked),
}
