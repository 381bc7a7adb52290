"""Training a network on strips: a plain loop that resumes by itself and ends at the same weights.

out_dir/
  checkpoints/step-XXXXXXXX.ckpt    the last two, everything that resuming needs
  metrics.jsonl  tensorboard/
  model.pt                          the result: the averaged weights of the best epoch
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from phonoloop.core.errors import CancelledError, ConfigError, PhonoloopError
from phonoloop.jobs.progress import Eta
from phonoloop.training import checkpoint
from phonoloop.training.metrics import MetricSink
from phonoloop.training.numerics import Numerics, Sums, adamw, choose_numerics, follow
from phonoloop.training.progress import OnProgress, Progress, ignore_progress
from phonoloop.training.schedule import one_cycle
from phonoloop.training.seeds import seed_torch
from phonoloop.wakeword.batches import Batch, Draw, Pools, mix, mixture
from phonoloop.wakeword.config import OptimRecipe, WakeRecipe
from phonoloop.wakeword.features import Pool
from phonoloop.wakeword.heads import Head
from phonoloop.wakeword.hints import Hints, hints_for
from phonoloop.wakeword.losses import strip_loss, targets_of, teacher_loss
from phonoloop.wakeword.model import WakeNet
from phonoloop.wakeword.trial import Trial, try_out, worst_strips

WEIGHTS = "model.pt"
_REPORT_EVERY_S = 0.5
#: steps in a row without a finite gradient, after which a run is given up
_MOST_NOT_FINITE = 20
#: of each pool, to see how large features are
_MEASURED_STRIPS = 100


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came out.

    Attributes:
        weights_path: of the best epoch.
        best_epoch, epochs: counted from 1; the last where nothing is held out.
        metrics: of the best epoch.
        resumed_at_step: where an earlier process had stopped; None for a fresh run.
    """

    weights_path: Path
    best_epoch: int
    epochs: int
    steps: int
    metrics: dict[str, float]
    resumed_at_step: int | None = None


@dataclass
class Run:
    """A training under way. `position` and the tensors are what resuming needs.

    Attributes:
        hints: see `hints.Hints`; None without them.
        whole: whether strips are samples that go through the front too, rather than features.
        worst: see `batches.Draw.batch`.
        best: score, epoch, weights and figures of the best epoch so far.
    """

    recipe: WakeRecipe
    model: WakeNet
    numerics: Numerics
    draw: Draw
    out_dir: Path
    optimiser: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    hints: Hints | None = None
    whole: bool = False
    epoch: int = 0
    step: int = 0
    not_finite: int = 0
    best_score: float = math.inf
    best_epoch: int = 0
    stopped_early: bool = False
    average: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_metrics: dict[str, float] = field(default_factory=dict)
    worst: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    sums: Sums = field(default_factory=Sums)
    resumed_at_step: int | None = None

    @property
    def net(self) -> nn.Module:
        """From what the strips are kept as to logits (B, S)."""
        return self.model if self.whole else self.model.net

    @property
    def checkpoints(self) -> Path:
        return self.out_dir / "checkpoints"

    def state(self) -> dict[str, Any]:
        names = ("epoch", "step", "not_finite", "best_score", "best_epoch", "stopped_early", "best_metrics")
        return {
            "model": self.model.weights(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "hints": self.hints.state_dict() if self.hints else {},
            "average": self.average,
            "best": self.best,
            "worst": torch.from_numpy(self.worst),
            "position": {name: getattr(self, name) for name in names},
        }

    def resume(self) -> None:
        """Goes to the last whole checkpoint, if there is one. Raises IntegrityError `checkpoint.corrupt`."""
        checkpoint.clear_temporary(self.checkpoints)
        found = checkpoint.find_latest(self.checkpoints)
        if found is None:
            return
        state = found.state
        self.model.load_weights(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.hints:
            self.hints.load_state_dict(state["hints"])
        self.scaler.load_state_dict(state["scaler"])
        device = self.numerics.device
        self.average = {name: tensor.to(device) for name, tensor in state["average"].items()}
        self.best, self.worst = state["best"], state["worst"].numpy()
        for name, value in state["position"].items():
            setattr(self, name, value)
        self.resumed_at_step = self.step


def train(
    recipe: WakeRecipe,
    *,
    model: WakeNet,
    pools: Pools,
    out_dir: Path,
    whole: bool = False,
    warm: bool = False,
    taught: Mapping[str, np.ndarray] | None = None,
    shown: Sequence[Pool] = (),
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Trains until the recipe's last epoch or until it gets no better, and leaves the best weights in
    `model`; goes on from the last whole checkpoint in `out_dir`.

    Args:
        whole: the pools hold samples rather than features of the front.
        warm: the model has learned before; what it takes for the usual size of features stays.
        taught: a teacher's logits by pool; without them labels alone are learned.
        shown: the strips to learn from in the teacher's vectors, for hints.

    Raises:
        ConfigError: `training.no_data`, where one of the two kinds of strips is missing.
        CancelledError: `training.cancelled`, after saving, when `should_stop()` says so.
        IntegrityError: `checkpoint.corrupt`, where no whole checkpoint is left.
        PhonoloopError: `training.not_finite`.
    """
    if not (pools.recorded or pools.spoken) or not pools.others:
        raise ConfigError(
            "there is nothing to tell apart: strips with the phrase and without it are needed",
            code="training.no_data",
            hint="Give clips or let them be synthesised",
        )
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if not (warm or whole):
        _standardise(model, pools)
    draw = Draw(pools, recipe, taught or {}, {pool.name: pool for pool in shown})
    run = _start(recipe, model, draw, out_dir=out_dir, whole=whole)
    _epochs(run, on_progress, should_stop)
    run.model.load_weights(run.best)
    checkpoint.save_weights(out_dir / WEIGHTS, run.best)
    return TrainResult(
        weights_path=out_dir / WEIGHTS,
        best_epoch=run.best_epoch,
        epochs=run.epoch,
        steps=run.step,
        metrics=run.best_metrics,
        resumed_at_step=run.resumed_at_step,
    )


def _standardise(model: WakeNet, pools: Pools) -> None:
    """Tells a network that asks for it how large the features of these strips usually are."""
    if not isinstance(model.net, Head):
        return
    some = [pool.take(range(0, len(pool), max(1, len(pool) // _MEASURED_STRIPS))) for pool in pools.learned]
    vectors = torch.from_numpy(np.concatenate(some)).flatten(0, 1).double()
    model.net.set_normalisation(vectors.mean(0).float(), vectors.std(0).float())


def _start(recipe: WakeRecipe, model: WakeNet, draw: Draw, *, out_dir: Path, whole: bool) -> Run:
    numerics = choose_numerics(recipe.device, recipe.optim.precision)
    if numerics.device.type == "cpu" and recipe.optim.precision == "auto":
        numerics = Numerics(numerics.device, torch.float32)  # half precision pays on a GPU alone here
    model.to(numerics.device)
    optim, shown = recipe.optim, list(draw.shown.values())
    hints = hints_for(model.net, shown, recipe.seed).to(numerics.device) if shown else None
    learns = nn.ModuleList([model] if hints is None else [model, hints])
    run = Run(
        recipe=recipe,
        model=model,
        numerics=numerics,
        draw=draw,
        out_dir=out_dir,
        optimiser=adamw(learns, lr=optim.peak_lr, weight_decay=optim.weight_decay),
        scaler=torch.amp.GradScaler(numerics.device.type, enabled=numerics.dtype == torch.float16),
        hints=hints,
        whole=whole,
        average={name: tensor.detach().clone() for name, tensor in model.weights().items()},
    )
    run.resume()
    return run


def _epochs(run: Run, on_progress: OnProgress, should_stop: Callable[[], bool]) -> None:
    sink = MetricSink(run.out_dir, first_epoch=run.epoch + 1)
    stage = _Stage(on_progress, run.recipe.optim.epochs, run.epoch / run.recipe.optim.epochs)
    try:
        while run.epoch < run.recipe.optim.epochs and not run.stopped_early:
            started = time.monotonic()
            _mine(run)
            _one_epoch(run, stage, should_stop)
            values = _close_epoch(run) | {"epoch_s": time.monotonic() - started}
            sink.write(run.epoch, values)
            stage.report(run, metrics=values)
            checkpoint.save_step(run.checkpoints, run.step, run.state())
    finally:
        sink.close()


@dataclass
class _Stage:
    """How the run talks to whoever started it."""

    on_progress: OnProgress
    epochs: int
    first: float
    _last: float = 0.0

    def __post_init__(self) -> None:
        self._eta = Eta(self.first)

    def report(self, run: Run, *, share: float = 0.0, metrics: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        if metrics is None and now - self._last < _REPORT_EVERY_S:
            return
        self._last = now
        fraction = 1.0 if run.stopped_early else (run.epoch + share) / self.epochs
        self.on_progress(
            Progress(
                "train",
                # one that has just ended is counted already
                epoch=run.epoch if metrics is not None else min(run.epoch + 1, self.epochs),
                epochs=self.epochs,
                step=run.step,
                fraction=fraction,
                eta_s=self._eta.at(fraction),
                metrics=metrics or {},
                epoch_done=metrics is not None,
            )
        )


def _mine(run: Run) -> None:
    """Scores all strips without the phrase anew, where it is time for it."""
    rounds, epochs = run.recipe.mining.rounds, run.recipe.optim.epochs
    due = {round(epochs * (i + 1) / (rounds + 1)) for i in range(rounds)} - {0}
    if run.epoch in due:
        run.worst = worst_strips(
            run.net, run.draw.pools.others, share=run.recipe.mining.worst, numerics=run.numerics
        )


def _one_epoch(run: Run, stage: _Stage, should_stop: Callable[[], bool]) -> None:
    steps = run.recipe.optim.steps
    run.model.train()
    run.sums = Sums()
    for number in range(steps):
        if should_stop():
            raise CancelledError(
                f"training was stopped in epoch {run.epoch + 1}",
                code="training.cancelled",
                subject=str(run.out_dir),
                hint="Start it again to go on from the last whole epoch",
            )
        _take_step(run)
        stage.report(run, share=(number + 1) / steps)


def _take_step(run: Run) -> None:
    """One update. Random parts are a function of the step's number."""
    recipe = run.recipe
    seed_torch(recipe.seed, "step", run.step)
    rate = learning_rate(recipe.optim, run.step)
    for settings in run.optimiser.param_groups:
        settings["lr"] = rate
    loss = _loss(run, run.draw.batch(run.step, run.worst))
    run.scaler.scale(loss).backward()
    run.scaler.unscale_(run.optimiser)
    norm = float(nn.utils.clip_grad_norm_(run.model.parameters(), recipe.optim.clip_norm, foreach=True))
    if math.isfinite(norm):
        run.scaler.step(run.optimiser)
        follow(run.average, run.model.weights(), _decay(recipe.optim, run.step))
    run.scaler.update()
    run.optimiser.zero_grad(set_to_none=True)
    run.step += 1
    run.sums.add(steps=1, loss=float(loss.detach()) if math.isfinite(norm) else 0.0)
    _watch_finite(run, norm)


def learning_rate(optim: OptimRecipe, step: int) -> float:
    return one_cycle(
        step / (optim.epochs * optim.steps),
        peak=optim.peak_lr,
        warmup=optim.warmup,
        start_div=optim.start_div,
        end_div=optim.end_div,
    )


def _decay(optim: OptimRecipe, step: int) -> float:
    """Of the average: young ones forget the beginning faster."""
    return min(optim.ema, (1 + step) / (10 + step))


def _loss(run: Run, batch: Batch) -> Tensor:
    """Of a batch; the parts of an ensemble learn each by itself."""
    heard, partners, own = (part.to(run.numerics.device) for part in mix(batch, run.recipe, run.step))
    with run.numerics.autocast():
        said, frames = _heard(run, heard)
    losses = [_said_loss(run, logits.float(), batch, partners=partners, own=own) for logits in said]
    loss = torch.stack(losses).mean()
    if run.hints is None or frames is None or batch.shown is None:
        return loss
    return loss + run.recipe.teacher.hint * run.hints.loss(
        frames.float(), mixture(batch.shown.to(run.numerics.device), partners, own)
    )


def _said_loss(run: Run, logits: Tensor, batch: Batch, *, partners: Tensor, own: Tensor) -> Tensor:
    """Of logits (B, S), against labels and the teacher."""
    recipe, device = run.recipe, logits.device
    targets = targets_of(batch.ends.to(device), logits.shape[1], recipe.target)
    loss = _mixed(
        lambda rows, shares: strip_loss(logits, targets.at(rows), recipe.loss, shares), partners, own
    )
    if batch.taught is None:
        return loss
    taught, limit = batch.taught.to(device), recipe.teacher.limit
    agreed = _mixed(lambda rows, shares: teacher_loss(logits, taught[rows], shares, limit), partners, own)
    return (1 - recipe.teacher.weight) * loss + recipe.teacher.weight * agreed


def _mixed(loss: Callable[[Tensor, Tensor], Tensor], partners: Tensor, own: Tensor) -> Tensor:
    """Of mixtures: that of the strips, and that of their partners by how much of them was mixed in.

    Args:
        loss: of the strips in these rows of the batch, counted by these shares.
    """
    itself = loss(torch.arange(len(own), device=own.device), own)
    return itself + (1 - own).mean() * loss(partners, 1 - own) if (own < 1).any() else itself


def _heard(run: Run, heard: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Logits of each part that learns, and what they were read off where hints ask for it."""
    if run.hints is None:
        return run.net.each(heard), None
    logits, frames = run.net.with_frames(heard)
    return (logits,), frames


def _watch_finite(run: Run, norm: float) -> None:
    run.not_finite = 0 if math.isfinite(norm) else run.not_finite + 1
    if run.not_finite >= _MOST_NOT_FINITE:
        raise PhonoloopError(
            f"the gradient was not a number in {run.not_finite} steps in a row",
            code="training.not_finite",
            hint="Lower optim.peak_lr, or set optim.precision to fp32",
        )


def _close_epoch(run: Run) -> dict[str, float]:
    """Tries the averaged weights on the held-out strips; gives the epoch's figures."""
    run.epoch += 1
    weights = {name: tensor.detach().cpu().clone() for name, tensor in run.average.items()}
    values = {"loss": run.sums.mean("loss", "steps"), "lr": learning_rate(run.recipe.optim, run.step)}
    trial = _trial(run)
    values |= trial.to_metrics() if trial else {}
    score = trial.score if trial else -float(run.epoch)  # without anything held out, the last is taken
    if score < run.best_score - (run.recipe.stop.min_delta if trial else 0.0) or not run.best:
        run.best_score, run.best_epoch, run.best, run.best_metrics = score, run.epoch, weights, values
    patience = run.recipe.stop.patience
    run.stopped_early = bool(patience) and run.epoch - run.best_epoch >= patience
    return values


def _trial(run: Run) -> Trial | None:
    """Of the averaged weights; the model has its own again afterwards."""
    pools = run.draw.pools
    if not pools.held_phrase or not pools.held_others:
        return None
    own = {name: tensor.detach().clone() for name, tensor in run.model.weights().items()}
    run.model.load_weights(run.average)
    try:
        return try_out(run.net, pools, run.recipe, run.numerics)
    finally:
        run.model.load_weights(own)
