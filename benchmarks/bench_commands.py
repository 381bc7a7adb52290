"""Vietnamese words and phrases over the telephone, real people: phrase error on the last third of each.

    PHONOLOOP_REAL_DATA=… python benchmarks/bench_commands.py [--threads 2] [--epochs N]

The files of each phrase, sorted by name, are cut after the first two thirds: those are trained on, the
others are heard. Who speaks is not known, so speakers may be on both sides. The clips are words in
two seconds of silence: the product's own speech detector cuts both kinds to where somebody speaks.
A phrase is right when every word of it is, and nothing else was heard.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from real_data import Heard, folder_or_skip, machine, row, train_and_hear

from phonoloop.asr.audio_files import read_samples
from phonoloop.asr.config import load_recipe
from phonoloop.audio.vad import EnergyDetector
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.data.manifest import ManifestRow

BAR = 0.02
RECIPE = "commands"
MARGIN = CANONICAL_RATE_HZ // 10


def split(folder: Path) -> tuple[list[ManifestRow], list[ManifestRow]]:
    """(first two thirds, last third) of each phrase's files in the order of their names."""
    phrases: dict[str, list[ManifestRow]] = {}
    detector = EnergyDetector()
    for path in sorted(folder.glob("*.flac")):
        text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        phrases.setdefault(text, []).append(where_spoken(row(path, text, ""), detector))
    kept = {text: len(rows) - len(rows) // 3 for text, rows in phrases.items()}
    train = [r for text, rows in phrases.items() for r in rows[: kept[text]]]
    test = [r for text, rows in phrases.items() for r in rows[kept[text] :]]
    return train, test


def where_spoken(whole: ManifestRow, detector: EnergyDetector) -> ManifestRow:
    """From 0.1 s before the first speech to 0.1 s after the last; the whole clip where there is none."""
    samples = read_samples(Path(whole.audio_filepath))
    spans = detector.speech_spans(samples)
    if not spans:
        return whole
    start, end = max(0, spans[0].start - MARGIN), min(len(samples), spans[-1].end + MARGIN)
    return replace(whole, offset=start / CANONICAL_RATE_HZ, duration=(end - start) / CANONICAL_RATE_HZ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=0, help="instead of the recipe's")
    arguments = parser.parse_args()
    train_rows, test_rows = split(folder_or_skip("vi_commands", "commands"))
    recipe = replace(load_recipe(RECIPE), device="cpu", threads=arguments.threads)
    if arguments.epochs:
        recipe = replace(recipe, epochs=arguments.epochs)
    heard = train_and_hear(recipe, train_rows, test_rows)
    print(json.dumps(report(heard, len(train_rows), arguments.threads), ensure_ascii=False))


def report(heard: Heard, train_clips: int, threads: int) -> dict:
    return {
        "bench": "commands",
        "phrase_error": round(heard.error, 4),
        "bar": BAR,
        "reached": heard.error <= BAR,
        "errors": heard.errors,
        "clips": len(heard.pairs),
        "confusions": heard.confusions(),
        "train_s": round(heard.train_s),
        "cpu_s": round(heard.cpu_s),
        "measured_on": {
            "data": "vi_commands: 8 words and phrases, telephone, last third of each held out",
            "speakers": "unknown, perhaps the same on both sides",
            "trained_on": f"the first two thirds, {train_clips} clips, {heard.train_hours:.2f} h",
            "decoding": "greedy",
            "recipe": RECIPE,
            "parameters": heard.parameters,
            "steps": heard.steps,
            "threads": threads,
            **machine(),
        },
    }


if __name__ == "__main__":
    main()
