"""A toy language of tones: four letters, each a pitch, spoken by two speakers. Learned in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from phonoloop.asr.config import AsrRecipe, recipe_from_dict
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.data.manifest import ManifestRow

TONES_HZ = {"a": 440, "b": 880, "c": 1500, "d": 2600}


def speak(text: str, rng: np.random.Generator) -> np.ndarray:
    """0.3 s a letter: 0.2 s of its tone, then a pause."""
    time_s = np.arange(3200) / CANONICAL_RATE_HZ
    letters = [np.r_[0.3 * np.sin(2 * np.pi * TONES_HZ[ch] * time_s), np.zeros(1600)] for ch in text]
    samples = np.concatenate(letters)
    return (samples + 0.01 * rng.standard_normal(len(samples))).astype(np.float32)


@dataclass(frozen=True)
class Corpus:
    """Clips in a folder, three quarters of them to train on."""

    folder: Path
    rows: list[ManifestRow]

    @property
    def train(self) -> list[ManifestRow]:
        return self.rows[: len(self.rows) * 3 // 4]

    @property
    def val(self) -> list[ManifestRow]:
        return self.rows[len(self.rows) * 3 // 4 :]


def make_corpus(folder: Path, clips: int) -> Corpus:
    """So many clips of 2 to 7 letters, the same each time."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(clips):
        text = "".join(rng.choice(list(TONES_HZ), rng.integers(2, 8)))
        samples = speak(text, rng)
        soundfile.write(folder / f"{i:03d}.wav", samples, CANONICAL_RATE_HZ)
        rows.append(ManifestRow(f"{i:03d}.wav", text, len(samples) / CANONICAL_RATE_HZ, f"s{i % 2}"))
    return Corpus(folder, rows)


def tiny_recipe(**changes: object) -> AsrRecipe:
    """Trains in about a second; sections given are merged over these."""
    body: dict = {
        "name": "tiny",
        "seed": 3,
        "epochs": 2,
        "device": "cpu",
        "tokenizer": {"cover": ""},
        "model": {
            "d_model": 16,
            "layers": 1,
            "heads": 2,
            "ff_factor": 2,
            "conv_kernel": 5,
            "conv_channels": 4,
        },
        "batch": {"seconds": 10.0, "prefetch": 1},
        "optim": {"precision": "fp32"},
        "stream": {"chunks_ms": [160, 320], "left_ms": 640, "serve_chunk_ms": 160},
        "keep": {"average": 2, "checkpoint_steps": 2},
    }
    for name, value in changes.items():
        body[name] = body.get(name, {}) | value if isinstance(value, dict) else value
    return recipe_from_dict(body)
