"""Spoken English digits of four people, each tested on a model that never heard them.

    PHONOLOOP_REAL_DATA=… python benchmarks/bench_digits.py [--threads 2] [--epochs N] [--speakers NAME…]

Each model is trained on the recordings of the other three and on digits spoken by espeak-ng in many
voices. The recipe is the same for all four and fixed before: nothing of the person left out is looked
at, for training or for stopping. A clip is right when exactly its digit was heard, as a word.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from real_data import Heard, folder_or_skip, machine, row, train_and_hear

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.asr.config import AsrRecipe, load_recipe
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.data.manifest import ManifestRow

BAR = 0.15
RECIPE = "digits"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SYNTHETIC_A_WORD = 150
SOURCE_RATE_HZ = 8_000
# no letters of our own script, no whispering and no robots
UNLIKE_PEOPLE = ("shaw", "whisper", "obo", "croak", "Demonic", "Ricishay", "AnxiousAndy")


def real_rows(folder: Path, speaker: str) -> list[ManifestRow]:
    paths = sorted((folder / speaker).glob("*.flac"))
    return [row(path, WORDS[int(path.name[0])], speaker) for path in paths]


def synthetic_rows(folder: Path) -> list[ManifestRow]:
    """Each word in so many voices, at other tempos and pitches, at the rate of the real recordings."""
    espeak, rng = EspeakSynthesizer(), np.random.default_rng(0)
    voices = [v for v in espeak.voices("en") if not any(name in v for name in UNLIKE_PEOPLE)]
    rows = []
    for word in WORDS:
        for index in rng.choice(len(voices), SYNTHETIC_A_WORD, replace=False):
            speech = espeak.synthesize(
                word, voice=voices[index], speed=rng.uniform(0.7, 1.3), pitch=rng.uniform(0.8, 1.25)
            )
            path = folder / f"{word}-{index}.wav"
            narrow = soxr.resample(trimmed(speech), CANONICAL_RATE_HZ, SOURCE_RATE_HZ)
            soundfile.write(path, np.clip(0.8 * narrow, -1, 1), SOURCE_RATE_HZ)
            rows.append(row(path, word, f"espeak {voices[index]}"))
    return rows


def trimmed(speech: np.ndarray) -> np.ndarray:
    """Without the silence before and after."""
    loud = np.flatnonzero(np.abs(speech) > 0.005 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


def leave_out(
    speaker: str, real: dict[str, list[ManifestRow]], synthetic: Sequence[ManifestRow], recipe: AsrRecipe
) -> Heard:
    others = [r for name, rows in real.items() if name != speaker for r in rows]
    return train_and_hear(recipe, [*others, *synthetic], real[speaker])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=0, help="instead of the recipe's")
    parser.add_argument("--speakers", nargs="*", help="leave out only these, one after the other")
    arguments = parser.parse_args()
    folder = folder_or_skip("digits", "digits")
    real = {path.name: real_rows(folder, path.name) for path in sorted(folder.iterdir()) if path.is_dir()}
    recipe = replace(load_recipe(RECIPE), device="cpu", threads=arguments.threads)
    if arguments.epochs:
        recipe = replace(recipe, epochs=arguments.epochs)
    with tempfile.TemporaryDirectory() as place:
        synthetic = synthetic_rows(Path(place))
        heard = {name: leave_out(name, real, synthetic, recipe) for name in arguments.speakers or real}
    print(json.dumps(report(heard, synthetic, arguments.threads)))


def report(heard: dict[str, Heard], synthetic: Sequence[ManifestRow], threads: int) -> dict:
    mean = float(np.mean([one.error for one in heard.values()]))
    any_one = next(iter(heard.values()))
    return {
        "bench": "digits",
        "mean_digit_error": round(mean, 4),
        "bar": BAR,
        "reached": mean <= BAR,
        "digit_error": {name: round(one.error, 4) for name, one in heard.items()},
        "confusions": {name: one.confusions() for name, one in heard.items()},
        "train_s": round(sum(one.train_s for one in heard.values())),
        "cpu_s": round(sum(one.cpu_s for one in heard.values())),
        "measured_on": {
            "data": "digits: Free Spoken Digit Dataset, four men, 500 clips each, 8 kHz",
            "clips": {name: len(one.pairs) for name, one in heard.items()},
            "trained_on": f"the others' recordings and {len(synthetic)} clips by espeak-ng",
            "decoding": "greedy, over tokens learned from the training texts",
            "recipe": RECIPE,
            "parameters": any_one.parameters,
            "steps": any_one.steps,
            "threads": threads,
            **machine(),
        },
    }


if __name__ == "__main__":
    main()
