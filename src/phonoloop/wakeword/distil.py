"""A small network taught by a large one: the large one learns the phrase first, then shows what it hears.

The teacher's logits are matched at every step of every strip, synthesised and recorded, whether the
phrase is said in it or not; labels keep their part of the loss (`TeacherRecipe.weight`). Where the
recipe asks for hints, the vectors that the teacher decides by are to be told too (see `hints`). What it
would say to a mixture of two strips is not known: they count by their shares there, as labels do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import nn

from phonoloop.training.numerics import Numerics, choose_numerics
from phonoloop.training.progress import OnProgress, ignore_progress
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.config import TeacherRecipe, WakeRecipe
from phonoloop.wakeword.features import Pool
from phonoloop.wakeword.model import WakeNet
from phonoloop.wakeword.train import TrainResult, train
from phonoloop.wakeword.trial import logits_of


def teacher_recipe(recipe: WakeRecipe) -> WakeRecipe:
    """How the teacher itself is trained: as the student, with its own network, epochs and batches."""
    optim = replace(recipe.optim, epochs=recipe.teacher.epochs, batch=recipe.teacher.batch)
    return replace(
        recipe,
        name=f"{recipe.name}-teacher",
        model=recipe.teacher.model,
        optim=replace(optim, peak_lr=recipe.teacher.peak_lr),
        teacher=TeacherRecipe(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What a student learns from beside labels; nothing where there is no teacher.

    Attributes:
        taught: the teacher's logits by pool, see `taught_logits`.
        shown: the strips to learn from in the teacher's vectors, for hints.
    """

    taught: Mapping[str, np.ndarray] = field(default_factory=dict)
    shown: tuple[Pool, ...] = ()


def teach(
    recipe: WakeRecipe,
    *,
    teacher: WakeNet,
    student: WakeNet,
    heard: Pools,
    seen: Pools,
    out_dir: Path,
    warm: bool = False,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[TrainResult, TrainResult, Lessons]:
    """Trains the teacher in `out_dir/teacher`, then the student in `out_dir`; both resume.

    Args:
        warm: the student has learned before.
        heard, seen: the same strips, in the student's features and in the teacher's.

    Returns:
        What came of the student, and of the teacher, and what that one said.

    Raises:
        As `train.train`.
    """
    share = recipe.teacher.epochs / (recipe.teacher.epochs + recipe.optim.epochs)
    own = train(
        teacher_recipe(recipe),
        model=teacher,
        pools=seen,
        out_dir=out_dir / "teacher",
        on_progress=lambda told: on_progress(
            replace(told, stage="teach", fraction=share * told.fraction, eta_s=None)
        ),
        should_stop=should_stop,
    )
    lessons = Lessons(
        taught_logits(teacher.net, seen, choose_numerics(recipe.device, "fp32")),
        tuple(seen.learned) if recipe.teacher.hint else (),
    )
    result = train(
        recipe,
        model=student,
        pools=heard,
        out_dir=out_dir,
        warm=warm,
        taught=lessons.taught,
        shown=lessons.shown,
        on_progress=lambda told: on_progress(replace(told, fraction=share + (1 - share) * told.fraction)),
        should_stop=should_stop,
    )
    return result, own, lessons


def taught_logits(net: nn.Module, pools: Pools, numerics: Numerics) -> dict[str, np.ndarray]:
    """What a trained teacher says to every strip that is learned from: pool → (n, S) float16."""
    return {pool.name: logits_of(net, pool, numerics).astype(np.float16) for pool in pools.learned}
