"""How often the promotion gate is fooled by noise, and what it misses.

Every series is a year's worth of nights against one champion: one golden set, and every night
another candidate that is truly no better. A series counts as fooled when any night promoted.
Errors are simulated: words differ in how hard they are, for both models alike; speakers differ; and
each model has its own luck with each speaker, without which no test could go wrong by speakers.

    python benchmarks/bench_gate.py [--series 200] [--nights 200] [--speakers 19] [--seed 0]

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phonoloop.registry.judge import PairedUtterance, compare
from phonoloop.registry.model import Decision
from phonoloop.registry.rule import PromotionRule
from phonoloop.registry.statistics import normal_quantile

ERROR_RATE = 0.20
IMPROVEMENT = 0.20
SHARED_DIFFICULTY = 0.6  # correlation of two models' errors on one word
SPEAKER_SPREAD = 0.35  # standard deviations of the latent (probit) scale
MODEL_SPEAKER_SPREAD = 0.10


@dataclass(frozen=True)
class World:
    """The golden set of one series.

    Attributes:
        speaker: (utterances,) which speaker says each.
        words: (utterances,) how many words each has.
        hardness: (words,) of every word of every utterance, standard normal, the speaker's share in it.
    """

    speaker: np.ndarray
    words: np.ndarray
    hardness: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, *, speakers: int, utterances: int) -> World:
        speaker = np.repeat(np.arange(speakers), utterances)
        words = rng.integers(5, 16, len(speaker))
        of_speaker = rng.normal(0.0, SPEAKER_SPREAD, speakers)[np.repeat(speaker, words)]
        rest = math.sqrt(SHARED_DIFFICULTY - SPEAKER_SPREAD**2)
        return cls(speaker, words, of_speaker + rest * rng.standard_normal(int(words.sum())))

    def errors(self, rng: np.random.Generator, rate: float) -> np.ndarray:
        """(utterances,) errors of a model whose expected error rate over all speakers is `rate`."""
        luck = rng.normal(0.0, MODEL_SPEAKER_SPREAD, self.speaker[-1] + 1)
        own = math.sqrt(1.0 - SHARED_DIFFICULTY - MODEL_SPEAKER_SPREAD**2)
        latent = self.hardness + own * rng.standard_normal(len(self.hardness), dtype=np.float32)
        latent += luck[np.repeat(self.speaker, self.words)]
        wrong = latent > normal_quantile(1.0 - rate)
        return np.add.reduceat(wrong, np.cumsum(self.words) - self.words)

    def pairs(self, champion: np.ndarray, candidate: np.ndarray) -> list[PairedUtterance]:
        rows = zip(
            self.speaker.tolist(), self.words.tolist(), champion.tolist(), candidate.tolist(), strict=True
        )
        return [
            PairedUtterance(f"u{i}", f"s{speaker}", words, before, after)
            for i, (speaker, words, before, after) in enumerate(rows)
        ]


def fooled(seed: int, args: argparse.Namespace, rule: PromotionRule) -> bool:
    """Whether any night of one series promoted a candidate that is no better."""
    rng = np.random.default_rng([args.seed, seed])
    world = World.draw(rng, speakers=args.speakers, utterances=args.utterances)
    champion = world.errors(rng, ERROR_RATE)
    for night in range(args.nights):
        pairs = world.pairs(champion, world.errors(rng, ERROR_RATE))
        if compare(pairs, rule, tests_before=night).decision is Decision.BETTER:
            return True
    return False


def recognised(args: argparse.Namespace, rule: PromotionRule) -> Iterator[bool]:
    """Whether a candidate that truly makes a fifth fewer errors is promoted at its first test."""
    for trial in range(args.series):
        rng = np.random.default_rng([args.seed, trial, 1])
        world = World.draw(rng, speakers=args.speakers, utterances=args.utterances)
        better = ERROR_RATE * (1.0 - IMPROVEMENT)
        pairs = world.pairs(world.errors(rng, ERROR_RATE), world.errors(rng, better))
        yield compare(pairs, rule).decision is Decision.BETTER


def wilson(hits: int, trials: int) -> list[float]:
    """95 % interval of a share (Wilson 1927)."""
    z = normal_quantile(0.975)
    centre = (hits + z * z / 2) / (trials + z * z)
    reach = z * math.sqrt(hits * (trials - hits) / trials + z * z / 4) / (trials + z * z)
    return [round(max(0.0, centre - reach), 4), round(min(1.0, centre + reach), 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--speakers", type=int, default=19)
    parser.add_argument("--utterances", type=int, default=40, help="of each speaker")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rule, began = PromotionRule(), time.perf_counter()
    mistakes = sum(fooled(seed, args, rule) for seed in range(args.series))
    found = sum(recognised(args, rule))
    print(json.dumps(report(args, mistakes=mistakes, found=found, seconds=time.perf_counter() - began)))


def report(args: argparse.Namespace, *, mistakes: int, found: int, seconds: float) -> dict[str, object]:
    return {
        "bench": "gate",
        "promoted_by_mistake_share": mistakes / args.series,
        "interval": wilson(mistakes, args.series),
        "series": args.series,
        "nights": args.nights,
        "bar": 0.05,
        "power_first_try": found / args.series,
        "power_interval": wilson(found, args.series),
        "power_for": f"{IMPROVEMENT:.0%} fewer errors than a champion at {ERROR_RATE:.0%}",
        "speakers": args.speakers,
        "words_per_set": args.speakers * args.utterances * 10,
        "seconds": round(seconds, 1),
        "measured_on": "simulated errors: correlated between models, clustered by speaker",
    }


if __name__ == "__main__":
    main()
