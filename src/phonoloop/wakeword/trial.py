"""How a network does on strips: misses at several rates of false accepts, and what it gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from phonoloop.training.numerics import Numerics
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.features import Pool
from phonoloop.wakeword.losses import strip_loss, targets_of

#: shares of the strips without the phrase that may be taken for it
_FALSE_SHARES = (0.0, 0.002, 0.005, 0.01, 0.02)
_ENOUGH = 200
_AT_ONCE = 128
#: what a tenth of the loss is worth in misses: it decides between epochs that miss equally often
_LOSS_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """Of held-out strips, which are harder than life: augmented, and every other one is confusing.

    Attributes:
        miss: the mean share of missed phrases over several shares of false accepts.
        loss: as in training.
        phrases, others: how many strips.
    """

    miss: float
    loss: float
    phrases: int
    others: int

    @property
    def score(self) -> float:
        """To be made small."""
        return self.miss + _LOSS_WEIGHT * self.loss

    def to_metrics(self) -> dict[str, float]:
        return {"val_miss": self.miss, "val_loss": self.loss, "val_score": self.score}


def logits_of(net: nn.Module, pool: Pool, numerics: Numerics) -> np.ndarray:
    """(n, S) float32."""
    was_training = net.training
    net.eval()
    parts = []
    with torch.inference_mode(), numerics.autocast():
        for first in range(0, len(pool), _AT_ONCE):
            heard = pool.take(range(first, min(first + _AT_ONCE, len(pool))))
            parts.append(net(torch.from_numpy(heard).to(numerics.device)).float().cpu().numpy())
    net.train(was_training)
    return np.concatenate(parts)


def try_out(net: nn.Module, pools: Pools, recipe: WakeRecipe, numerics: Numerics) -> Trial:
    """On what is held out.

    How often it may be wrong is counted on recordings where there are enough of them: among the
    synthesised ones half are chosen because they sound like the phrase.
    """
    said = np.concatenate([logits_of(net, pool, numerics) for pool in pools.held_phrase])
    ends = np.concatenate([pool.ends for pool in pools.held_phrase])
    by_pool = {pool.name: logits_of(net, pool, numerics) for pool in pools.held_others}
    other = np.concatenate(list(by_pool.values()))
    recorded = by_pool.get("tune_recorded", other[:0])
    none = np.full(len(other), -1, ends.dtype)
    both = torch.from_numpy(np.concatenate([said, other]))
    targets = targets_of(torch.from_numpy(np.concatenate([ends, none])), both.shape[1], recipe.target)
    loss = strip_loss(both, targets, recipe.loss, torch.ones(len(both)))
    high = targets.high.numpy()[: len(said)]
    return Trial(
        miss=mean_miss(
            np.where(high, said, -np.inf).max(1),
            (recorded if len(recorded) >= _ENOUGH else other).max(1),
        ),
        loss=float(loss),
        phrases=len(said),
        others=len(other),
    )


def mean_miss(said: np.ndarray, other: np.ndarray) -> float:
    """The share of phrases, (n,) best logits, that are no higher than the k-th of the others, (m,), meaned
    over several k."""
    ordered = np.sort(other)[::-1]
    limits = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in _FALSE_SHARES]
    return float(np.mean([np.mean(said <= limit) for limit in limits]))


def worst_strips(net: nn.Module, pools: Sequence[Pool], *, share: float, numerics: Numerics) -> np.ndarray:
    """Numbers, counted through all pools, of the share of strips with the highest scores."""
    best = np.concatenate([logits_of(net, pool, numerics).max(1) for pool in pools])
    keep = max(1, round(share * len(best)))
    return np.sort(np.argpartition(-best, keep - 1)[:keep]).astype(np.int64)
