"""What a detector costs: CPU milliseconds per second of audio on one core, beside openWakeWord's.

    python benchmarks/bench_wakeword_cpu.py [--rounds N] [--model DIR …]

All of them hear the same minute, 80 ms at a time as from a microphone, in turns, round after round;
medians over the rounds. What weights a network has does not change what it costs, so ours are the fresh
networks of the recipes; with --model, those of exported detectors. openWakeWord runs its own "alexa" model.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from real_data import machine

from phonoloop.audio.wav import to_int16
from phonoloop.testing import sounds
from phonoloop.wakeword.config import load_recipe
from phonoloop.wakeword.embedding import find_speech_embedding
from phonoloop.wakeword.export import Facts, export
from phonoloop.wakeword.infer import Detector, WakeModel
from phonoloop.wakeword.model import build_model

BAR_MS = 5.0
STEP = 1_280
#: what is measured → the recipe whose network it is
RECIPES = {
    "embedding": "default",
    "bcresnet": "bcresnet",
    "matchboxnet": "matchboxnet",
    "marblenet": "marblenet",
}
#: hears the whole audio, from the start
Contender = Callable[[], None]


def audio_of(duration_s: float) -> np.ndarray:
    """Speech-like sounds with pauses, over noise."""
    speech = sounds.speech_like(duration_s, seed=1).samples
    return speech + sounds.noise(duration_s, level_dbfs=-45.0)


def in_chunks(audio: np.ndarray) -> Iterator[np.ndarray]:
    return (audio[start : start + STEP] for start in range(0, len(audio) - STEP + 1, STEP))


def detector_of(model: WakeModel, audio: np.ndarray) -> Contender:
    detector = Detector(model)

    def hear() -> None:
        detector.reset()
        for chunk in in_chunks(audio):
            detector.push(chunk)

    return hear


def openwakeword_of(audio: np.ndarray) -> Contender | None:
    """None where it is not installed."""
    try:
        import openwakeword
    except ImportError:
        return None
    folder = Path(openwakeword.__file__).parent / "resources" / "models"
    logging.disable(logging.WARNING)
    model = openwakeword.Model(wakeword_model_paths=[str(folder / "alexa_v0.1.onnx")])
    pcm = to_int16(audio)

    def hear() -> None:
        for chunk in in_chunks(pcm):
            model.predict(chunk)

    return hear


def fresh_models(folder: Path, audio: np.ndarray) -> Iterator[tuple[str, Path]]:
    """(kind, an export of it); the embedding only where its files are."""
    for kind, recipe in RECIPES.items():
        if kind == "embedding" and find_speech_embedding() is None:
            continue
        print(f"exporting {kind} …", file=sys.stderr, flush=True)
        model = build_model(load_recipe(recipe).model)
        facts = Facts(model_id=kind, phrase="none", language="en")
        yield kind, export(model, folder / kind, facts=facts, audio=[audio]).folder


def contenders(folders: list[tuple[str, Path]], audio: np.ndarray) -> dict[str, Contender]:
    found: dict[str, Contender] = {}
    for name, folder in folders:
        found[name] = detector_of(WakeModel.load(folder), audio)
        found[f"{name} int8"] = detector_of(WakeModel.load(folder, int8=True), audio)
    peer = openwakeword_of(audio)
    return found if peer is None else found | {"openWakeWord": peer}


def measure(hear: Contender) -> float:
    began_s = time.process_time()
    hear()
    return time.process_time() - began_s


def in_turns(found: dict[str, Contender], *, rounds: int, audio_s: float) -> dict[str, dict[str, float]]:
    """CPU ms per second of audio of each: the median round, the best and the worst."""
    for hear in found.values():
        hear()  # what is only done once is not what it costs
    taken: dict[str, list[float]] = {name: [] for name in found}
    for i in range(rounds):
        print(f"round {i + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, hear in found.items():
            taken[name].append(1000 * measure(hear) / audio_s)
    return {
        name: {
            "median": round(statistics.median(all_ms), 2),
            "least": round(min(all_ms), 2),
            "most": round(max(all_ms), 2),
        }
        for name, all_ms in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", action="append", default=[], help="an exported detector")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    audio = audio_of(arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        given = [(WakeModel.load(Path(one)).model_id, Path(one)) for one in arguments.model]
        folders = given or list(fresh_models(Path(folder), audio))
        found = contenders(folders, audio)
        figures = in_turns(found, rounds=arguments.rounds, audio_s=arguments.seconds)
    ours = {name: one["median"] for name, one in figures.items() if name != "openWakeWord"}
    report = {
        "bench": "wakeword_cpu",
        "cpu_ms_per_s": figures,
        "bar_ms": BAR_MS,
        "within_bar": all(ms <= BAR_MS for ms in ours.values()),
        "on": f"{arguments.seconds:g} s of made speech over noise, in chunks of 80 ms, one core, "
        f"{arguments.rounds} rounds in turns",
        "weights": "given" if given else "fresh",
        "onnxruntime": onnxruntime.__version__,
        **machine(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
