"""Toy speech for wake words: every letter is a pair of tones, every voice shifts them. Learned in seconds."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.testing.sounds import noise, write_wav

PHRASE = "moka"
OTHERS = ("lira", "tuso", "banel", "fidos", "regu", "sati")
_LETTER_S = 0.09


@dataclass(frozen=True)
class ToneSynthesizer:
    """A `VoicedSynthesizer` and a `Phonemiser`: letters are phonemes."""

    name: str = "tones"
    count: int = 24

    def voices(self, language: str) -> list[str]:
        return [f"{language}+v{number}" for number in range(self.count)]

    def languages(self) -> list[str]:
        return ["en"]

    def phonemise(self, text: str, language: str) -> list[tuple[str, ...]]:
        return [tuple(ch for ch in word.lower() if ch.isalpha()) for word in text.split()]

    def phonemise_all(self, texts: Sequence[str], language: str) -> list[list[tuple[str, ...]]]:
        return [self.phonemise(text, language) for text in texts]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        shift = 0.8 + 0.4 * (zlib.crc32(voice.encode()) % 1000) / 1000
        return say(text, shift=shift * pitch, speed=speed)


def say(text: str, *, shift: float = 1.0, speed: float = 1.0) -> np.ndarray:
    """float32 (n,): the letters of a text, one after the other."""
    time_s = np.arange(round(_LETTER_S / speed * CANONICAL_RATE_HZ)) / CANONICAL_RATE_HZ
    shape = 0.3 * np.hanning(len(time_s)) ** 0.5
    letters = [_letter(ch, time_s, shift) * shape for ch in text.lower() if ch.isalpha()]
    return np.concatenate(letters or [np.zeros(1)]).astype(np.float32)


def _letter(ch: str, time_s: np.ndarray, shift: float) -> np.ndarray:
    at = ord(ch) % 32
    low_hz, high_hz = 250 + 37 * at, 900 + 211 * (at * 7 % 13)
    return np.sin(2 * np.pi * low_hz * shift * time_s) + np.sin(2 * np.pi * high_hz * shift * time_s)


def recording(text: str, *, shift: float = 1.0, seed: int = 0) -> np.ndarray:
    """A text with half a second of faint noise before and after it: float32 (n,)."""
    spoken = say(text, shift=shift)
    room = noise(1.0 + len(spoken) / CANONICAL_RATE_HZ, seed=seed, level_dbfs=-65.0)
    room[8_000 : 8_000 + len(spoken)] += spoken[: len(room) - 8_000]
    return room


@dataclass(frozen=True)
class Folders:
    """What a training is given."""

    positives: Path
    negatives: Path
    noise: Path


def make_folders(folder: Path, *, positives: int = 40, negatives: int = 60, speakers: int = 10) -> Folders:
    """Clips of toy speech, the same each time; who speaks is said in labels.json."""
    made = Folders(folder / "phrase", folder / "other", folder / "noise")
    _write(made.positives, [PHRASE] * positives, speakers)
    _write(made.negatives, [OTHERS[i % len(OTHERS)] for i in range(negatives)], speakers)
    made.noise.mkdir(parents=True, exist_ok=True)
    for i in range(8):
        write_wav(made.noise / f"{i:02d}.wav", noise(4.0, seed=100 + i, level_dbfs=-35.0))
    return made


def _write(folder: Path, texts: Sequence[str], speakers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = {}
    for i, text in enumerate(texts):
        who = i % speakers
        name = f"{i:03d}.wav"
        write_wav(folder / name, recording(text, shift=0.8 + 0.4 * who / speakers, seed=i))
        labels[name] = {"speaker": f"speaker {who}"}
    (folder / "labels.json").write_text(json.dumps(labels))
