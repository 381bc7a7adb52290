"""One definition of an event, for the detector that ships and for its judge."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import ConfigError, IntegrityError
from phonoloop.wakeword.trigger import Event, Trigger, TriggerSettings, events_in

STEP_S = 0.08


def steps_of(scores, **settings):
    return [event.step for event in events_in(np.array(scores), TriggerSettings(**settings), step_s=STEP_S)]


def test_an_event_is_a_score_that_reaches_the_threshold():
    assert events_in(np.array([0.1, 0.5, 0.2]), TriggerSettings(0.5), step_s=STEP_S) == [Event(1, 0.5)]
    assert steps_of([0.1, 0.49, 0.2], threshold=0.5) == []


def test_after_an_event_there_is_none_for_the_cooldown():
    scores = np.ones(40)
    assert steps_of(scores, threshold=0.5, cooldown_s=1.0) == [0, 13, 26, 39]
    assert steps_of(scores, threshold=0.5, cooldown_s=0.8) == [0, 10, 20, 30]
    assert steps_of(scores[:3], threshold=0.5, cooldown_s=0.0) == [0, 1, 2]


def test_a_score_during_the_cooldown_does_not_make_it_longer():
    assert steps_of([1] * 12 + [0] + [1], threshold=0.5, cooldown_s=1.0) == [0, 13]


def test_scores_are_averaged_over_the_last_steps_with_nothing_heard_before_the_start():
    assert steps_of([0.9, 0.9], threshold=0.5, smoothing_steps=2) == [1]
    assert steps_of([0.0, 0.9, 0.0, 0.9, 0.9], threshold=0.6, smoothing_steps=2) == [4]


def test_a_threshold_above_one_never_fires():
    assert steps_of([1.0] * 5, threshold=1.01) == []


def test_reset_forgets_what_was_heard():
    trigger = Trigger(TriggerSettings(0.5, smoothing_steps=2), step_s=STEP_S)
    assert trigger.push([0.9, 0.9]) == [Event(1, 0.9)]
    trigger.reset()
    assert trigger.push([0.9]) == []
    assert trigger.push([0.9]) == [Event(1, 0.9)]


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(0, 1), max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=12),
    threshold=st.floats(0.01, 1),
    smoothing_steps=st.integers(1, 5),
    cooldown_s=st.floats(0, 2),
)
def test_the_same_events_come_out_however_a_stream_is_cut(
    scores, cuts, threshold, smoothing_steps, cooldown_s
):
    settings = TriggerSettings(threshold, smoothing_steps, cooldown_s)
    whole = events_in(np.array(scores), settings, step_s=STEP_S)
    trigger = Trigger(settings, step_s=STEP_S)
    edges = [0, *sorted(min(cut, len(scores)) for cut in cuts), len(scores)]
    pieces = [trigger.push(np.array(scores[a:b])) for a, b in itertools.pairwise(edges)]
    assert [event for piece in pieces for event in piece] == whole


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(0, 1), max_size=200), threshold=st.floats(0.01, 1), cooldown_s=st.floats(0, 2)
)
def test_two_events_are_never_closer_than_the_cooldown(scores, threshold, cooldown_s):
    steps = steps_of(scores, threshold=threshold, cooldown_s=cooldown_s)
    assert all(b - a >= max(1, cooldown_s / STEP_S - 1e-6) for a, b in itertools.pairwise(steps))


@settings(deadline=None)
@given(scores=st.lists(st.floats(0, 1), max_size=100), smoothing_steps=st.integers(1, 4))
def test_without_a_cooldown_there_is_an_event_for_every_mean_that_reaches_it(scores, smoothing_steps):
    padded = np.concatenate([np.zeros(smoothing_steps - 1), scores])
    means = [np.mean(padded[i : i + smoothing_steps]) for i in range(len(scores))]
    steps = steps_of(scores, threshold=0.4, smoothing_steps=smoothing_steps, cooldown_s=0.0)
    assert set(steps) ^ {i for i, mean in enumerate(means) if mean >= 0.4} <= {
        i for i, mean in enumerate(means) if abs(mean - 0.4) < 1e-12
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"threshold": 0.5, "smoothing_steps": 0},
        {"threshold": 0.5, "smoothing_steps": 1.5},
        {"threshold": 0.5, "cooldown_s": -1.0},
    ],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError) as refused:
        TriggerSettings(**settings)
    assert refused.value.code == "wakeword.trigger"


@pytest.mark.parametrize("scores", [[0.1, float("nan")], [float("inf")], [[0.1, 0.2]]])
def test_a_model_that_gives_no_numbers_is_not_taken_for_a_quiet_one(scores):
    with pytest.raises(IntegrityError) as refused:
        Trigger(TriggerSettings(0.5), step_s=STEP_S).push(scores)
    assert refused.value.code == "wakeword.scores"
