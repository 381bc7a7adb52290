"""Training throughput of the small recogniser, beside a plain loop.

Both train the same network on the same clips with the same augmentation, turn about in one process.
The plain loop takes clips in random order, pads each batch to its longest clip, reads and computes
features when it needs them, and computes in float32. Ours takes batches of similar length, keeps
decoded audio, works ahead in a thread and computes in what the recipe chooses.

    python benchmarks/bench_training.py [--clips 120] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from phonoloop.asr.config import AsrRecipe, load_recipe
from phonoloop.asr.data import AudioCache, Batch, TrainingEars, Utterance, make_batch
from phonoloop.asr.model import CtcModel, parameter_count
from phonoloop.asr.steps import Learner, make_learner, take_step
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.training.batching import plan_batches
from phonoloop.training.distributed import World
from phonoloop.training.numerics import Numerics, Sums, choose_numerics
from phonoloop.training.prefetch import prefetch

VOCAB = 110
LETTERS_A_SECOND = 12


@dataclass
class Side:
    """One of the two loops."""

    name: str
    learner: Learner
    batches: Callable[[int], Iterator[Batch]]
    rates: list[float]
    step: int = 0

    def round(self, number: int) -> None:
        began_s, sums = time.perf_counter(), Sums()
        for batch in self.batches(number):
            take_step(self.learner, [batch], step=self.step, progress=0.2, sums=sums)
            self.step += 1
        self.rates.append(sums.values["audio_s"] / (time.perf_counter() - began_s))


def make_clips(folder: Path, count: int) -> list[Utterance]:
    """Clips as long as read sentences are: log-normal around 4 s, from 1 to 15 s."""
    rng = np.random.default_rng(0)
    clips = []
    for i in range(count):
        duration_s = float(np.clip(rng.lognormal(np.log(4.0), 0.6), 1.0, 15.0))
        samples = 0.1 * rng.standard_normal(int(duration_s * CANONICAL_RATE_HZ))
        path = folder / f"{i:04d}.wav"
        soundfile.write(path, samples.astype(np.float32), CANONICAL_RATE_HZ)
        ids = tuple(rng.integers(2, VOCAB, int(duration_s * LETTERS_A_SECOND)).tolist())
        clips.append(Utterance(path.name, path, 0.0, duration_s, "", ids))
    return clips


def learner_for(recipe: AsrRecipe, numerics: Numerics) -> Learner:
    torch.manual_seed(0)
    model = CtcModel(recipe.model, n_mels=recipe.front_end.n_mels, vocab_size=VOCAB)
    return make_learner(recipe, model.train(), numerics, World())


def ours(recipe: AsrRecipe, clips: list[Utterance]) -> Side:
    cache = AudioCache(recipe.front_end, recipe.batch.cache_mb * 2**20)
    ears = TrainingEars(recipe, cache)

    def batches(number: int) -> Iterator[Batch]:
        plan = plan_batches(
            [clip.duration_s for clip in clips],
            batch_s=recipe.batch.seconds,
            max_utterances=recipe.batch.max_utterances,
            seed=recipe.seed,
            epoch=number,
        )
        hear = ears.at(number)
        return prefetch(
            plan, lambda indices: make_batch([clips[i] for i in indices], hear), depth=recipe.batch.prefetch
        )

    return Side("phonoloop", learner_for(recipe, choose_numerics("cpu", recipe.optim.precision)), batches, [])


def plain(recipe: AsrRecipe, clips: list[Utterance]) -> Side:
    """As many clips a batch as give our batches' seconds on average."""
    ears = TrainingEars(recipe, AudioCache(recipe.front_end, 0))
    size = max(1, round(recipe.batch.seconds / statistics.mean(clip.duration_s for clip in clips)))

    def batches(number: int) -> Iterator[Batch]:
        order = np.random.default_rng(number).permutation(len(clips))
        for start in range(0, len(order), size):
            yield make_batch([clips[i] for i in order[start : start + size]], ears.at(number))

    return Side("plain", learner_for(recipe, Numerics(torch.device("cpu"), torch.float32)), batches, [])


def waiting_passively() -> None:
    """Starts this program anew with OpenMP threads that sleep while they wait: where something else
    runs on the same cores (here the thread that makes batches), spinning costs most of the speed."""
    if "OMP_WAIT_POLICY" not in os.environ:
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def main() -> None:
    waiting_passively()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recipe", default="small")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = replace(load_recipe(arguments.recipe), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder), arguments.clips)
        sides = [ours(recipe, clips), plain(recipe, clips)]
        for number in range(arguments.rounds + 1):
            for side in sides:
                side.round(number)
    print(json.dumps(report(arguments, clips, sides)))


def report(arguments: argparse.Namespace, clips: list[Utterance], sides: list[Side]) -> dict:
    """Medians without the first round, in which caches and kernels warm up."""
    ours_rate, plain_rate = (statistics.median(side.rates[1:]) for side in sides)
    return {
        "bench": "training",
        "audio_s_per_s": round(ours_rate, 1),
        "plain_audio_s_per_s": round(plain_rate, 1),
        "ratio": round(ours_rate / plain_rate, 2),
        "rounds": [[round(rate, 1) for rate in side.rates[1:]] for side in sides],
        "measured_on": {
            "recipe": arguments.recipe,
            "parameters": parameter_count(sides[0].learner.model),
            "precision": str(sides[0].learner.numerics.dtype).removeprefix("torch."),
            "clips": len(clips),
            "audio_s": round(sum(clip.duration_s for clip in clips)),
            "lengths": "log-normal, 1 to 15 s; generated noise",
            "augmentation": "the recipe's, in both loops",
            "threads": arguments.threads,
            "machine": platform.machine(),
            "torch": torch.__version__,
        },
    }


if __name__ == "__main__":
    main()
