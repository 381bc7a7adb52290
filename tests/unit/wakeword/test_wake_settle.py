"""What a detector is settled on: recordings before synthesised speech; clips that do not fit are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phonoloop.core.errors import InputError
from phonoloop.testing.wake_levels import LevelScorer, level_clip
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.config import JudgeRecipe
from phonoloop.wakeword.data import Material, Said, Spoken
from phonoloop.wakeword.division import Division
from phonoloop.wakeword.settle import Streams, outliers, settle, streams_of
from phonoloop.wakeword.spoken import Synthesised
from phonoloop.wakeword.streams import lay_out_negatives, score
from phonoloop.wakeword.trigger import TriggerSettings

TRIGGER = TriggerSettings(0.5)


def clips(count: int, level: float, label: Label = Label.POSITIVE, first: int = 0):
    return tuple(
        level_clip(level, seed=first + i, label=label, name=f"{first + i}.wav") for i in range(count)
    )


def material(*, recorded: int) -> Material:
    phrase = Division(clips(recorded, 0.9), clips(recorded, 0.9, first=100), clips(recorded, 0.9, first=200))
    other = Division(*(clips(3, 0.1, Label.NEGATIVE, first=at) for at in (300, 400, 500)))
    return Material(phrase, other, Division())


def said(count: int) -> tuple[Said, ...]:
    return tuple(Said(np.full(8_000, 1_000 + i, np.int16), f"tones:v{i}", "moka") for i in range(count))


SPOKEN = Synthesised(
    Spoken({side: said(6) for side in ("tune", "report")}, {}), {side: said(4) for side in ("tune", "report")}
)


class TestStreams:
    def test_where_people_say_the_phrase_no_synthesiser_is_reported_about(self):
        streams = streams_of(material(recorded=8), SPOKEN)
        assert not any(clip.voice for clip in (*streams.tune_positives, *streams.report_positives))
        assert streams.warnings == ()

    def test_where_nobody_does_synthesisers_stand_in_and_it_is_said(self):
        streams = streams_of(material(recorded=0), SPOKEN)
        assert all(clip.voice for clip in streams.report_positives)
        assert len(streams.warnings) == 2
        assert "no person says the phrase in the report stream" in streams.warnings[1]

    def test_ordinary_synthesised_speech_adds_to_what_the_threshold_is_chosen_on_alone(self):
        streams = streams_of(material(recorded=8), SPOKEN)
        assert sum(bool(clip.voice) for clip in streams.tune_negatives) == 4
        assert not any(clip.voice for clip in streams.report_negatives)

    def test_the_report_knows_where_its_phrases_end(self):
        streams = streams_of(material(recorded=8), SPOKEN)
        assert all(clip.phrase_end is not None for clip in streams.report_positives)

    @pytest.mark.parametrize(
        "empty", ["tune_positives", "tune_negatives", "report_positives", "report_negatives"]
    )
    def test_an_empty_stream_is_refused_by_name(self, empty):
        some = Streams(*(clips(2, 0.5, first=10 * i) for i in range(4)), noises=())
        with pytest.raises(InputError) as caught:
            settle(LevelScorer(), replace(some, **{empty: ()}), JudgeRecipe(), learned=())
        assert caught.value.code == "wakeword.no_report"
        assert empty.split("_")[1] in caught.value.message

    def test_what_other_networks_of_its_kind_say_to_more_recordings_counts_for_the_threshold(self):
        streams = streams_of(material(recorded=8), SPOKEN)
        alone = settle(LevelScorer(), streams, JudgeRecipe(), learned=()).operating
        louder = score(LevelScorer(), lay_out_negatives(clips(20, 0.6, Label.NEGATIVE, first=600)))
        more = settle(LevelScorer(), streams, JudgeRecipe(), learned=(), crossed=(louder,)).operating
        assert more.hours == pytest.approx(alone.hours + louder.hours)
        assert more.trigger.threshold > alone.trigger.threshold


class TestOutliers:
    def test_what_scores_far_below_the_others_is_named_lowest_first(self):
        odd = (level_clip(0.01, seed=90, name="b.wav"), level_clip(0.005, seed=91, name="a.wav"))
        found = outliers(LevelScorer(), (*clips(20, 0.9), *odd), TRIGGER)
        assert [name for name, _ in found] == ["a.wav", "b.wav"]

    def test_among_clips_that_all_score_alike_there_is_none(self):
        assert outliers(LevelScorer(), clips(20, 0.9), TRIGGER) == ()
        assert outliers(LevelScorer(), clips(20, 0.05), TRIGGER) == ()
        assert outliers(LevelScorer(), clips(1, 0.05), TRIGGER) == ()
