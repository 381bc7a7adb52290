"""Which strips an optimiser step hears: a function of the seed, the step and what was mined, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from phonoloop.training.seeds import generator
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.features import Pool

#: how the names of pools of strips cut from recordings without the phrase begin
RECORDED = "train_recorded"


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """What is learned from, and what the weights are chosen on.

    Attributes:
        recorded, spoken: strips with the phrase, of people and of synthesisers.
        others: without it.
        held_phrase, held_others: the same, of speakers, voices and clips that are not trained on.
    """

    recorded: Pool | None
    spoken: Pool | None
    others: tuple[Pool, ...]
    held_phrase: tuple[Pool, ...] = ()
    held_others: tuple[Pool, ...] = ()

    @classmethod
    def of(cls, pools: Sequence[Pool]) -> Pools:
        """By their names, as `data.plans` gives them."""
        named = {pool.name: pool for pool in pools}
        learned = [pool for pool in pools if pool.name.startswith("train_") and "phrase" not in pool.name]
        held = [pool for pool in pools if pool.name.startswith("tune_")]
        return cls(
            named.get("train_phrase_recorded"),
            named.get("train_phrase_spoken"),
            tuple(learned),
            tuple(pool for pool in held if "phrase" in pool.name),
            tuple(pool for pool in held if "phrase" not in pool.name),
        )

    @property
    def learned(self) -> tuple[Pool, ...]:
        return tuple(pool for pool in (self.recorded, self.spoken, *self.others) if pool is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B strips.

    Attributes:
        heard: (B, …) float32. ends: (B,).
        taught: (B, S) the teacher's logits; None without one.
        shown: (B, S, F) the teacher's vectors; None where there are no hints.
    """

    heard: Tensor
    ends: Tensor
    taught: Tensor | None = None
    shown: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Draw:
    """Draws batches.

    Attributes:
        taught: logits (n, S) of a teacher by the names of the pools.
        shown: the same strips in the teacher's vectors, likewise; empty where there are no hints.
    """

    pools: Pools
    recipe: WakeRecipe
    taught: Mapping[str, np.ndarray] = field(default_factory=dict)
    shown: Mapping[str, Pool] = field(default_factory=dict)

    def batch(self, step: int, worst: np.ndarray) -> Batch:
        """
        Args:
            worst: numbers of the strips without the phrase that the network gets wrong most, counted
                through all such pools; empty before the first mining.
        """
        rng = generator(self.recipe.seed, "batch", step)
        both = [*self._phrases(rng), *self._negatives(rng, worst)]
        picked = [(pool, rows) for pool, rows in both if len(rows)]
        heard = [pool.take(rows) for pool, rows in picked]
        ends = np.concatenate([pool.ends[rows] for pool, rows in picked])
        taught = [self.taught[pool.name][rows] for pool, rows in picked] if self.taught else []
        shown = [self.shown[pool.name].take(rows) for pool, rows in picked] if self.shown else []
        return Batch(
            torch.from_numpy(np.concatenate(heard)),
            torch.from_numpy(ends.astype(np.int64)),
            _joined(taught),
            _joined(shown),
        )

    def _phrases(self, rng: np.random.Generator) -> list[tuple[Pool, np.ndarray]]:
        optim, pools = self.recipe.optim, self.pools
        count = max(1, round(optim.batch * optim.positive_share))
        shares = (optim.recorded_share, 1.0 - optim.recorded_share)
        there = [(p, s) for p, s in zip((pools.recorded, pools.spoken), shares, strict=True) if p is not None]
        if len(there) == 1:
            return [_some(there[0][0], count, rng)]
        recorded = round(count * optim.recorded_share)
        return [_some(there[0][0], recorded, rng), _some(there[1][0], count - recorded, rng)]

    def _negatives(self, rng: np.random.Generator, worst: np.ndarray) -> list[tuple[Pool, np.ndarray]]:
        optim = self.recipe.optim
        count = optim.batch - max(1, round(optim.batch * optim.positive_share))
        hard = round(count * self.recipe.mining.share) if worst.size else 0
        drawn = rng.random(count - hard)
        numbers = np.concatenate(
            [rng.choice(worst, hard) if hard else [], np.searchsorted(self._chances, drawn, side="right")]
        )
        return split_numbers(self.pools.others, numbers.astype(np.int64))

    @cached_property
    def _chances(self) -> np.ndarray:
        """Of the strips without the phrase, summed up: recordings and the rest share as the recipe says."""
        pools = self.pools.others
        recorded = np.concatenate([np.full(len(pool), pool.name.startswith(RECORDED)) for pool in pools])
        share = self.recipe.optim.recorded_negative_share
        if share and 0 < recorded.sum() < len(recorded):
            chances = np.where(recorded, share / recorded.sum(), (1 - share) / (~recorded).sum())
        else:
            chances = np.full(len(recorded), 1 / len(recorded))
        summed = np.cumsum(chances)
        return summed[:-1]  # what is above the last is the last


def _joined(parts: Sequence[np.ndarray]) -> Tensor | None:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32)) if parts else None


def _some(pool: Pool, count: int, rng: np.random.Generator) -> tuple[Pool, np.ndarray]:
    return pool, rng.integers(0, len(pool), count)


def split_numbers(pools: Sequence[Pool], numbers: np.ndarray) -> list[tuple[Pool, np.ndarray]]:
    """Numbers counted through all pools, as rows of each."""
    borders = np.cumsum([0, *map(len, pools)])
    owner = np.searchsorted(borders, numbers, side="right") - 1
    return [(pool, numbers[owner == i] - borders[i]) for i, pool in enumerate(pools) if (owner == i).any()]


def mix(batch: Batch, recipe: WakeRecipe, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mixup of some strips with others of the batch.

    Returns:
        The mixed input (B, …), the partners (B,) and the share (B,) that each strip keeps of itself.
    """
    rng = generator(recipe.seed, "mixup", step)
    size = len(batch.ends)
    partners = torch.from_numpy(rng.permutation(size))
    drawn = rng.beta(recipe.mixup.beta, recipe.mixup.beta, size)
    mixed = rng.random(size) < recipe.mixup.probability
    # the larger share stays with the strip itself, so that it is clear which one it is
    own = torch.from_numpy(np.where(mixed, np.maximum(drawn, 1 - drawn), 1.0).astype(np.float32))
    if not mixed.any():
        return batch.heard, partners, own
    return mixture(batch.heard, partners, own), partners, own


def mixture(strips: Tensor, partners: Tensor, own: Tensor) -> Tensor:
    """Strips (B, …) that keep these shares (B,) of themselves and have the rest of their partners (B,)."""
    wide = own.view(-1, *[1] * (strips.ndim - 1))
    return wide * strips + (1 - wide) * strips[partners]
