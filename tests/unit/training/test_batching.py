"""Batches hold every utterance once, are about as long as asked, and depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.training.batching import group, plan_batches, share_of_rank

durations = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=200)


def plan(lengths, batch_s=60.0, most=16, seed=1, epoch=0):
    return plan_batches(lengths, batch_s=batch_s, max_utterances=most, seed=seed, epoch=epoch)


@given(lengths=durations, batch_s=st.floats(1.0, 100.0), most=st.integers(1, 20))
def test_every_utterance_once_and_no_batch_too_long(lengths, batch_s, most):
    batches = plan(lengths, batch_s, most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= batch_s


def test_the_same_place_gives_the_same_plan_and_another_epoch_another():
    lengths = np.random.default_rng(0).uniform(1, 15, 300)
    assert plan(lengths) == plan(lengths)
    assert plan(lengths) != plan(lengths, epoch=1)
    assert plan(lengths) != plan(lengths, seed=2)


def test_little_is_padded():
    lengths = np.random.default_rng(0).uniform(1, 15, 1000)
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in plan(lengths))
    assert padded < 1.15 * lengths.sum()


def test_batches_come_in_no_order_of_length():
    lengths = np.linspace(1, 15, 500)
    longest = [max(lengths[i] for i in batch) for batch in plan(lengths)]
    assert longest != sorted(longest)


@given(count=st.integers(0, 50), size=st.integers(1, 8))
def test_groups_hold_all_batches_in_order(count, size):
    batches = [[i] for i in range(count)]
    groups = group(batches, size)
    assert [batch for one in groups for batch in one] == batches
    assert all(len(one) == size for one in groups[:-1])


@given(count=st.integers(1, 50), size=st.integers(1, 8))
def test_ranks_share_all_batches_equally(count, size):
    batches = [[i] for i in range(count)]
    shares = [share_of_rank(batches, rank=rank, world_size=size) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    assert {batch[0] for share in shares for batch in share} == set(range(count))
