"""Schedules, seeds, prefetching, metric files."""

from __future__ import annotations

import json
import threading
from contextlib import closing

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.training import seeds
from phonoloop.training.metrics import MetricSink, read_metrics
from phonoloop.training.prefetch import prefetch
from phonoloop.training.schedule import one_cycle

CYCLE = {"peak": 1e-3, "warmup": 0.25, "start_div": 25.0, "end_div": 1e4}


def test_one_cycle_rises_to_its_peak_and_falls():
    assert one_cycle(0.0, **CYCLE) == pytest.approx(1e-3 / 25)
    assert one_cycle(0.25, **CYCLE) == pytest.approx(1e-3)
    assert one_cycle(1.0, **CYCLE) == pytest.approx(1e-7)


@given(progress=st.floats(-1, 2), warmup=st.floats(0, 1))
def test_one_cycle_stays_within_its_bounds(progress, warmup):
    rate = one_cycle(progress, **(CYCLE | {"warmup": warmup}))
    assert 0.99e-7 <= rate <= 1e-3 * 1.0001


def test_one_cycle_is_the_one_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1e-3)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1e-3, total_steps=101, pct_start=0.25, div_factor=25, final_div_factor=400
    )
    ours = CYCLE | {"warmup": 24.25 / 100}
    for step in range(101):
        assert one_cycle(step / 100, **ours) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-6)
        optimiser.step()
        if step < 100:
            theirs.step()


def test_a_place_has_one_seed():
    assert seeds.derive_seed(1, "step", 2) == seeds.derive_seed(1, "step", 2)
    assert seeds.derive_seed(1, "step", 2) != seeds.derive_seed(1, "step", 3)
    assert seeds.derive_seed("a", "bc") != seeds.derive_seed("ab", "c")


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_prefetching_keeps_order(depth):
    assert list(prefetch(range(50), lambda i: i * i, depth=depth)) == [i * i for i in range(50)]


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_arrives_where_its_item_would_have(depth):
    def make(i):
        if i == 3:
            raise ValueError("three")
        return i

    got = []
    with pytest.raises(ValueError, match="three"):
        got.extend(prefetch(range(9), make, depth=depth))
    assert got == [0, 1, 2]


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with closing(prefetch(iter(int, 1), lambda i: i, depth=2)) as ready:
        assert next(ready) == 0
    assert threading.active_count() == before


def test_metrics_are_a_line_an_epoch_and_not_doubled_after_a_resume(tmp_path):
    sink = MetricSink(tmp_path)
    for epoch in (1, 2, 3):
        sink.write(epoch, {"loss": 1.0 / epoch})
    sink.close()
    again = MetricSink(tmp_path, first_epoch=3)
    again.write(3, {"loss": 9.0, "odd": float("inf")})
    again.close()
    assert read_metrics(tmp_path) == [
        {"epoch": 1, "loss": 1.0},
        {"epoch": 2, "loss": 0.5},
        {"epoch": 3, "loss": 9.0, "odd": None},
    ]
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["epoch"] == 1
