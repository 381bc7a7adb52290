"""Batches by seconds: utterances of similar length together, so that little is padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phonoloop.training.seeds import generator


def plan_batches(
    durations_s: Sequence[float],
    *,
    batch_s: float,
    max_utterances: int,
    seed: int,
    epoch: int,
    jitter: float = 0.1,
) -> list[list[int]]:
    """Every index once, in batches of at most `batch_s` padded seconds, in shuffled order.

    Utterances are sorted by a duration that is jittered by ±`jitter`, so that each epoch has other
    batches, and cut where the longest of a batch times its size would pass the limit. An utterance
    longer than `batch_s` is a batch of its own. The plan is a function of the arguments.
    """
    rng = generator("batches", seed, epoch)
    durations = np.asarray(durations_s, dtype=np.float64)
    order = np.argsort(durations * rng.uniform(1 - jitter, 1 + jitter, len(durations)), kind="stable")
    batches = _pack(order, durations, batch_s, max_utterances)
    return [batches[i] for i in rng.permutation(len(batches))]


def _pack(order: np.ndarray, durations: np.ndarray, batch_s: float, most: int) -> list[list[int]]:
    batches: list[list[int]] = []
    longest = 0.0
    for index in order.tolist():
        longest = max(longest, durations[index])
        full = not batches or len(batches[-1]) >= most or longest * (len(batches[-1]) + 1) > batch_s
        if full:
            batches.append([])
            longest = durations[index]
        batches[-1].append(index)
    return batches


def group(batches: Sequence[list[int]], size: int) -> list[list[list[int]]]:
    """Batches in the groups that make one optimiser step; the last group may be smaller."""
    return [list(batches[i : i + size]) for i in range(0, len(batches), size)]


def share_of_rank(batches: Sequence[list[int]], *, rank: int, world_size: int) -> list[list[int]]:
    """The batches of one process; the first ones are repeated until all ranks have equally many."""
    missing = -len(batches) % world_size
    padded = [*batches, *(batches[i % len(batches)] for i in range(missing))] if batches else []
    return list(padded[rank::world_size])
