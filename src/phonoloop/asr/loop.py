"""The epochs of a training: batches, steps, checkpoints, validation, averaging."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from phonoloop.asr.config import AsrRecipe
from phonoloop.asr.data import AudioCache, Batch, TrainingEars, Utterance, make_batch
from phonoloop.asr.steps import Learner, learning_rate, take_step
from phonoloop.asr.validate import Validation, validate
from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.jobs.progress import Eta
from phonoloop.text.tokens import Tokenizer
from phonoloop.training import batching, checkpoint, distributed
from phonoloop.training.metrics import MetricSink
from phonoloop.training.numerics import Sums
from phonoloop.training.prefetch import prefetch
from phonoloop.training.progress import OnProgress, Progress

#: at most this often a step is reported
_REPORT_EVERY_S = 0.5


@dataclass
class Run:
    """A training under way. What resuming needs is in `position` and the learner's state.

    Attributes:
        epoch: epochs done. group: optimiser steps done in the present epoch. step: in all.
        scores: validation score by epoch, for averaging and early stopping.
        blank_streak: epochs in a row that looked collapsed.
    """

    recipe: AsrRecipe
    out_dir: Path
    tokenizer: Tokenizer
    learner: Learner
    cache: AudioCache
    ears: TrainingEars
    train: Sequence[Utterance]
    val: Sequence[Utterance]
    epoch: int = 0
    group: int = 0
    step: int = 0
    stopped_early: bool = False
    blank_streak: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)
    resumed_at_step: int | None = None
    damaged: tuple[Path, ...] = ()

    @property
    def checkpoints(self) -> Path:
        return self.out_dir / "checkpoints"

    @property
    def fraction(self) -> float:
        return min(1.0, self.epoch / self.recipe.epochs)

    def resume(self) -> None:
        """Goes to the last whole checkpoint, if there is one. Raises IntegrityError `checkpoint.corrupt`."""
        checkpoint.clear_temporary(self.checkpoints)
        found = checkpoint.find_latest(self.checkpoints)
        if found is None:
            return
        self.learner.restore(found.state["learner"])
        position = found.state["position"]
        self.epoch, self.group, self.step = position["epoch"], position["group"], position["step"]
        self.stopped_early, self.blank_streak = position["stopped_early"], position["blank_streak"]
        self.scores, self.sums = position["scores"], Sums(position["sums"])
        self.resumed_at_step, self.damaged = self.step, found.damaged

    def save(self) -> None:
        if self.learner.world.is_main:
            state = {"learner": self.learner.state(), "position": self.position()}
            checkpoint.save_step(self.checkpoints, self.step, state)

    def position(self) -> dict[str, Any]:
        names = ("epoch", "group", "step", "stopped_early", "blank_streak", "scores")
        return {name: getattr(self, name) for name in names} | {"sums": self.sums.values}

    def groups(self) -> list[list[list[int]]]:
        """The present epoch's optimiser steps as lists of micro-batches of utterance indices."""
        recipe, world = self.recipe, self.learner.world
        plan = batching.plan_batches(
            [utterance.duration_s for utterance in self.train],
            batch_s=recipe.batch.seconds,
            max_utterances=recipe.batch.max_utterances,
            seed=recipe.seed,
            epoch=self.epoch,
        )
        own = batching.share_of_rank(plan, rank=world.rank, world_size=world.size)
        return batching.group(own, recipe.batch.accumulate)


@dataclass
class Stage:
    """How the run talks to whoever started it."""

    on_progress: OnProgress
    should_stop: Callable[[], bool]
    epochs: int
    first_fraction: float
    _last: float = 0.0

    def __post_init__(self) -> None:
        self._eta = Eta(self.first_fraction)

    def report(self, run: Run, name: str, fraction: float, **more: Any) -> None:
        now = time.monotonic()
        if not more and now - self._last < _REPORT_EVERY_S:
            return
        self._last = now
        epoch = min(run.epoch + 1, self.epochs)
        eta_s = self._eta.at(fraction)
        self.on_progress(
            Progress(
                name, epoch=epoch, epochs=self.epochs, step=run.step, fraction=fraction, eta_s=eta_s, **more
            )
        )


def run_epochs(run: Run, stage: Stage) -> None:
    """All epochs that are left. Raises as `phonoloop.asr.train.train`."""
    sink = MetricSink(run.out_dir, first_epoch=run.epoch + 1) if run.learner.world.is_main else None
    try:
        while run.epoch < run.recipe.epochs and not run.stopped_early:
            started = time.monotonic()
            heard_s = _run_epoch(run, stage)
            seconds = max(time.monotonic() - started, 1e-9)
            values = _close_epoch(run) | {"audio_s_per_s": heard_s / seconds, "epoch_s": seconds}
            if sink is not None:
                sink.write(run.epoch + 1, values)
            stage.report(
                run, "validate", (run.epoch + 1) / run.recipe.epochs, metrics=values, epoch_done=True
            )
            _turn_page(run, values)
    finally:
        if sink is not None:
            sink.close()


def _run_epoch(run: Run, stage: Stage) -> float:
    """The steps of the present epoch that are left; gives the seconds of audio heard in them."""
    groups = run.groups()
    run.learner.model.train()
    before_s = run.sums.values.get("audio_s", 0.0)
    with closing(_batches(run, groups[run.group :])) as ready:
        for group in ready:
            progress = (run.epoch + run.group / len(groups)) / run.recipe.epochs
            take_step(run.learner, group, step=run.step, progress=progress, sums=run.sums)
            run.step += 1
            run.group += 1
            stage.report(run, "train", progress)
            _pause(run, stage, last=run.group == len(groups))
    return run.sums.values["audio_s"] - before_s if run.group else 0.0


def _batches(run: Run, groups: Sequence[list[list[int]]]) -> Iterator[list[Batch]]:
    hear = run.ears.at(run.epoch)

    def make(group: list[list[int]]) -> list[Batch]:
        return [make_batch([run.train[i] for i in indices], hear) for indices in group]

    return prefetch(groups, make, depth=run.recipe.batch.prefetch)


def _pause(run: Run, stage: Stage, *, last: bool) -> None:
    """Between steps: a checkpoint where one is due, and the end where somebody asked for it."""
    if stage.should_stop():
        run.save()
        raise CancelledError(
            f"training was stopped after step {run.step}",
            code="training.cancelled",
            subject=str(run.out_dir),
            hint="Start it again to go on from there",
        )
    if not last and run.step % run.recipe.keep.checkpoint_steps == 0:
        run.save()


def _close_epoch(run: Run) -> dict[str, float]:
    """Validates, keeps the weights for averaging; gives the epoch's figures."""
    weights = run.learner.weights()
    values = _training_values(run)
    if run.learner.world.is_main:
        checkpoint.save(_weights_path(run, run.epoch + 1), {"model": weights})
        if run.val:
            values |= _validate(run, weights).to_metrics()
            values["blank_collapse"] = float(_collapsed(run, run.epoch + 1, values))
    return distributed.from_main(run.learner.world, values)


def _training_values(run: Run) -> dict[str, float]:
    sums = run.sums
    return {
        "loss": sums.mean("loss", "tokens"),
        "grad_norm": sums.mean("grad_norm", "steps"),
        "lr": learning_rate(run.recipe.optim, (run.epoch + 1) / run.recipe.epochs),
        "step": run.step,
        "too_short": sums.values.get("too_short", 0.0),
        "not_finite": sums.values.get("not_finite", 0.0),
    }


def _validate(run: Run, weights: dict[str, Tensor]) -> Validation:
    """Scores these weights; the model has its own again afterwards."""
    model = run.learner.model
    own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights)
    try:
        return validate(
            model,
            run.val,
            cache=run.cache,
            tokenizer=run.tokenizer,
            numerics=run.learner.numerics,
            batch_s=max(run.recipe.batch.seconds, 100.0),
            language=run.recipe.language,
        )
    finally:
        model.load_state_dict(own)


def _turn_page(run: Run, values: dict[str, float]) -> None:
    """On to the next epoch, with a checkpoint; ends or gives up the run where the recipe says so."""
    run.epoch += 1
    run.group = 0
    run.sums = Sums()
    if "val_wer" in values:
        run.scores[run.epoch] = _ranking(values)
        run.blank_streak = run.blank_streak + 1 if values["blank_collapse"] else 0
        run.stopped_early = _should_end(run)
    run.save()
    _drop_weights(run)
    if 0 < run.recipe.stop.blank_patience <= run.blank_streak:
        raise PhonoloopError(
            f"the model writes nothing: {values['blank_share']:.1%} blanks for {run.blank_streak} epochs",
            code="training.blank_collapse",
            subject=str(run.out_dir),
            hint="Check that texts belong to their audio; try another optim.peak_lr or a longer warm-up",
        )


def _ranking(values: dict[str, float]) -> float:
    """Word errors first, then characters: early on, all words are wrong."""
    return values["val_wer"] + 1e-3 * values["val_cer"]


def _collapsed(run: Run, epoch: int, values: dict[str, float]) -> bool:
    stop = run.recipe.stop
    empty = values["blank_share"] > stop.blank_share and values["val_wer"] > 0.98
    return empty and epoch > stop.blank_after * run.recipe.epochs


def _should_end(run: Run) -> bool:
    patience = run.recipe.stop.patience
    if not patience or len(run.scores) <= patience:
        return False
    ordered = [run.scores[epoch] for epoch in sorted(run.scores)]
    return min(ordered[-patience:]) > min(ordered[:-patience]) - run.recipe.stop.min_delta


# ---------------------------------------------------------------- averaging


def _weights_path(run: Run, epoch: int) -> Path:
    return run.out_dir / "weights" / f"epoch-{epoch:04d}.ckpt"


def averaged_epochs(run: Run) -> list[int]:
    """The epochs whose weights make the model, as things stand."""
    keep = run.recipe.keep
    done = list(range(1, run.epoch + 1))
    if keep.average_by == "best" and run.scores:
        ranked = sorted(run.scores, key=lambda epoch: (run.scores[epoch], -epoch))
        return sorted(ranked[: keep.average])
    return done[-keep.average :]


def _drop_weights(run: Run) -> None:
    """Deletes what will not be averaged; the last epoch's stay in case the next one is cut short."""
    wanted = {*averaged_epochs(run), run.epoch}
    for path in (run.out_dir / "weights").glob("epoch-*.ckpt"):
        if int(path.stem.removeprefix("epoch-")) <= run.epoch and path not in {
            _weights_path(run, e) for e in wanted
        }:
            path.unlink(missing_ok=True)


def finish(run: Run, stage: Stage) -> dict[str, float]:
    """Averages into `model.pt` and scores the result."""
    stage.report(run, "average", 1.0, metrics={})
    parts = [checkpoint.load(_weights_path(run, epoch))["model"] for epoch in averaged_epochs(run)]
    weights = checkpoint.average(parts)
    metrics: dict[str, float] = {"averaged": float(len(parts))}
    if run.learner.world.is_main:
        checkpoint.save_weights(run.out_dir / "model.pt", weights)
        if run.val:
            metrics |= _validate(run, weights).to_metrics()
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
