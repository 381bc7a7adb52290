"""One optimiser step, and what is carried from one to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from phonoloop.asr.config import AsrRecipe, OptimRecipe
from phonoloop.asr.ctc import consistency, ctc_loss
from phonoloop.asr.data import Batch
from phonoloop.core.errors import PhonoloopError
from phonoloop.training import distributed
from phonoloop.training.numerics import Numerics, Sums, adamw, follow
from phonoloop.training.schedule import one_cycle
from phonoloop.training.seeds import generator, seed_torch

_FRAME_MS = 40
#: optimiser steps in a row with a loss or gradient that is no number, after which a run is given up
_MOST_NOT_FINITE = 20


@dataclass
class Learner:
    """The model with all that a step changes.

    Attributes:
        shared: the model as wrapped for several processes.
        ema: moving average of the weights by name, None where the recipe has none.
        not_finite: steps in a row that were passed over because the loss or gradient was no number.
    """

    recipe: AsrRecipe
    model: nn.Module
    shared: nn.Module
    optimiser: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    numerics: Numerics
    world: distributed.World
    ema: dict[str, Tensor] | None = None
    not_finite: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": self.ema,
            "not_finite": self.not_finite,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.ema = state["ema"] and {k: v.to(self.numerics.device) for k, v in state["ema"].items()}
        self.not_finite = state["not_finite"]

    def weights(self) -> dict[str, Tensor]:
        """What validation and the final model use."""
        source = self.ema if self.ema is not None else self.model.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in source.items()}


def make_learner(
    recipe: AsrRecipe, model: nn.Module, numerics: Numerics, world: distributed.World
) -> Learner:
    model.to(numerics.device)
    return Learner(
        recipe=recipe,
        model=model,
        shared=distributed.wrap(model, world, numerics.device),
        optimiser=adamw(
            model,
            lr=recipe.optim.peak_lr,
            weight_decay=recipe.optim.weight_decay,
            betas=(recipe.optim.beta1, recipe.optim.beta2),
        ),
        scaler=torch.amp.GradScaler(numerics.device.type, enabled=numerics.dtype == torch.float16),
        numerics=numerics,
        world=world,
        ema={k: v.detach().clone() for k, v in model.state_dict().items()} if recipe.optim.ema else None,
    )


def take_step(learner: Learner, group: Sequence[Batch], *, step: int, progress: float, sums: Sums) -> None:
    """Gradients over the group's micro-batches, then one update. Random parts are a function of `step`.

    Raises:
        PhonoloopError: `training.not_finite` after 20 steps in a row without a finite gradient.
    """
    recipe = learner.recipe
    seed_torch(recipe.seed, "step", step, learner.world.rank)
    rate = learning_rate(recipe.optim, progress)
    for settings in learner.optimiser.param_groups:
        settings["lr"] = rate
    tokens = sum(int(batch.target_lengths.sum()) for batch in group) or 1
    chunk = draw_chunk(recipe, step)
    for i, batch in enumerate(group):
        with distributed.without_sync(learner.shared, i < len(group) - 1):
            _backward(learner, batch, chunk=chunk, tokens=tokens, sums=sums)
    norm = _update(learner)
    sums.add(steps=1, lr=rate, tokens=tokens, grad_norm=norm if math.isfinite(norm) else 0.0)
    _watch_finite(learner, norm, sums)


def learning_rate(recipe: OptimRecipe, progress: float) -> float:
    return one_cycle(
        progress,
        peak=recipe.peak_lr,
        warmup=recipe.warmup,
        start_div=recipe.start_div,
        end_div=recipe.end_div,
    )


def draw_chunk(recipe: AsrRecipe, step: int) -> int:
    """Frames in this step's chunks, 0 for whole utterances; the same in all processes."""
    rng = generator("chunk", recipe.seed, step)
    if not recipe.stream.chunks_ms or rng.random() < recipe.stream.full_share:
        return 0
    return int(rng.choice(recipe.stream.chunks_ms)) // _FRAME_MS


def _backward(learner: Learner, batch: Batch, *, chunk: int, tokens: int, sums: Sums) -> None:
    batch = batch.to(learner.numerics.device)
    loss = batch_loss(learner, batch, chunk=chunk)
    learner.scaler.scale(loss / tokens).backward()
    sums.add(loss=loss.item(), audio_s=batch.audio_s, too_short=batch.too_short)


def batch_loss(learner: Learner, batch: Batch, *, chunk: int) -> Tensor:
    """The loss of a micro-batch, summed over utterances."""
    recipe = learner.recipe
    views = len(batch.views)
    with learner.numerics.autocast():
        log_probs, lengths = learner.shared(
            torch.cat(batch.views),
            batch.lengths.repeat(views),
            chunk=chunk,
            left=recipe.stream.left_ms // _FRAME_MS,
        )
    targets, target_lengths = batch.targets.repeat(views, 1), batch.target_lengths.repeat(views)
    loss = ctc_loss(log_probs, lengths, targets, target_lengths).sum() / views
    if views == 2:
        first, second = log_probs.chunk(2)
        loss = loss + recipe.cr_ctc.scale * consistency(first, second, lengths.chunk(2)[0]).sum()
    return loss


def _update(learner: Learner) -> float:
    """Clips and applies the gradients unless they are no numbers; gives their length."""
    learner.scaler.unscale_(learner.optimiser)
    norm = nn.utils.clip_grad_norm_(learner.model.parameters(), learner.recipe.optim.clip_norm, foreach=True)
    if torch.isfinite(norm):
        learner.scaler.step(learner.optimiser)
        _move_average(learner)
    learner.scaler.update()
    learner.optimiser.zero_grad(set_to_none=True)
    return float(norm)


def _move_average(learner: Learner) -> None:
    if learner.ema is not None:
        follow(learner.ema, learner.model.state_dict(), learner.recipe.optim.ema)


def _watch_finite(learner: Learner, norm: float, sums: Sums) -> None:
    if math.isfinite(norm):
        learner.not_finite = 0
        return
    learner.not_finite += 1
    sums.add(not_finite=1)
    if learner.not_finite >= _MOST_NOT_FINITE:
        raise PhonoloopError(
            f"the gradient was not a number in {learner.not_finite} steps in a row",
            code="training.not_finite",
            hint="Lower optim.peak_lr, or set optim.precision to fp32",
        )
