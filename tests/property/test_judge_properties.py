"""What holds for any comparison."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.ids import canonical_json
from phonoloop.registry.judge import PairedUtterance, compare
from phonoloop.registry.model import Decision
from phonoloop.registry.rule import PromotionRule
from phonoloop.registry.statistics import rate_interval, ratio, student_cdf, student_quantile

RULE = PromotionRule(min_words=20, min_slice_words=10, resamples=500)


@st.composite
def utterances(draw, max_speakers=8):
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, max_speakers - 1),
                st.integers(0, 15),
                st.integers(0, 15),
                st.integers(0, 15),
                st.sampled_from(["north", "south"]),
            ),
            max_size=40,
        )
    )
    return [
        PairedUtterance(f"u{i}", f"s{speaker}", words, champion, candidate, {"dialect": dialect})
        for i, (speaker, words, champion, candidate, dialect) in enumerate(rows)
    ]


def swapped(pairs):
    return [replace(p, errors_champion=p.errors_candidate, errors_candidate=p.errors_champion) for p in pairs]


@settings(max_examples=60, deadline=None)
@given(utterances(), st.integers(0, 500))
def test_any_comparison_ends_in_a_verdict_with_evidence_that_is_json(pairs, tests_before):
    said = compare(pairs, RULE, tests_before=tests_before)
    assert said.decision in Decision
    assert said.reason
    canonical_json(said.evidence)


@settings(max_examples=60, deadline=None)
@given(utterances())
def test_two_models_are_never_both_better(pairs):
    decisions = {compare(pairs, RULE).decision, compare(swapped(pairs), RULE).decision}
    assert decisions != {Decision.BETTER}


@settings(max_examples=60, deadline=None)
@given(utterances())
def test_only_fewer_errors_can_be_better(pairs):
    if compare(pairs, RULE).decision is Decision.BETTER:
        assert sum(p.errors_candidate for p in pairs) < sum(p.errors_champion for p in pairs)


@settings(max_examples=60, deadline=None)
@given(utterances(), st.integers(0, 50))
def test_more_tests_before_never_help(pairs, tests_before):
    if compare(pairs, RULE, tests_before=tests_before + 1).decision is Decision.BETTER:
        assert compare(pairs, RULE, tests_before=tests_before).decision is Decision.BETTER


@settings(max_examples=60, deadline=None)
@given(utterances())
def test_a_model_is_not_better_than_itself(pairs):
    same = [replace(p, errors_candidate=p.errors_champion) for p in pairs]
    assert compare(same, RULE).decision is Decision.NOT_ENOUGH_EVIDENCE


@settings(max_examples=60, deadline=None)
@given(utterances(max_speakers=3))
def test_fewer_speakers_than_the_rule_asks_for_are_never_enough(pairs):
    assert compare(pairs, RULE).decision is Decision.NOT_ENOUGH_EVIDENCE


COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=2, max_size=12)


@settings(deadline=None)
@given(COUNTS)
def test_a_rate_lies_in_its_interval(counts):
    errors, words = zip(*counts, strict=True)
    low, high = rate_interval(errors, words)
    assert low <= sum(errors) / sum(words) <= high


@settings(deadline=None)
@given(COUNTS, st.integers(2, 9))
def test_the_unit_of_words_does_not_change_the_spread_of_a_rate(counts, factor):
    errors, words = (np.array(column, dtype=float) for column in zip(*counts, strict=True))
    one, many = ratio(errors, words), ratio(errors * factor, words * factor)
    assert np.isclose(one.standard_error, many.standard_error)
    assert np.isclose(one.freedom, many.freedom)


@settings(deadline=None)
@given(st.floats(0.5, 0.9999), st.floats(0.5, 1e4))
def test_students_quantile_is_the_inverse_of_its_distribution(share, freedom):
    assert abs(student_cdf(student_quantile(share, freedom), freedom) - share) < 1e-9


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.1, 1e4))
def test_students_distribution_rises(first, second, freedom):
    low, high = sorted((first, second))
    assert 0.0 <= student_cdf(low, freedom) <= student_cdf(high, freedom) + 1e-12 <= 1.0 + 1e-12
