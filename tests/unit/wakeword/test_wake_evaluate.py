"""Judging a detector: what is counted, on what, and what a person is told."""

import json

import numpy as np
import pytest

from phonoloop.core.errors import InputError
from phonoloop.testing.wake_levels import LevelScorer, level_clip
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.evaluate import evaluate
from phonoloop.wakeword.groups import distance_band, groups_of
from phonoloop.wakeword.report import report_lines, to_report, to_summary
from phonoloop.wakeword.trigger import TriggerSettings
from phonoloop.wakeword.verdict import Demands, Outcome

TRIGGER = TriggerSettings(0.5)


def phrases(levels, **known):
    return [level_clip(level, seed=i, name=f"p{i}.wav", **known) for i, level in enumerate(levels)]


def others(levels, duration_s=60.0):
    return [
        level_clip(level, duration_s=duration_s, seed=500 + i, name=f"n{i}.wav", label=Label.NEGATIVE)
        for i, level in enumerate(levels)
    ]


def judged(positives, negatives, trigger=TRIGGER, **options):
    return evaluate(LevelScorer(), trigger, positives, negatives, **options)


# events, not windows or files


def test_a_phrase_counts_once_however_long_it_scores():
    found = judged(phrases([0.9, 0.9, 0.2]), [])
    assert (found.misses.missed, found.misses.clips) == (1, 3)
    assert [one.name for one in found.missed] == ["p2.wav"]
    assert found.missed[0].score == pytest.approx(0.2, abs=0.01)


def test_a_second_event_in_a_phrase_is_no_second_hit_and_is_told():
    found = judged([level_clip(0.9, duration_s=2.5)], [])
    assert found.misses.missed == 0
    assert found.repeats == 2
    assert found.elsewhere == ()


def test_false_accepts_are_counted_per_event_after_the_cooldown():
    found = judged([], others([0.1, 0.9], duration_s=10.0))
    # ten seconds of it, once a second and a step
    assert found.accepts.events == 10
    assert found.accepts.hours == pytest.approx(20 / 3600)


def test_what_fired_can_be_found_and_listened_to():
    clip = WakeClip.of(
        np.concatenate([np.zeros(48_000), level_clip(0.8, duration_s=0.2).samples, np.zeros(16_000)]),
        Label.NEGATIVE,
        name="talk.wav",
        source="radio",
    )
    (fired,) = judged([], [clip]).fired
    assert (fired.name, fired.source) == ("talk.wav", "radio")
    assert fired.at_s == pytest.approx(3.08, abs=0.081)
    assert fired.score == pytest.approx(0.8, abs=0.01)


def test_the_same_audio_cannot_be_on_both_sides():
    clip = level_clip(0.9)
    found = judged([clip], [clip, *others([0.1])])
    assert found.accepts.events == 0
    assert any("also among the positives" in told for told in found.warnings)


def test_silence_is_told_apart_from_evidence():
    found = judged([], [WakeClip.of(np.zeros(160_000, np.int16), Label.NEGATIVE)])
    assert found.hours_of_sound == 0.0
    assert any("near silence" in told for told in found.warnings)


# verdict


def test_a_quiet_minute_decides_nothing():
    found = judged(phrases([0.9] * 100, duration_s=0.2), others([0.1]))
    assert found.verdict.outcome is Outcome.NOT_ENOUGH
    assert found.verdict.more_hours.at_least > 5
    assert found.verdict.more_clips is None


def test_what_is_asked_of_it_can_be_changed():
    found = judged(phrases([0.9] * 100, duration_s=0.2), others([0.1]), demands=Demands(max_per_hour=200.0))
    assert found.verdict.outcome is Outcome.GOOD


def test_with_nothing_to_hear_it_says_so():
    found = judged([], [])
    assert found.verdict.outcome is Outcome.NOT_ENOUGH
    report = to_report(found)
    assert report["false_accepts"]["per_hour"] is None
    assert report["misses"]["share"] is None
    assert "no audio without the phrase was heard" in "\n".join(report_lines(report))


# clips as single decisions


def test_clip_metrics():
    found = judged(phrases([0.9, 0.9, 0.9, 0.1]), others([0.9, 0.1, 0.1, 0.1], duration_s=1.0)).clips
    assert (found.hits, found.missed, found.false_accepts, found.rejected) == (3, 1, 1, 3)
    assert found.accuracy == found.precision == found.recall == found.f1 == 0.75
    assert found.far == found.frr == 0.25


def test_a_long_negative_is_many_decisions():
    found = judged([], others([0.1, 0.9], duration_s=30.0)).clips
    assert found.false_accepts + found.rejected == 20
    assert found.false_accepts == 10


# groups


def test_misses_by_group_worst_first():
    clips = phrases([0.9] * 20, speaker="an", voice="", source="kitchen")
    clips += phrases([0.1] * 8 + [0.9] * 8, speaker="bình", source="car", distance_m=3.0)
    clips += phrases([0.1], source="car")
    groups = judged(clips, []).groups
    assert [group.value for group in groups["speaker"]] == ["bình", "unknown", "an"]
    assert groups["speaker"][0].misses.missed == 8
    assert [group.value for group in groups["source"]] == ["car", "kitchen"]
    assert [group.value for group in groups["distance"]] == ["2-4 m", "unknown"]
    assert "voice" not in groups
    assert groups["snr"]


def test_one_miss_of_one_is_not_worse_than_many():
    clips = phrases([0.1], speaker="once") + phrases([0.1] * 10, speaker="often")
    found = groups_of(clips, [True] * 11)["speaker"]
    assert [group.value for group in found] == ["often", "once"]


@pytest.mark.parametrize(
    ("metres", "band"),
    [(0.2, "below 1 m"), (1.0, "1-2 m"), (3.9, "2-4 m"), (9.0, "from 4 m"), (None, "unknown")],
)
def test_distance_bands(metres, band):
    assert distance_band(level_clip(0.5, distance_m=metres)) == band


# noise


def test_misses_with_noise_at_a_ratio():
    hiss = level_clip(0.3, duration_s=3.0, seed=3_000, label=Label.NOISE)
    found = judged(phrases([0.45] * 5), [], noises=[hiss], snrs_db=[0.0, 40.0])
    assert found.misses.missed == 5
    # as loud as the phrase itself, the noise lifts it above the threshold
    assert (found.noisy[0.0].missed, found.noisy[40.0].missed) == (0, 5)


def test_noise_has_to_be_there():
    with pytest.raises(InputError) as refused:
        judged(phrases([0.9]), [], snrs_db=[10.0])
    assert refused.value.code == "wakeword.no_noise"


# latency and outliers


def test_latency_counts_from_the_end_of_the_phrase():
    late = [level_clip(0.9, seed=i, phrase_end=8_000) for i in range(5)]
    latency = judged(late, []).latency
    assert latency.clips == 5
    # the tone is loud from its start, half a second before
    assert -500 <= latency.median_ms <= -400
    assert judged(phrases([0.9]), []).latency is None


def test_a_clip_of_another_phrase_stands_out():
    found = judged(phrases([0.9, 0.92, 0.95, 0.97, 0.93] * 5 + [0.01]), [])
    assert found.outliers == ("p25.wav",)
    assert found.missed[0].outlier
    assert any("p25.wav" in told for told in found.warnings)


def test_a_hard_clip_is_no_outlier():
    assert judged(phrases([0.6, 0.9, 0.95, 0.7, 0.99] * 5 + [0.45]), []).outliers == ()


# the report


@pytest.fixture
def report():
    positives = phrases([0.9] * 30 + [0.1] * 4, speaker="an") + phrases([0.9] * 5, speaker="bình")
    return to_report(judged(positives, others([0.1, 0.1, 0.9], duration_s=60.0)))


def test_the_report_is_json(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_report_gives_every_rate_with_what_it_was_counted_in(report):
    assert report["false_accepts"]["hours"] == pytest.approx(0.05)
    assert (
        report["false_accepts"]["low"] < report["false_accepts"]["per_hour"] < report["false_accepts"]["high"]
    )
    assert report["misses"]["missed"] == 4
    assert report["misses"]["clips"] == 39
    assert {"threshold", "false_accepts_per_hour", "misses"} <= set(report["curve"][0])


def test_a_person_reads_sentences(report):
    text = "\n".join(report_lines(report))
    assert text.startswith("Accepts too much.")
    assert "4 of 39: 10.3 %" in text
    assert "Misses by speaker, worst first:" in text
    assert "n2.wav" in text
    assert "and 48 more" in text


def test_the_summary_names_no_clips():
    found = judged(phrases([0.9, 0.1]), others([0.9], duration_s=5.0))
    assert ".wav" not in json.dumps(to_summary(found))


def test_the_same_seed_gives_the_same_report():
    def once():
        noise = [level_clip(0.3, duration_s=3.0, seed=77, label=Label.NOISE)]
        clips = phrases(np.linspace(0.4, 0.6, 20))
        return to_report(judged(clips, others([0.49, 0.51]), noises=noise, snrs_db=[5.0]))

    assert once() == once()
