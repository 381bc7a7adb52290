"""What a number of events in a number of hours allows to be said."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.registry.counts import poisson_interval
from phonoloop.wakeword.verdict import (
    AcceptRate,
    Demands,
    MissRate,
    Outcome,
    _least_events,
    _most_events,
    clips_needed,
    hours_needed,
    judge,
)

DEMANDS = Demands(max_per_hour=0.5, max_miss_share=0.05)
FEW_MISSES = MissRate(1, 311)
QUIET = AcceptRate(0, 6.5)

events = st.integers(0, 40)
hours = st.floats(0.1, 60)


def test_nothing_heard_is_never_called_zero_an_hour():
    assert str(AcceptRate(0, 1.8)) == "0 in 1.8 h: at most 1.7 an hour (95 %)"
    assert str(AcceptRate(3, 2.1)) == "3 in 2.1 h: 1.4 an hour (0.29 to 4.2, 95 %)"
    assert str(AcceptRate(0, 0.0)) == "no audio without the phrase was heard"


def test_misses_come_with_their_count_and_interval():
    assert str(MissRate(3, 311)) == "3 of 311: 1.0 % (0.3 to 2.8 %, 95 %)"
    assert str(MissRate(0, 60)) == "0 of 60: at most 6.0 % (95 %)"
    assert str(MissRate(0, 0)) == "no clip of the phrase was heard"


@pytest.mark.parametrize(
    ("accepts", "misses", "outcome"),
    [
        (QUIET, FEW_MISSES, Outcome.GOOD),
        (AcceptRate(0, 1.8), FEW_MISSES, Outcome.NOT_ENOUGH),
        (QUIET, MissRate(0, 10), Outcome.NOT_ENOUGH),
        (QUIET, MissRate(60, 311), Outcome.MISSES),
        (AcceptRate(0, 1.8), MissRate(60, 311), Outcome.MISSES),
        (AcceptRate(20, 2.0), FEW_MISSES, Outcome.ACCEPTS),
        (AcceptRate(20, 2.0), MissRate(60, 311), Outcome.ACCEPTS),
        (AcceptRate(0, 0.0), MissRate(0, 0), Outcome.NOT_ENOUGH),
    ],
)
def test_the_outcome(accepts, misses, outcome):
    assert judge(accepts, misses, DEMANDS).outcome is outcome


def test_too_much_of_both_is_said_of_both():
    reasons = judge(AcceptRate(20, 2.0), MissRate(60, 311), DEMANDS).reasons
    assert ["more than" in reason for reason in reasons] == [True, True]


@settings(deadline=None, max_examples=40)
@given(events, hours, st.integers(0, 30), st.integers(1, 300), st.integers(2, 10))
def test_more_of_the_same_never_makes_enough_into_not_enough(count, heard, missed, more, times):
    clips = missed + more
    small = judge(AcceptRate(count, heard), MissRate(missed, clips), DEMANDS).outcome
    large = judge(
        AcceptRate(count * times, heard * times), MissRate(missed * times, clips * times), DEMANDS
    ).outcome
    assert (
        large is small or small is Outcome.NOT_ENOUGH or {small, large} == {Outcome.MISSES, Outcome.ACCEPTS}
    )


@settings(deadline=None, max_examples=40)
@given(events, hours)
def test_what_is_decided_asks_for_nothing_and_what_is_open_says_so(count, heard):
    verdict = judge(AcceptRate(count, heard), FEW_MISSES, DEMANDS)
    assert (verdict.outcome is Outcome.NOT_ENOUGH) == (verdict.more_hours is not None)
    assert verdict.more_clips is None


@settings(deadline=None, max_examples=40)
@given(events, hours)
def test_one_more_event_never_makes_it_better(count, heard):
    order = [Outcome.GOOD, Outcome.NOT_ENOUGH, Outcome.ACCEPTS]
    before, after = (judge(AcceptRate(n, heard), FEW_MISSES, DEMANDS).outcome for n in (count, count + 1))
    assert order.index(after) >= order.index(before)


# how much more


@settings(deadline=None, max_examples=40)
@given(events, hours)
def test_the_least_hours_decide_if_nothing_fires_in_them(count, heard):
    need = hours_needed(AcceptRate(count, heard), 0.5)
    if need.at_least is not None:
        total = heard + need.at_least
        assert AcceptRate(count, total * (1 + 1e-9)).interval.high <= 0.5
        assert need.at_least == 0 or AcceptRate(count, total - 0.01).interval.high > 0.5


def test_none_in_1_8_hours_needs_4_2_more_without_one():
    need = hours_needed(AcceptRate(0, 1.8), 0.5)
    assert need.at_least == pytest.approx(4.19, abs=0.01)
    assert need.likely > need.at_least


def test_the_likely_hours_decide_four_times_in_five():
    stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here; nothing else needs it")
    need = hours_needed(AcceptRate(2, 10.0), 0.5)
    more = stats.poisson(need.likely * 2.5 / 10).rvs(4000, random_state=1)
    decided = [AcceptRate(2 + int(n), 10 + need.likely).interval.high <= 0.5 for n in more]
    assert 0.77 < sum(decided) / len(decided) < 0.9


def test_too_many_events_ask_for_the_hours_that_show_it():
    need = hours_needed(AcceptRate(3, 2.1), 0.5)
    assert need.at_least is None
    assert 2 < need.likely < 10


def test_at_the_limit_no_amount_is_promised():
    assert hours_needed(AcceptRate(10, 20.0), 0.5).likely is None
    assert "so near to the limit" not in str(judge(QUIET, FEW_MISSES, DEMANDS).reasons)


def test_clips_without_a_miss():
    need = clips_needed(MissRate(0, 60), 0.05)
    assert MissRate(0, 60 + int(need.at_least)).interval.high <= 0.05
    assert need.at_least < 20
    assert need.likely >= need.at_least


def test_the_likely_clips_decide_four_times_in_five():
    stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here; nothing else needs it")
    need = clips_needed(MissRate(2, 100), 0.05)
    more = stats.binom(int(need.likely), 2.5 / 101).rvs(4000, random_state=1)
    decided = [MissRate(2 + int(n), 100 + int(need.likely)).interval.high <= 0.05 for n in more]
    assert 0.77 < sum(decided) / len(decided) < 0.9


@pytest.mark.parametrize("wrong", [{"max_per_hour": 0.0}, {"max_miss_share": 0.0}, {"confidence": 1.0}])
def test_what_cannot_be_shown_cannot_be_demanded(wrong):
    with pytest.raises(InputError) as refused:
        Demands(**wrong)
    assert refused.value.code == "wakeword.target"


@cache
def intervals(confidence):
    return [poisson_interval(count, confidence=confidence) for count in range(150)]


@settings(deadline=None, max_examples=60)
@given(st.floats(0.1, 80), st.sampled_from([0.8, 0.95]))
def test_counts_that_decide_are_those_of_the_interval(mean, confidence):
    ends = intervals(confidence)
    within = [count for count, interval in enumerate(ends) if interval.high <= mean]
    assert _most_events(mean, confidence) == (within[-1] if within else -1)
    assert _least_events(mean, confidence) == next(
        n for n, interval in enumerate(ends) if interval.low > mean
    )
