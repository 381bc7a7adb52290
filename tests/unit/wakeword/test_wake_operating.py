"""Choosing a threshold for a rate that is meant to hold on audio nobody has heard yet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.operating import choose, curve, missed, threshold_logit
from phonoloop.wakeword.streams import Scored, lay_out_negatives, lay_out_positives
from phonoloop.wakeword.tail import LEAST_PEAKS, Peaks, fit_tail, logit, peaks_of, probability
from phonoloop.wakeword.trigger import TriggerSettings

STEP = 1_280
HOUR = 3600.0


def clips_of(count, duration_s):
    pcm = np.zeros(round(duration_s * 16_000), np.int16)
    return [_clip(pcm, i) for i in range(count)]


def _clip(pcm, i):
    return WakeClip(clip_id=f"{i:032x}", pcm=pcm, label=Label.NEGATIVE, name=f"c{i}")


def negatives(peaks_per_hour, hours, rng, draw):
    """A stream of one-minute clips whose scores are low, with single peaks drawn from a distribution."""
    layout = lay_out_negatives(clips_of(round(hours * 60), 60.0))
    steps = layout.placed[-1].over // STEP
    logits = np.full(steps, -9.0)
    at = rng.choice(steps // 20, rng.poisson(peaks_per_hour * hours), replace=False) * 20
    logits[at] = draw(len(at))
    return Scored(layout.placed, (1 / (1 + np.exp(-logits))).astype(np.float32), STEP)


def positives(logits):
    layout = lay_out_positives(clips_of(len(logits), 1.0))
    scores = np.full(layout.placed[-1].over // STEP, 1e-4, np.float32)
    for one, value in zip(layout.placed, logits, strict=True):
        scores[one.end // STEP : one.end // STEP + 4] = probability(value)
    return Scored(layout.placed, scores, STEP)


def exponential(scale):
    return lambda rng: lambda count: -4.0 + rng.exponential(scale, count)


# the tail


def test_peaks_are_the_highest_and_keep_their_distance():
    stream = negatives(60, 1.0, np.random.default_rng(0), lambda n: np.linspace(-3, 3, n))
    peaks = peaks_of(stream, 1, cooldown_s=1.0)
    assert peaks.logits[0] == pytest.approx(3.0, abs=1e-3)
    assert (np.diff(peaks.logits) <= 0).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    steps=st.integers(1, 4),
    cooldown_s=st.sampled_from([0.08, 0.5, 1.0, 2.0]),
    level=st.floats(-3, 3),
)
def test_there_are_as_many_peaks_above_a_level_as_events_where_peaks_are_short(
    seed, steps, cooldown_s, level
):
    rng = np.random.default_rng(seed)
    stream = negatives(30, 0.5, rng, lambda n: rng.uniform(-4, 4, n))
    # a smoothed peak is `steps` long: none may come again once the cool-down is over
    cooldown_s = max(cooldown_s, steps * 0.08)
    above = np.count_nonzero(peaks_of(stream, steps, cooldown_s=cooldown_s).logits > level)
    assert above == len(stream.events(TriggerSettings(probability(level), steps, cooldown_s)))


def test_peaks_of_one_clip_close_together_have_one_cause():
    layout = lay_out_negatives(clips_of(2, 60.0))
    scores = np.full(layout.placed[-1].over // STEP, 1e-4, np.float32)
    scores[[100, 150, 200, 500]] = [0.9, 0.8, 0.85, 0.7]
    scores[layout.placed[1].start // STEP + 50] = 0.6
    peaks = peaks_of(Scored(layout.placed, scores, STEP), 1, cooldown_s=1.0, most=5)
    np.testing.assert_allclose(1 / (1 + np.exp(-peaks.of_causes)), [0.9, 0.7, 0.6], rtol=1e-5)


def test_with_hardly_any_peaks_there_is_no_tail():
    few = Peaks(np.arange(LEAST_PEAKS, 0, -1.0), np.arange(LEAST_PEAKS), 1.0)
    assert fit_tail(few) is None


@settings(deadline=None)
@given(st.floats(0.01, 20), st.floats(0.1, 5), st.integers(6, 60))
def test_the_rate_at_the_threshold_for_a_rate_is_that_rate(per_hour, hours, count):
    peaks = Peaks(np.sort(np.random.default_rng(count).exponential(1, count))[::-1], np.arange(count), hours)
    tail = fit_tail(peaks)
    at = tail.at_rate(per_hour)
    assert tail.rate(at) == pytest.approx(min(per_hour, tail.per_hour * tail.peaks_each), rel=1e-6)


@pytest.mark.parametrize("hours", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_the_promised_rate_is_kept_on_average_by_many_models(hours, scale):
    rng = np.random.default_rng(1)
    truth = []
    for _ in range(400):
        logits = -4.0 + np.sort(rng.exponential(scale, rng.poisson(60 * hours)))[::-1]
        at, _ = threshold_logit(Peaks(logits, np.arange(len(logits)), hours), 0.5)
        truth.append(60 * np.exp(-(at + 4.0) / scale))
    assert 0.35 < np.mean(truth) < 0.6


def test_a_shorter_stream_gives_a_higher_threshold_than_a_long_one():
    rng = np.random.default_rng(2)

    def typical(hours):
        drawn = [np.sort(rng.exponential(1.0, rng.poisson(60 * hours)))[::-1] for _ in range(100)]
        return np.mean([threshold_logit(Peaks(one, np.arange(len(one)), hours), 0.5)[0] for one in drawn])

    assert typical(0.5) > typical(2.0) > typical(20.0)


def test_bursts_of_one_cause_do_not_pass_for_evidence():
    tops = np.sort(np.random.default_rng(3).exponential(1.0, 60))[::-1]
    alone = Peaks(tops, np.arange(60), 1.0)
    burst = Peaks(np.repeat(tops, 3), np.repeat(np.arange(60), 3), 1.0)
    assert threshold_logit(burst, 0.5)[0] > threshold_logit(alone, 0.5)[0]


# choosing


def test_the_tuning_stream_itself_keeps_the_rate():
    rng = np.random.default_rng(4)
    point = choose(positives(np.full(40, 5.0)), negatives(60, 4.0, rng, exponential(1.0)(rng)))
    assert point.events <= 2
    assert point.reached
    assert point.expected_per_hour <= 0.5 + 1e-9
    assert point.hours == pytest.approx(4.0)


def test_smoothing_is_what_misses_fewest():
    # single steps of noise reach what phrases reach, but phrases last four steps
    rng = np.random.default_rng(5)
    stream = negatives(60, 2.0, rng, lambda n: rng.uniform(1, 3, n))
    point = choose(positives(np.full(40, 2.0)), stream)
    assert point.missed == 0
    assert point.trigger.smoothing_steps > 1


def test_among_equals_the_least_delay_is_taken():
    rng = np.random.default_rng(5)
    point = choose(positives(np.full(40, 8.0)), negatives(60, 2.0, rng, exponential(0.5)(rng)))
    assert point.missed == 0
    assert point.trigger.smoothing_steps == 1


def test_the_threshold_lies_above_the_rules_by_the_margin():
    rng = np.random.default_rng(5)
    stream = negatives(60, 2.0, rng, exponential(1.0)(rng))
    none = Scored((), np.zeros(0), STEP)
    at, above = (choose(none, stream, margin=margin).trigger.threshold for margin in (0.0, 0.75))
    assert logit(above) - logit(at) == pytest.approx(0.75)


def test_few_positives_do_not_choose():
    rng = np.random.default_rng(6)
    stream = negatives(60, 2.0, rng, exponential(1.0)(rng))
    few, none = choose(positives(np.full(5, 5.0)), stream), choose(Scored((), np.zeros(0), STEP), stream)
    assert few.trigger == none.trigger
    assert any("too few" in told for told in few.warnings)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.floats(-3, 8))
def test_positives_never_change_the_threshold_of_a_smoothing(count, level):
    rng = np.random.default_rng(7)
    stream = negatives(60, 1.0, rng, exponential(1.0)(rng))
    with_these = choose(positives(np.full(count, level)), stream, smoothing=(1,))
    without = choose(Scored((), np.zeros(0), STEP), stream, smoothing=(1,))
    assert with_these.trigger == without.trigger


def test_negatives_that_score_as_high_as_anything_are_said():
    stream = negatives(60, 1.0, np.random.default_rng(8), lambda n: np.full(n, 20.0))
    point = choose(positives(np.full(40, 5.0)), stream, smoothing=(1,))
    assert not point.reached
    assert any("no threshold keeps" in told for told in point.warnings)


def test_a_short_stream_is_called_a_guess():
    rng = np.random.default_rng(9)
    point = choose(positives(np.full(40, 5.0)), negatives(60, 0.2, rng, exponential(1.0)(rng)))
    assert any("0.20 h" in told for told in point.warnings)


def test_a_silent_stream_gives_the_lowest_threshold_and_says_that_it_says_nothing():
    stream = negatives(0, 1.0, np.random.default_rng(10), np.zeros)
    stream = Scored(stream.placed, np.zeros_like(stream.scores), STEP)
    point = choose(positives(np.full(40, 5.0)), stream)
    assert point.events == 0
    assert 0 < point.trigger.threshold < 0.5


def test_without_negatives_there_is_nothing_to_choose_by():
    with pytest.raises(InputError) as refused:
        choose(positives([5.0]), Scored((), np.zeros(0, np.float32), STEP))
    assert refused.value.code == "wakeword.no_negatives"


def test_a_target_of_nothing_is_refused():
    stream = negatives(60, 0.1, np.random.default_rng(8), np.zeros)
    with pytest.raises(InputError) as refused:
        choose(positives([5.0]), stream, target_per_hour=0.0)
    assert refused.value.code == "wakeword.target"


# the curve


def test_the_curve_trades_misses_for_false_accepts():
    rng = np.random.default_rng(11)
    heard = positives(rng.normal(3, 2, 60))
    stream = negatives(60, 1.0, rng, exponential(1.0)(rng))
    point = choose(heard, stream)
    thresholds = [row.threshold for row in point.curve]
    assert thresholds == sorted(thresholds)
    assert point.trigger.threshold in thresholds
    assert [row.missed for row in point.curve] == sorted(row.missed for row in point.curve)
    for row in curve(heard, stream, point.trigger, points=5):
        trigger = TriggerSettings(row.threshold, row.smoothing_steps)
        assert row.missed == missed(heard, trigger)
        assert row.events == len(stream.events(trigger))
        assert row.to_dict()["false_accepts_per_hour"] == pytest.approx(row.events / stream.hours)


def test_probability_and_logit_are_inverse():
    assert probability(float(logit(0.3))) == pytest.approx(0.3)
    assert float(logit(0.0)) == -16.0
    assert float(logit(1.0)) == 16.0
