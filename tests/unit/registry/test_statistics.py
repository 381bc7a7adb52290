import math

import numpy as np
import pytest

from phonoloop.registry.statistics import (
    Interval,
    Ratio,
    chance_below_zero,
    mapsswe,
    normal_cdf,
    normal_quantile,
    percentile_interval,
    rate_interval,
    ratio,
    resampled,
    student_cdf,
    student_quantile,
)


@pytest.mark.parametrize(
    ("t", "freedom", "share"),
    [  # from printed tables
        (-6.313751515, 1, 0.05),
        (-2.919985580, 2, 0.05),
        (-2.131846786, 4, 0.05),
        (-1.734063607, 18, 0.05),
        (-4.586893859, 10, 0.0005),
        (0.0, 7, 0.5),
        (2.228138852, 10, 0.975),
    ],
)
def test_student_is_that_of_the_tables(t, freedom, share):
    assert student_cdf(t, freedom) == pytest.approx(share, rel=1e-4)
    if share != 0.5:
        assert abs(student_quantile(max(share, 1 - share), freedom)) == pytest.approx(abs(t), rel=1e-4)


def test_student_with_many_degrees_is_normal():
    assert student_cdf(-1.96, 1e7) == pytest.approx(normal_cdf(-1.96), rel=1e-5)
    assert normal_quantile(0.975) == pytest.approx(1.959963985)


def test_a_ratio_is_over_all_words():
    got = ratio(np.array([1.0, 9.0]), np.array([10.0, 30.0]))
    assert got.value == pytest.approx(0.25)


def test_equal_blocks_have_the_spread_of_a_mean():
    rates = np.array([0.1, 0.2, 0.4, 0.1])
    got = ratio(rates * 50, np.full(4, 50.0))
    assert got.standard_error == pytest.approx(rates.std(ddof=1) / 2)
    assert got.freedom == pytest.approx(3)


def test_one_block_that_outweighs_the_others_leaves_fewer_degrees():
    got = ratio(np.array([1.0, 1.0, 1.0]), np.array([1000.0, 10.0, 10.0]))
    assert got.freedom < 0.1


def test_blocks_that_agree_exactly_are_fair_coins():
    assert chance_below_zero(Ratio(-0.1, 0.0, 4.0), blocks=5) == 1 / 32
    assert chance_below_zero(Ratio(0.1, 0.0, 4.0), blocks=5) == 1.0


def test_nothing_is_claimed_from_one_block():
    assert chance_below_zero(ratio(np.array([-5.0]), np.array([10.0])), blocks=1) == 1.0
    assert rate_interval([5], [10]) is None


def test_an_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        rates = np.clip(rng.normal(0.2, 0.05, 8), 0.0, 1.0)
        interval = rate_interval(rng.binomial(300, rates), np.full(8, 300))
        held += interval.low <= 0.2 <= interval.high
    assert 0.92 <= held / 400 <= 0.98


def test_without_an_error_the_interval_is_not_empty():
    interval = rate_interval([0, 0, 0], [100, 100, 100])
    assert interval.low == 0.0
    assert interval.high == pytest.approx(-math.log(0.025) / 300)


def test_an_interval_never_goes_below_zero():
    assert rate_interval([0, 0, 9], [100, 100, 100]).low == 0.0


def test_speakers_without_words_do_not_count():
    assert rate_interval([1, 2, 0], [10, 10, 0]) == rate_interval([1, 2], [10, 10])


def test_resampling_keeps_the_number_of_blocks_and_repeats_by_seed():
    sums = resampled(np.ones((7, 1)), resamples=50, seed=1)
    assert sums.shape == (50, 1)
    assert (sums == 7).all()
    values = np.arange(7.0)[:, None]
    assert (resampled(values, resamples=50, seed=1) == resampled(values, resamples=50, seed=1)).all()
    assert (resampled(values, resamples=50, seed=1) != resampled(values, resamples=50, seed=2)).any()


def test_many_blocks_are_resampled_in_parts():
    sums = resampled(np.arange(3000.0)[:, None], resamples=1000, seed=0)
    assert len(sums) == 1000
    assert sums.mean() == pytest.approx(3000 * 2999 / 2, rel=0.01)
    assert len(np.unique(sums)) > 900


def test_percentiles():
    assert percentile_interval(np.arange(101.0), confidence=0.9) == Interval(
        pytest.approx(5.0), pytest.approx(95.0)
    )


def test_matched_pairs():
    z, p = mapsswe(np.array([-1.0, -1.0, 0.0, -1.0, -2.0]))
    assert z == pytest.approx(-1.0 / (math.sqrt(0.5) / math.sqrt(5)))
    assert p == pytest.approx(normal_cdf(z))
    assert mapsswe(np.zeros(5)) == (0.0, 1.0)
