"""Which rule for a threshold keeps the rate that it promises? On streams whose true rate is known.

A stream's peaks are drawn from a distribution; each rule sees them and says where the threshold goes; what
it promised is then compared with the true rate there. docs/adr/0004-wake-threshold.md has the figures.
Needs no data, about a minute on one core.

    python benchmarks/sim_wake_threshold.py [--streams 500]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from phonoloop.registry.counts import poisson_interval, poisson_mean, poisson_upper
from phonoloop.wakeword.operating import threshold_logit
from phonoloop.wakeword.tail import Peaks, counted_logit, fit_tail

TARGET = 0.5
HOURS = (0.5, 1.0, 2.0, 5.0)
SEED = 0
#: logits of phrases, as a small network without pretrained parts gives them: 2 % lie below 0
PHRASE_MEAN, PHRASE_SPREAD = 5.0, 2.5
_MANY = 500_000  # peaks that the true rates are counted in


@dataclass(frozen=True)
class Family:
    """Causes an hour, and how their logits are distributed; a cause has `peaks` peaks on average."""

    per_hour: float
    draw: Callable[[np.random.Generator, int], np.ndarray]
    peaks: float = 1.0

    def stream(self, rng: np.random.Generator, hours: float) -> Peaks:
        tops = self.draw(rng, rng.poisson(self.per_hour * hours))
        times = rng.geometric(1 / self.peaks, len(tops))
        causes = np.repeat(np.arange(len(tops)), times)
        logits = np.repeat(tops, times) - rng.uniform(0, 0.7, len(causes)) * (self.peaks > 1)
        order = np.argsort(-logits)
        return Peaks(logits[order], causes[order], hours)


def hard_ones(rng: np.random.Generator, count: int) -> np.ndarray:
    """One cause in fifty sounds much like the phrase."""
    hard = rng.random(count) < 0.02
    return np.where(hard, rng.normal(1, 2, count), -4 + rng.exponential(0.7, count))


FAMILIES = {
    "exponential": Family(60, lambda rng, n: -4 + rng.exponential(1.0, n)),
    "normal": Family(200, lambda rng, n: rng.normal(-5, 2.2, n)),
    "bounded": Family(60, lambda rng, n: -4 + 1.6 / 0.3 * (1 - rng.random(n) ** 0.3)),
    "heavy": Family(60, lambda rng, n: -4 + 0.8 / 0.2 * (rng.random(n) ** -0.2 - 1)),
    "few hard": Family(60, hard_ones),
    "bursts": Family(20, lambda rng, n: -4 + rng.exponential(1.0, n), peaks=3.0),
}


def counted(peaks: Peaks) -> float:
    return counted_logit(peaks.logits, peaks.hours, TARGET)


def above_all(peaks: Peaks) -> float:
    return counted_logit(peaks.logits, 0.0, TARGET)


@lru_cache
def _affordable(expected: float) -> int:
    """The most events whose upper bound is at most that; -1 for none."""
    return sum(poisson_upper(n, confidence=0.8) <= expected for n in range(9)) - 1


def bounded_by_poisson(peaks: Peaks) -> float:
    """The upper end of the rate's 80 % interval meets the target; where not even 0 events would do, as far
    above the highest peak as an exponential tail of the fitted scale has to go."""
    allowed = [
        n for n in range(len(peaks.logits)) if poisson_upper(n, confidence=0.8) <= TARGET * peaks.hours
    ]
    if allowed:
        return float(peaks.logits[allowed[-1]]) + 1e-6
    tail = fit_tail(peaks)
    short_by = poisson_interval(0, confidence=0.8).high / (TARGET * peaks.hours)
    return above_all(peaks) + (tail.scale if tail else 1.0) * math.log(short_by)


def plain_fit(peaks: Peaks) -> float:
    """As if the fitted scale were the true one."""
    tops = peaks.of_causes
    count = min(20, len(tops) - 1)
    if count < 2 or TARGET * peaks.hours >= count:
        return counted(peaks)
    start, scale = float(tops[count]), float((tops[:count] - tops[count]).mean())
    return start + scale * math.log(count / (TARGET * peaks.hours))


def with_doubt(peaks: Peaks) -> float:
    """As ours, with the scale at the upper end of its one-sided 70 % interval."""
    tail = fit_tail(peaks)
    if tail is None:
        return counted(peaks)
    larger = tail.scale * tail.causes / poisson_mean(tail.causes - 1, 0.7)
    return max(counted(peaks), replace(tail, scale=larger).at_rate(TARGET))


def ours(peaks: Peaks) -> float:
    return threshold_logit(peaks, TARGET)[0]


RULES = {
    "as counted": counted,
    "above all": above_all,
    "upper Poisson bound": bounded_by_poisson,
    "plain fit": plain_fit,
    "averaged, scale with doubt": with_doubt,
    "averaged over the scale (used)": ours,
}


def measured(family: Family, hours: float, streams: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(SEED)
    known = family.stream(rng, _MANY / family.per_hour / family.peaks)
    rising = known.logits[::-1]
    found: dict[str, list[float]] = {name: [] for name in RULES}
    for _ in range(streams):
        peaks = family.stream(rng, hours)
        for name, rule in RULES.items():
            found[name].append(rule(peaks))
    return {name: _figures(np.array(at), rising, known.hours) for name, at in found.items()}


def _figures(at: np.ndarray, rising: np.ndarray, hours: float) -> dict[str, float]:
    rates = (len(rising) - np.searchsorted(rising, at)) / hours
    missed = [0.5 * math.erfc((PHRASE_MEAN - one) / PHRASE_SPREAD / math.sqrt(2)) for one in at]
    return {
        "mean_per_hour": round(float(rates.mean()), 3),
        "share_above_target": round(float(np.mean(rates > TARGET)), 3),
        "share_above_twice": round(float(np.mean(rates > 2 * TARGET)), 3),
        "misses": round(float(np.mean(missed)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=100, help="simulated tuning streams of each kind")
    streams = parser.parse_args().streams
    for hours in HOURS:
        for name, family in FAMILIES.items():
            rules = measured(family, hours, streams)
            line = {"simulation": "wake threshold", "target_per_hour": TARGET, "tuning_hours": hours}
            print(json.dumps(line | {"tail": name, "streams": streams, "rules": rules}), flush=True)


if __name__ == "__main__":
    main()
