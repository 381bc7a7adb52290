"""Each recording is heard by a network that did not learn from it, and by no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from phonoloop.testing.sounds import noise
from phonoloop.wakeword import cross
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.config import recipe_from_dict
from phonoloop.wakeword.cross import Hearing, cross_fit
from phonoloop.wakeword.distil import Lessons
from phonoloop.wakeword.division import Division
from phonoloop.wakeword.features import Pool, fold_pool
from phonoloop.wakeword.model import build_model

RECIPE = recipe_from_dict({"model": {"kind": "bcresnet"}, "judge": {"folds": 3}})
CLIPS = tuple(
    WakeClip.of(noise(0.5, level_dbfs=-30.0, seed=i), Label.NEGATIVE, name=f"{i}.wav", speaker=f"p{i % 7}")
    for i in range(28)
)


def pool(name: str) -> Pool:
    return Pool(name, np.full(2, -1, np.int32), (np.zeros((2, 4), np.float16),))


NAMES = [*(f"train_{fold_pool(fold)}" for fold in range(3)), "train_nothing"]
POOLS = Pools(None, None, tuple(map(pool, NAMES)))


def fresh():
    torch.manual_seed(0)
    return build_model(RECIPE.model)


def test_a_stream_in_any_pieces_is_what_the_network_says_to_the_whole():
    model = fresh().eval()
    samples = noise(1.3, level_dbfs=-20.0)
    stream = Hearing(model).stream()
    heard = np.concatenate([stream.push(piece) for piece in np.array_split(samples, 7)])
    with torch.inference_mode():
        whole = torch.sigmoid(model(torch.from_numpy(samples[None])))[0].numpy()
    assert heard == pytest.approx(whole, abs=1e-5)


def test_every_clip_is_heard_once_by_a_network_that_was_trained_without_its_fold(monkeypatch, tmp_path):
    trained = []

    def remember(recipe, *, model, pools, out_dir, **_):
        trained.append({one.name for one in pools.others})

    monkeypatch.setattr(cross, "train", remember)
    heard = cross_fit(
        RECIPE,
        Division(CLIPS),
        pools=POOLS,
        lessons=Lessons(),
        fresh=fresh,
        out_dir=tmp_path,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert sorted(one.clip.name for part in heard for one in part.placed) == sorted(c.name for c in CLIPS)
    every = {one.name for one in POOLS.others}
    assert [every - names for names in trained] == [{f"train_{fold_pool(fold)}"} for fold in range(3)]


def test_a_network_that_is_taught_is_taught_for_each_fold_too(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(cross, "train", lambda *_, taught, shown, **__: given.append((taught, shown)))
    lessons = Lessons({name: np.zeros((1, 1), np.float16) for name in NAMES}, POOLS.others)
    cross_fit(
        RECIPE,
        Division(CLIPS),
        pools=POOLS,
        lessons=lessons,
        fresh=fresh,
        out_dir=tmp_path,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert given == [(lessons.taught, lessons.shown)] * 3


def test_a_fold_without_recordings_needs_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(cross, "train", lambda *_, **__: None)
    one_speaker = Division(tuple(replace(clip, speaker="alone") for clip in CLIPS))
    heard = cross_fit(
        RECIPE,
        one_speaker,
        pools=POOLS,
        lessons=Lessons(),
        fresh=fresh,
        out_dir=tmp_path,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert len(heard) == 1
