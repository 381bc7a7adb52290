"""What is minimised: one step high where the phrase has just ended, all others low."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, smooth_l1_loss

from phonoloop.core.units import ms_to_samples
from phonoloop.wakeword.config import LossRecipe, TargetRecipe
from phonoloop.wakeword.model_config import STEP_SAMPLES

_NEVER = -1e4
_SMALL = 2.0  # logits


@dataclass(frozen=True, slots=True)
class Targets:
    """What each step of B strips should say; steps in neither mask may be as they like.

    Attributes:
        high: (B, S) bool, the window in which one step has to be high.
        low: (B, S) bool.
    """

    high: Tensor
    low: Tensor

    def at(self, rows: Tensor) -> Targets:
        return Targets(self.high[rows], self.low[rows])


def targets_of(ends: Tensor, steps: int, recipe: TargetRecipe) -> Targets:
    """
    Args:
        ends: (B,) samples at which the phrase ends, negative where it is not said.
        steps: of a strip; step i has heard (i + 1) · 1,280 samples.
    """
    heard = (torch.arange(steps, device=ends.device) + 1) * STEP_SAMPLES
    since = heard[None, :] - ends[:, None]
    said = (ends >= 0)[:, None]
    high = said & (since >= 0) & (since <= ms_to_samples(recipe.positive_ms))
    first = -ms_to_samples(recipe.ignored_before_ms)
    last = ms_to_samples(recipe.positive_ms + recipe.ignored_after_ms)
    near = said & (since >= first) & (since <= last)
    return Targets(high, ~near)


def strip_loss(logits: Tensor, targets: Targets, recipe: LossRecipe, weights: Tensor) -> Tensor:
    """A scalar: the mean over windows and negative steps, windows counting `positive_weight` times.

    Args:
        logits: (B, S). weights: (B,), how much each strip counts (the shares of a mixture).
    """
    windows = _high(logits, targets.high, recipe)
    said = targets.high.any(1)
    of_windows = windows * said * weights * recipe.positive_weight
    steps, counted = _hardest(_low(logits, recipe), targets.low * weights[:, None], recipe.hardest)
    total = (said * weights).sum() * recipe.positive_weight + counted.sum()
    return (of_windows.sum() + (steps * counted).sum()) / total.clamp(min=1e-6)


def _high(logits: Tensor, high: Tensor, recipe: LossRecipe) -> Tensor:
    """(B,): the loss of each window; whatever where there is none."""
    if recipe.pooling == "mean":
        losses = _focal(logits, recipe, alpha=recipe.alpha) * high
        return losses.sum(1) / high.sum(1).clamp(min=1)
    return _focal(logits.masked_fill(~high, _NEVER).amax(1), recipe, alpha=recipe.alpha)


def _low(logits: Tensor, recipe: LossRecipe) -> Tensor:
    return _focal(-logits, recipe, alpha=1.0 - recipe.alpha)


def _focal(logits: Tensor, recipe: LossRecipe, *, alpha: float) -> Tensor:
    """Of steps that should be high: binary cross-entropy, and for `focal` times alpha · (1 - p)^gamma."""
    losses = -logsigmoid(logits)
    if recipe.kind == "bce":
        return losses
    return alpha * torch.sigmoid(-logits) ** recipe.gamma * losses


def _hardest(losses: Tensor, counted: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Only the worst of the steps that count, and by how much they do: (k,) each."""
    if share >= 1.0:
        return losses, counted
    keep = max(1, int(share * int((counted > 0).sum())))
    worst = (losses.detach() * (counted > 0)).flatten().topk(keep).indices
    return losses.flatten()[worst], counted.flatten()[worst]


def teacher_loss(logits: Tensor, taught: Tensor, weights: Tensor, limit: float) -> Tensor:
    """How far logits are from the teacher's, over all steps; a scalar.

    Ba and Caruana 2014, "Do deep nets really need to be deep?" (arXiv 1312.6184) match logits; here the
    difference is counted squared only while it is small, and what is beyond the limit on the teacher's side
    is right. Steps weigh more the surer of the phrase either of the two is: nearly all are silence to both.

    Args:
        logits, taught: (B, S). weights: (B,).
    """
    wanted = taught.clamp(-limit, limit)
    inside = logits.clamp(max=limit).where(taught >= limit, logits)
    inside = inside.clamp(min=-limit).where(taught <= -limit, inside)
    losses = smooth_l1_loss(inside, wanted, reduction="none", beta=_SMALL)
    surer = torch.maximum(torch.sigmoid(logits.detach() / 2), torch.sigmoid(taught / 2))
    counted = (surer + 0.05) * weights[:, None]
    return (losses * counted).sum() / counted.sum().clamp(min=1e-6)
