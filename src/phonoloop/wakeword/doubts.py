"""Recordings given as the phrase in which something else may be said.

A network learns what it is told: after training, a wrong clip scores as high as any other. So for this a
small one is trained, in seconds, on the synthesised phrase alone, and hears the recordings afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from phonoloop.training.numerics import choose_numerics
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.config import MiningRecipe, TeacherRecipe, WakeRecipe
from phonoloop.wakeword.heads import Head
from phonoloop.wakeword.losses import targets_of
from phonoloop.wakeword.model import WakeNet
from phonoloop.wakeword.train import train
from phonoloop.wakeword.trial import logits_of

_STEPS = 150
_LEAST_CLIPS = 10
#: a clip is doubtful so many spreads (of the median absolute deviation) below the middle of all …
_SPREADS = 2.5
#: … where the spread is at least this, in logits
_LEAST_SPREAD = 0.5
#: so many are named, the least alike first
_MOST_NAMED = 10


def doubtful_clips(
    recipe: WakeRecipe,
    *,
    model: WakeNet,
    pools: Pools,
    names: Sequence[str],
    out_dir: Path,
    should_stop: Callable[[], bool],
) -> tuple[str, ...]:
    """Names of recordings that sound unlike the synthesised phrase and unlike the other recordings: a list
    to be listened to, for some are only said oddly. Of 86 clips of "computer" with four of "smart mirror"
    among them, all four were within the lowest nine.

    Only a head on a backbone learns enough in seconds; for other networks, without synthesised speech
    or with a handful of clips, nothing is said.

    Args:
        model: with fresh weights; it is left as it is.
        names: of the recordings, in the order of the strips: strip i is of recording i modulo their number.
    """
    if pools.recorded is None or pools.spoken is None or len(names) < _LEAST_CLIPS:
        return ()
    if not isinstance(model.net, Head):
        return ()
    quick = replace(
        recipe,
        optim=replace(recipe.optim, epochs=1, steps=_STEPS),
        mining=MiningRecipe(rounds=0),
        teacher=TeacherRecipe(),
    )
    alone = replace(pools, recorded=None, held_phrase=(), held_others=())
    listener = copy.deepcopy(model)
    train(quick, model=listener, pools=alone, out_dir=out_dir, should_stop=should_stop)
    logits = logits_of(listener.net, pools.recorded, choose_numerics(recipe.device, "fp32"))
    ends = torch.from_numpy(pools.recorded.ends.astype(np.int64))
    high = targets_of(ends, logits.shape[1], recipe.target).high.numpy()
    best = np.where(high, logits, -np.inf).max(1)
    owner = np.arange(len(best)) % len(names)
    return tuple(names[i] for i in _far_below([np.median(best[owner == i]) for i in range(len(names))]))


def _far_below(values: Sequence[float]) -> list[int]:
    """Lowest first."""
    all_values = np.asarray(values)
    middle = np.median(all_values)
    spread = max(1.4826 * float(np.median(np.abs(all_values - middle))), _LEAST_SPREAD)
    found = np.flatnonzero(all_values < middle - _SPREADS * spread)
    return [int(i) for i in found[np.argsort(all_values[found])]][:_MOST_NAMED]
