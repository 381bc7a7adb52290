"""Recognising a 10 min recording with the small model on one core, features included.

The weights are untrained: they decide what is heard, not how long it takes.

    python benchmarks/bench_recognise.py [--minutes 10] [--repetitions 3] [--recipe small]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np


def make_model(recipe_name: str, folder: Path) -> Path:
    """An exported model with random weights, made in a child process so that torch is not in this one."""
    import subprocess
    import sys

    subprocess.run([sys.executable, __file__, "--make", recipe_name, str(folder)], check=True)
    return folder / "model"


def write_model(recipe_name: str, folder: Path) -> None:
    import torch
    import yaml

    from phonoloop.asr.config import load_recipe, recipe_to_dict
    from phonoloop.asr.export import export
    from phonoloop.asr.model import CtcModel
    from phonoloop.text.tokens import CharTokenizer, save_tokenizer
    from phonoloop.training.checkpoint import save_weights

    recipe, tokenizer = load_recipe(recipe_name), CharTokenizer.train([], cover="vi")
    torch.manual_seed(0)
    model = CtcModel(recipe.model, n_mels=recipe.front_end.n_mels, vocab_size=tokenizer.vocab_size)
    run = folder / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe_to_dict(recipe)))
    save_tokenizer(tokenizer, run / "tokenizer.json")
    save_weights(run / "model.pt", model.state_dict())
    export(run, folder / "model")


def measure(model: Path, minutes: float, repetitions: int) -> dict:
    from phonoloop.asr.infer import Recogniser

    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(int(minutes * 60 * 16_000))).astype(np.float32)
    recogniser = Recogniser.load(model, threads=1)
    recogniser.transcribe(samples[: 30 * 16_000])
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    walls_s, cpus_s = zip(*(timed(recogniser, samples) for _ in range(repetitions)), strict=True)
    return {
        "bench": "recognise",
        "times_real_time": round(minutes * 60 / statistics.median(walls_s), 1),
        "times_real_time_cpu": round(minutes * 60 / statistics.median(cpus_s), 1),
        "memory_growth_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb),
        "measured_on": {
            "audio_s": round(minutes * 60),
            "parameters": recogniser.metadata["parameters"],
            "features": "included",
            "decoding": "greedy",
            "threads": 1,
            "repetitions": repetitions,
            "machine": platform.machine(),
        },
    }


def timed(recogniser, samples: np.ndarray) -> tuple[float, float]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    recogniser.transcribe(samples)
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--make", nargs=2, metavar=("RECIPE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        write_model(arguments.make[0], Path(arguments.make[1]))
        return
    if hasattr(os, "sched_setaffinity"):  # one core, whatever libraries think
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(arguments.recipe, Path(folder))
        print(json.dumps(measure(model, arguments.minutes, arguments.repetitions)))


if __name__ == "__main__":
    main()
