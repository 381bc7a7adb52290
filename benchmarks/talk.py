"""Talk of minutes, synthesised, of which it is known where somebody speaks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.app.demo.grammar import load_grammar
from phonoloop.testing.sounds import at_level
from phonoloop.voice.data import RATE_HZ

SPEECH_DBFS = -23.0
VOICE = "vi-vn-x-south+f2"
#: a frame counts as speech when it is at most so far below the loudest one, before any noise is added
_RANGE_DB = 45.0
_FRAME = 110  # 5 ms
#: shorter gaps belong to the words: the closures of p, t, k
_CLOSURE_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """float32 (n,) at 22,050 Hz, and bool (n,): where somebody speaks."""

    samples: np.ndarray
    spoken: np.ndarray


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody talks: factors of the voice's own speed, clauses a sentence, pauses between sentences."""

    speeds: tuple[float, float] = (0.85, 1.15)
    clauses: tuple[int, int] = (1, 4)
    pauses_s: tuple[float, float] = (0.2, 1.2)
    #: of the pauses, one in so many lasts 2 to 5 s
    long_in: int = 15


CALM = Manner()
#: no pause is longer than 0.4 s
FAST = Manner(speeds=(0.9, 1.3), clauses=(1, 4), pauses_s=(0.1, 0.4), long_in=10_000)


def talk(duration_s: float, manner: Manner = CALM, *, seed: int = 0) -> Talk:
    """One speaker, sentence after sentence; what is between them is digital silence, and inside a sentence
    what the synthesiser makes of a comma."""
    wanted = round(duration_s * RATE_HZ)
    parts: list[np.ndarray] = []
    done = 0
    for part in _parts(manner, np.random.default_rng(seed)):
        parts.append(part)
        done += part.size
        if done >= wanted:
            break
    samples = np.concatenate(parts)[:wanted]
    return Talk(samples, spoken(samples))


def _parts(manner: Manner, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A sentence, a pause, without end."""
    grammar = load_grammar()
    with EspeakSynthesizer() as espeak:
        while True:
            count = rng.integers(manner.clauses[0], manner.clauses[1] + 1)
            text = ", ".join(grammar.sentence(rng) for _ in range(count))
            said = espeak.synthesize(text, voice=VOICE, speed=float(rng.uniform(*manner.speeds)))
            level_dbfs = SPEECH_DBFS + rng.uniform(-3, 3)
            yield at_level(_trimmed(soxr.resample(said, 16_000, RATE_HZ)), level_dbfs)
            is_long = rng.random() < 1 / manner.long_in
            pause_s = rng.uniform(2, 5) if is_long else rng.uniform(*manner.pauses_s)
            yield np.zeros(round(pause_s * RATE_HZ), np.float32)


def _trimmed(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 1e-4)
    return samples[loud[0] : loud[-1] + 1]


def spoken(clean: np.ndarray) -> np.ndarray:
    """bool (n,) of samples without noise."""
    frames = clean[: clean.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = powers > powers.max() * 10 ** (-_RANGE_DB / 10)
    at = np.flatnonzero(loud)
    for a, b in itertools.pairwise(at):
        if b - a <= _CLOSURE_S * RATE_HZ / _FRAME:
            loud[a:b] = True
    return np.pad(np.repeat(loud, _FRAME), (0, clean.size - loud.size * _FRAME))


def with_rising_noise(
    talk_samples: np.ndarray, *, first_dbfs: float, last_dbfs: float, seed: int
) -> np.ndarray:
    """White noise under it whose level rises from beginning to end."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(talk_samples.size, dtype=np.float32)
    return talk_samples + noise * 10 ** (
        np.linspace(first_dbfs, last_dbfs, noise.size, dtype=np.float32) / 20
    )
