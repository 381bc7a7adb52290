"""Intervals of counts, against scipy and against what they promise."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.registry.counts import binomial_cdf, poisson_cdf, poisson_interval, poisson_upper, wilson


@pytest.fixture(scope="module")
def stats():
    return pytest.importorskip("scipy.stats", reason="scipy is the oracle here; nothing else needs it")


def test_values_from_the_books():
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert poisson_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0253, 5.5716), abs=1e-4)


@settings(deadline=None)
@given(count=st.integers(0, 300), more=st.integers(0, 3000), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(stats, count, more, confidence):
    low, high = wilson(count, count + more, confidence=confidence)
    if count + more == 0:
        assert (low, high) == (0.0, 1.0)
        return
    theirs = stats.binomtest(count, count + more).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= low <= count / (count + more) <= high <= 1


@settings(deadline=None)
@given(count=st.integers(1, 2000), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_poisson_interval_is_garwoods(stats, count, confidence):
    tail = (1 - confidence) / 2
    low, high = poisson_interval(count, confidence=confidence)
    assert low == pytest.approx(stats.chi2.ppf(tail, 2 * count) / 2, rel=1e-9)
    assert high == pytest.approx(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2, rel=1e-9)


def test_none_seen_means_at_most_three():
    assert poisson_interval(0) == pytest.approx((0.0, 2.9957), abs=1e-4)
    assert poisson_upper(0, confidence=0.5) == pytest.approx(math.log(2))


@settings(deadline=None)
@given(count=st.integers(0, 500), mean=st.floats(0.001, 600))
def test_poisson_chances_are_scipys(stats, count, mean):
    assert poisson_cdf(count, mean) == pytest.approx(stats.poisson.cdf(count, mean), rel=1e-8, abs=1e-300)


@settings(deadline=None)
@given(of=st.integers(1, 400), part=st.floats(0, 1), share=st.floats(0, 1))
def test_binomial_chances_are_scipys(stats, of, part, share):
    count = int(part * of)
    assert binomial_cdf(count, of, share) == pytest.approx(
        stats.binom.cdf(count, of, share), rel=1e-7, abs=1e-12
    )


def test_nothing_below_nought():
    assert poisson_cdf(-1, 2.0) == binomial_cdf(-1, 5, 0.3) == 0.0
    assert poisson_cdf(0, 0.0) == 1.0
