"""More to choose a threshold by: the recordings that were trained on, each heard by a network that was not.

A threshold for half a false accept an hour wants hours without the phrase that nothing was trained on,
and training wants the same hours. So the recordings to learn from are divided into folds, and for each
fold one more network is trained, in the same way, without it: what that one says to the fold stands
beside what the network itself says to the recordings held out (cross-fitting: Stone 1974,
"Cross-validatory choice and assessment of statistical predictions").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from phonoloop.training.progress import OnProgress
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.distil import Lessons
from phonoloop.wakeword.division import Division
from phonoloop.wakeword.features import fold_pool
from phonoloop.wakeword.infer import ScoreStream
from phonoloop.wakeword.layers import State
from phonoloop.wakeword.model import WakeNet
from phonoloop.wakeword.streams import Scored, lay_out_negatives, score
from phonoloop.wakeword.train import train


def cross_fit(
    recipe: WakeRecipe,
    negatives: Division,
    *,
    pools: Pools,
    lessons: Lessons,
    fresh: Callable[[], WakeNet],
    out_dir: Path,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> tuple[Scored, ...]:
    """What networks say to the recordings that they were not trained on, for each fold that has any.

    Args:
        negatives: recordings without the phrase.
        lessons: of a teacher, which has heard the folds itself: a network learns from it only what it says
            to the others.
        fresh: gives a network with fresh weights, the same each time.

    Raises:
        As `train.train`.
    """
    folds = recipe.judge.folds
    heard = []
    for fold, own in enumerate(negatives.folds(folds)):
        if not own:
            continue
        model = fresh()
        train(
            recipe,
            model=model,
            pools=without(pools, fold),
            taught=lessons.taught,
            shown=lessons.shown,
            out_dir=out_dir / str(fold),
            on_progress=lambda told, done=fold: on_progress(
                replace(told, stage="cross", fraction=(done + told.fraction) / folds, eta_s=None)
            ),
            should_stop=should_stop,
        )
        heard.append(score(Hearing(model), lay_out_negatives(own)))
    return tuple(heard)


def without(pools: Pools, fold: int) -> Pools:
    """All strips but those cut from a fold's recordings."""
    left = f"train_{fold_pool(fold)}"
    return replace(pools, others=tuple(pool for pool in pools.others if pool.name != left))


@dataclass(frozen=True, eq=False)
class Hearing:
    """A network in training, as a `StreamScorer`."""

    model: WakeNet

    @property
    def step_samples(self) -> int:
        return self.model.step_samples

    def stream(self) -> ScoreStream:
        self.model.eval()
        return ScoreStream(self)

    def initial_state(self) -> State:
        return self.model.initial_state(1)

    def run(self, audio: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """As `infer.StreamGraph.run`."""
        with torch.inference_mode():
            logits, after = self.model.step(torch.from_numpy(audio.copy()), state)
            return torch.sigmoid(logits)[0].numpy(), after
