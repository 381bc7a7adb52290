"""Recordings of something else, given as the phrase, are named before they are learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.config import recipe_from_dict
from phonoloop.wakeword.doubts import doubtful_clips
from phonoloop.wakeword.features import NO_END, Pool
from phonoloop.wakeword.heads import Head
from phonoloop.wakeword.model_config import STEP_SAMPLES, ModelRecipe

STEPS, SIZE, END = 24, 8, 14 * STEP_SAMPLES
RECIPE = recipe_from_dict(
    {
        "device": "cpu",
        "material": {"strip_steps": STEPS},
        "loss": {"kind": "bce"},
        "optim": {"batch": 16, "peak_lr": 1e-2, "precision": "fp32"},
    }
)
WRONG = 7


def strips(count: int, channel: int | None) -> np.ndarray:
    features = np.random.default_rng([count, channel or 0]).normal(size=(count, STEPS, SIZE))
    if channel is not None:
        features[:, 10:15, channel] += 4.0
    return features.astype(np.float16)


def pool(name: str, features: np.ndarray, end: int = NO_END) -> Pool:
    shards = tuple(features[first : first + 64] for first in range(0, len(features), 64))
    return Pool(name, np.full(len(features), end, np.int32), shards)


class Network(torch.nn.Module):
    """A head and nothing before it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = Head(ModelRecipe(kind="embedding", head="tcn", head_width=8), SIZE)

    def weights(self):
        return dict(self.net.state_dict())

    def load_weights(self, weights) -> None:
        self.net.load_state_dict(dict(weights))


@pytest.fixture(scope="module")
def pools() -> Pools:
    clips = strips(20, 1)
    clips[WRONG] = strips(1, 5)[0]
    return Pools(
        recorded=pool("train_phrase_recorded", np.concatenate([clips, clips]), END),
        spoken=pool("train_phrase_spoken", strips(60, 1), END),
        others=(pool("train_other", strips(100, None)), pool("train_near", strips(60, 5))),
    )


def doubts(pools: Pools, folder, names=tuple(f"{i}.wav" for i in range(20)), model=None):
    return doubtful_clips(
        RECIPE,
        model=model or Network(),
        pools=pools,
        names=names,
        out_dir=folder,
        should_stop=lambda: False,
    )


def test_the_clip_of_something_else_is_named_first(pools, tmp_path):
    model = Network()
    before = {name: tensor.clone() for name, tensor in model.weights().items()}
    assert doubts(pools, tmp_path, model=model)[0] == f"{WRONG}.wav"
    assert all(torch.equal(tensor, model.weights()[name]) for name, tensor in before.items())


def test_of_a_handful_of_clips_or_without_synthesis_nothing_is_said(pools, tmp_path):
    assert doubts(pools, tmp_path, names=("a", "b")) == ()
    alone = Pools(pools.recorded, None, pools.others)
    assert doubts(alone, tmp_path) == ()
