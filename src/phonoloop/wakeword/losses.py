"""What is minimised: one step high where the phrase has just ended, all others low."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from phonoloop.core.units import ms_to_samples
from phonoloop.wakeword.config import LossRecipe, TargetRecipe
from phonoloop.wakeword.model_config import STEP_SAMPLES

_NEVER = -1e4


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


def teacher_loss(logits: Tensor, taught: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Cross-entropy to the teacher's softened probabilities, over all steps; a scalar.

    Hinton et al. 2015, "Distilling the knowledge in a neural network" (arXiv 1503.02531). Steps weigh
    more the surer of the phrase either of the two is: nearly all steps are silence to both.

    Args:
        logits, taught: (B, S). weights: (B,).
    """
    soft = torch.sigmoid(taught / temperature)
    mine = logits / temperature
    losses = -(soft * logsigmoid(mine) + (1.0 - soft) * logsigmoid(-mine))
    least = -(soft * soft.clamp(min=1e-6).log() + (1.0 - soft) * (1.0 - soft).clamp(min=1e-6).log())
    doubt = (torch.maximum(torch.sigmoid(logits.detach()), torch.sigmoid(taught)) + 0.05) * weights[:, None]
    return temperature**2 * ((losses - least) * doubt).sum() / doubt.sum().clamp(min=1e-6)
