"""The loop: batches are functions of the step, and a stopped run ends at the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phonoloop.core.errors import CancelledError, ConfigError, PhonoloopError
from phonoloop.training.checkpoint import load_weights
from phonoloop.training.metrics import read_metrics
from phonoloop.wakeword.batches import Draw, Pools, mix, split_numbers
from phonoloop.wakeword.config import WakeRecipe, recipe_from_dict
from phonoloop.wakeword.distil import teach
from phonoloop.wakeword.features import NO_END, FrontEar, Pool, PoolPlan, compute, open_pool
from phonoloop.wakeword.heads import Head
from phonoloop.wakeword.hints import Hints
from phonoloop.wakeword.model import WakeNet, build_model
from phonoloop.wakeword.model_config import STEP_SAMPLES, ModelRecipe
from phonoloop.wakeword.train import learning_rate, train
from phonoloop.wakeword.trial import mean_miss, worst_strips

STEPS = 20
END = 12 * STEP_SAMPLES


def recipe(**changes) -> WakeRecipe:
    body = {
        "seed": 5,
        "device": "cpu",
        "model": {"kind": "bcresnet", "width": 1.0},
        "material": {"strip_steps": STEPS},
        "optim": {"epochs": 3, "steps": 3, "batch": 8, "precision": "fp32", "peak_lr": 1e-3},
        "mining": {"rounds": 1},
    }
    return recipe_from_dict({**body, **changes})


def pool(name: str, count: int, *, end: int = NO_END, level: float = 0.0) -> Pool:
    """Log-mel frames of noise; where `end` is given, louder up to it."""
    rng = np.random.default_rng([len(name), count])
    features = rng.normal(size=(count, STEPS * 8, 40)).astype(np.float16)
    if end != NO_END:
        last = end // 160
        features[:, last - 40 : last, 10:20] += level
    shards = [features[first : first + 64] for first in range(0, count, 64)]
    return Pool(name, np.full(count, end, np.int32), tuple(shards))


@pytest.fixture(scope="module")
def pools() -> Pools:
    return Pools.of(
        [
            pool("train_phrase_recorded", 30, end=END, level=4.0),
            pool("train_phrase_spoken", 20, end=END, level=3.0),
            pool("train_recorded", 90),
            pool("train_nothing", 20),
            pool("tune_phrase_recorded", 10, end=END, level=4.0),
            pool("tune_recorded", 30),
        ]
    )


def network(seed: int = 1) -> WakeNet:
    torch.manual_seed(seed)
    return build_model(recipe().model)


class TestBatches:
    def test_a_batch_is_a_function_of_its_step(self, pools):
        draw = Draw(pools, recipe())
        none = np.zeros(0, np.int64)
        one, again, other = draw.batch(3, none), draw.batch(3, none), draw.batch(4, none)
        assert torch.equal(one.heard, again.heard)
        assert not torch.equal(one.heard, other.heard)

    def test_it_holds_the_shares_that_the_recipe_asks_for(self, pools):
        wanted = recipe(optim={"batch": 20, "positive_share": 0.5, "recorded_share": 0.7})
        batch = Draw(pools, wanted).batch(0, np.zeros(0, np.int64))
        assert len(batch.ends) == 20
        assert int((batch.ends >= 0).sum()) == 10

    @pytest.mark.parametrize(
        ("share", "low", "high"), [(0.0, 0.75, 0.88), (0.3, 0.24, 0.36), (1.0, 1.0, 1.0)]
    )
    def test_recordings_have_their_share_of_what_is_not_the_phrase(self, pools, share, low, high):
        draw = Draw(pools, recipe(optim={"batch": 64, "recorded_negative_share": share}))
        drawn = [draw._negatives(np.random.default_rng(seed), np.zeros(0, np.int64)) for seed in range(40)]
        rows = [(pool.name, len(rows)) for parts in drawn for pool, rows in parts]
        recorded = sum(count for name, count in rows if name == "train_recorded")
        assert low <= recorded / sum(count for _, count in rows) <= high

    def test_the_worst_are_drawn_where_there_are_any(self, pools):
        wanted = recipe(mining={"share": 1.0}, optim={"batch": 8, "positive_share": 0.25})
        heard = Draw(pools, wanted).batch(0, np.array([95])).heard[2:]
        worst = torch.from_numpy(pools.others[1].take([5]))[0]
        assert all(torch.equal(strip, worst) for strip in heard)

    def test_numbers_are_counted_through_all_pools(self, pools):
        parts = split_numbers(pools.others, np.array([0, 89, 90, 109]))
        assert [(one.name, rows.tolist()) for one, rows in parts] == [
            ("train_recorded", [0, 89]),
            ("train_nothing", [0, 19]),
        ]

    def test_mixing_keeps_the_larger_share_and_is_off_at_probability_0(self, pools):
        batch = Draw(pools, recipe()).batch(0, np.zeros(0, np.int64))
        mixed, _, own = mix(batch, recipe(mixup={"probability": 1.0}), 0)
        assert float(own.min()) >= 0.5
        assert not torch.equal(mixed, batch.heard)
        plain, _, own = mix(batch, recipe(mixup={"probability": 0.0}), 0)
        assert torch.equal(plain, batch.heard)
        assert torch.equal(own, torch.ones(len(own)))


class TestLoop:
    def test_it_learns_what_can_be_learned(self, pools, tmp_path):
        wanted = recipe(
            optim={"epochs": 3, "steps": 18, "batch": 16, "peak_lr": 2e-2, "ema": 0.7},
            mixup={"probability": 0.0},
        )
        result = train(wanted, model=network(), pools=pools, out_dir=tmp_path)
        assert result.metrics["val_miss"] < 0.3
        assert [line["epoch"] for line in read_metrics(tmp_path)] == list(range(1, result.epochs + 1))

    def test_stopped_and_started_again_it_ends_at_the_same_weights(self, pools, tmp_path):
        train(recipe(), model=network(), pools=pools, out_dir=tmp_path / "whole")
        for stop_after in (2, 5):
            calls = iter(range(1_000))
            with pytest.raises(CancelledError) as caught:
                train(
                    recipe(),
                    model=network(),
                    pools=pools,
                    out_dir=tmp_path / "cut",
                    should_stop=lambda calls=calls, limit=stop_after: next(calls) >= limit,
                )
            assert caught.value.code == "training.cancelled"
        result = train(recipe(), model=network(9), pools=pools, out_dir=tmp_path / "cut")
        assert result.resumed_at_step == 3
        one, two = (load_weights(tmp_path / name / "model.pt") for name in ("whole", "cut"))
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_it_stops_where_nothing_gets_better(self, pools, tmp_path):
        wanted = recipe(
            stop={"patience": 2, "min_delta": 10.0},
            optim={"epochs": 9, "steps": 1, "batch": 4, "precision": "fp32"},
        )
        assert train(wanted, model=network(), pools=pools, out_dir=tmp_path).epochs == 3

    def test_without_anything_held_out_the_last_epoch_is_taken(self, pools, tmp_path):
        alone = replace(pools, held_phrase=(), held_others=())
        result = train(recipe(), model=network(), pools=alone, out_dir=tmp_path)
        assert (result.best_epoch, result.epochs) == (3, 3)

    def test_one_kind_of_strips_is_not_enough(self, pools, tmp_path):
        with pytest.raises(ConfigError) as caught:
            train(recipe(), model=network(), pools=replace(pools, others=()), out_dir=tmp_path)
        assert caught.value.code == "training.no_data"

    def test_a_rate_that_explodes_is_told(self, pools, tmp_path):
        broken = pool("train_recorded", 90)
        for shard in broken.arrays:
            shard[:] = np.inf
        wanted = recipe(optim={"epochs": 1, "steps": 22, "batch": 4, "precision": "fp32"})
        with pytest.raises(PhonoloopError) as caught:
            train(wanted, model=network(), pools=replace(pools, others=(broken,)), out_dir=tmp_path)
        assert caught.value.code == "training.not_finite"

    def test_the_rate_rises_and_falls(self):
        optim = recipe(optim={"epochs": 10, "steps": 10, "peak_lr": 1e-4}).optim
        rates = [learning_rate(optim, step) for step in range(101)]
        assert max(rates) == pytest.approx(1e-4)
        assert rates.index(max(rates)) == 10
        assert rates[-1] < 1e-6


def test_a_student_is_taught_and_both_resume(pools, tmp_path):
    wanted = replace(recipe(), teacher=replace(recipe().teacher, epochs=2))
    args = {"heard": pools, "seen": pools, "out_dir": tmp_path}
    student, teacher, lessons = teach(wanted, teacher=network(2), student=network(3), **args)
    assert (teacher.epochs, student.epochs) == (2, 3)
    assert lessons.taught.keys() == {pool.name for pool in pools.learned}
    assert not lessons.shown
    before = load_weights(tmp_path / "model.pt")
    again, _, _ = teach(wanted, teacher=network(2), student=network(3), **args)
    assert again.resumed_at_step == student.steps
    after = load_weights(tmp_path / "model.pt")
    assert all(torch.equal(before[name], after[name]) for name in before)


def in_vectors(pools: Pools) -> Pools:
    """As a teacher hears them: the loudness of six groups of bands, a vector a step."""
    every = (*pools.learned, *pools.held_phrase, *pools.held_others)
    return Pools.of([Pool(one.name, one.ends, tuple(map(_by_step, one.arrays))) for one in every])


def _by_step(features: np.ndarray) -> np.ndarray:
    by_step = features.astype(np.float32).reshape(len(features), STEPS, 8, 40).mean(2)
    return by_step[:, :, :36].reshape(len(features), STEPS, 6, 6).mean(3)


class TestHints:
    def learned(self, pools: Pools, folder: Path, hint: float, **args) -> dict[str, torch.Tensor]:
        wanted = replace(recipe(), teacher=replace(recipe().teacher, hint=hint))
        shown = in_vectors(pools).learned if hint else ()
        train(wanted, model=network(3), pools=pools, shown=shown, out_dir=folder, **args)
        return load_weights(folder / "model.pt")

    def test_a_stopped_run_ends_at_the_same_weights(self, pools, tmp_path):
        whole = self.learned(pools, tmp_path / "whole", 1.0)
        stops = iter([False] * 8)  # in the last of three epochs
        with pytest.raises(CancelledError):
            self.learned(pools, tmp_path / "stopped", 1.0, should_stop=lambda: next(stops, True))
        stopped = self.learned(pools, tmp_path / "stopped", 1.0)
        assert all(torch.equal(whole[name], stopped[name]) for name in whole)

    def test_a_teacher_is_asked_for_vectors_where_the_recipe_wants_hints(self, pools, tmp_path):
        wanted = replace(recipe(), teacher=replace(recipe().teacher, epochs=1, batch=8, hint=1.0))
        student = network(3)
        head = Head(ModelRecipe(kind="embedding", head_width=8), inputs=6)
        teacher = WakeNet(student.front, head, student.choice)
        result, taught, _ = teach(
            wanted, teacher=teacher, student=student, heard=pools, seen=in_vectors(pools), out_dir=tmp_path
        )
        assert (result.epochs, taught.epochs) == (3, 1)

    def test_they_change_what_is_learned_and_leave_nothing_in_the_network(self, pools, tmp_path):
        without, with_hints = (self.learned(pools, tmp_path / str(hint), hint) for hint in (0.0, 1.0))
        assert without.keys() == with_hints.keys()
        assert any(not torch.equal(without[name], with_hints[name]) for name in without)

    @torch.no_grad()
    def test_telling_all_of_the_vectors_costs_nothing(self):
        hints = Hints(2, 1, torch.tensor([3.0, -1.0]), torch.tensor([2.0, 0.5]))
        hints.guess.weight.copy_(torch.eye(2).unsqueeze(2))
        hints.guess.bias.zero_()
        frames = torch.randn(3, 2, 9)
        vectors = frames.transpose(1, 2) * hints.std + hints.mean
        assert float(hints.loss(frames, vectors)) == pytest.approx(0.0, abs=1e-9)
        assert float(hints.loss(frames, vectors + hints.std)) == pytest.approx(1.0)


def test_misses_are_meaned_over_rates():
    other = np.arange(1_000, dtype=float)
    assert mean_miss(np.array([2_000.0, 3_000.0]), other) == 0.0
    assert mean_miss(np.array([-1.0]), other) == 1.0
    assert 0.0 < mean_miss(np.array([995.0]), other) < 1.0


def test_the_worst_strips_are_found_in_any_pool(pools):
    class Loudest(torch.nn.Module):
        def forward(self, x):
            return x.mean(2)[:, ::8]

    loud = pool("train_loud", 10, end=END, level=9.0)
    from phonoloop.training.numerics import choose_numerics

    found = worst_strips(
        Loudest(), [pools.others[0], loud], share=0.1, numerics=choose_numerics("cpu", "fp32")
    )
    assert found.tolist() == list(range(90, 100))


class TestShards:
    def plan(self, count: int, made: list[int]) -> PoolPlan:
        def make(index: int) -> tuple[np.ndarray, int]:
            made.append(index)
            samples = np.random.default_rng(index).normal(0, 0.1, 4 * STEP_SAMPLES).astype(np.float32)
            return samples, index

        return PoolPlan("train_recorded", count, make)

    def run(self, plan, folder, should_stop=lambda: False):
        ears = {"own": FrontEar(network())}
        compute([plan], ears, folder, workers=2, on_done=lambda share: None, should_stop=should_stop)

    def test_what_is_there_is_not_made_again(self, tmp_path):
        made: list[int] = []
        plan = self.plan(130, made)
        self.run(plan, tmp_path)
        assert sorted(made) == list(range(130))
        next(tmp_path.glob("*-00001.own.npy")).unlink()
        made.clear()
        self.run(plan, tmp_path)
        assert sorted(made) == list(range(64, 128))

    def test_rows_are_found_again(self, tmp_path):
        plan = self.plan(130, [])
        self.run(plan, tmp_path)
        pool = open_pool(plan, "own", tmp_path)
        assert pool.ends.tolist() == list(range(130))
        audio = torch.from_numpy(plan.make(129)[0][None])
        expected = network().front(audio)[0].detach().numpy()
        assert np.allclose(pool.take([129])[0], expected, atol=0.01)

    def test_an_error_in_a_thread_is_told(self, tmp_path):
        def make(index: int) -> tuple[np.ndarray, int]:
            raise ValueError(f"strip {index}")

        with pytest.raises(ValueError, match="strip"):
            self.run(PoolPlan("train_recorded", 70, make), tmp_path)

    def test_asked_to_stop_it_stops(self, tmp_path):
        with pytest.raises(CancelledError):
            self.run(self.plan(70, []), tmp_path, should_stop=lambda: True)
