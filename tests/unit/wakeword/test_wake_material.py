"""What training is made of: ends of phrases, sides that share nobody, strips, targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.data.split import SplitRule
from phonoloop.testing.sounds import noise, silence, tone, utterance
from phonoloop.testing.wake_material import recording, say
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.config import LossRecipe, TargetRecipe, recipe_from_dict
from phonoloop.wakeword.data import Material, plans
from phonoloop.wakeword.division import Division, copies_among, divide, divide_recordings
from phonoloop.wakeword.ends import loudest_span, phrase_span, without_zeros
from phonoloop.wakeword.losses import strip_loss, targets_of, teacher_loss
from phonoloop.wakeword.strips import Piece, StripMaker

RULE = SplitRule(70, 15)


def clip(number: int, speaker: str = "", label: Label = Label.POSITIVE, seconds: float = 0.2) -> WakeClip:
    samples = tone(300 + number, seconds)
    return WakeClip.of(samples, label, name=f"{number}.wav", speaker=speaker)


def sides_of(division):
    return division.train, division.tune, division.report


class TestEnds:
    @pytest.mark.parametrize("floor_dbfs", [None, -65.0, -45.0])
    def test_the_phrase_is_found_between_pauses(self, floor_dbfs):
        spoken = say("mokalira")
        samples = np.concatenate([silence(0.7), spoken, silence(0.9)])
        if floor_dbfs is not None:
            samples = samples + noise(len(samples) / 16_000, level_dbfs=floor_dbfs)[: len(samples)]
        span = loudest_span(samples)
        assert span.start == pytest.approx(0.7 * 16_000, abs=800)
        assert span.end == pytest.approx(0.7 * 16_000 + len(spoken), abs=800)

    def test_what_comes_after_a_long_pause_is_not_the_phrase(self):
        cough = 0.3 * tone(120, 0.1)
        samples = np.concatenate([silence(0.3), say("mokalira"), silence(0.6), cough, silence(0.3)])
        assert loudest_span(samples).end < 0.3 * 16_000 + len(say("mokalira")) + 1_600

    def test_a_clip_without_any_margin_is_all_phrase(self):
        spoken = say("moka")
        span = loudest_span(spoken)
        assert span.samples > 0.9 * len(spoken)

    @pytest.mark.parametrize("samples", [np.zeros(0, np.float32), silence(1.0), noise(1.0, level_dbfs=-80.0)])
    def test_where_nothing_sounds_there_is_no_phrase(self, samples):
        assert loudest_span(samples) is None

    def test_what_somebody_said_about_the_end_is_believed(self):
        told = WakeClip.of(recording("moka"), Label.POSITIVE, phrase_end=9_000)
        assert phrase_span(told).end == 9_000

    def test_digital_zeros_are_cut_out_and_single_ones_are_not(self):
        sound = np.tile(np.array([5, 0, -5, 0], np.int16), 500)
        padded = np.concatenate([np.zeros(4_000, np.int16), sound, np.zeros(9_000, np.int16)])
        assert len(without_zeros(padded)) == pytest.approx(2_000, abs=2)
        assert len(without_zeros(np.zeros(5_000, np.int16))) == 0


class TestDivision:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=120))
    def test_nobody_is_on_two_sides_and_nobody_is_lost(self, who):
        clips = [clip(i, f"p{number}", seconds=0.01) for i, number in enumerate(who)]
        sides = divide(clips, RULE, what="clips")
        assert sorted(c.name for c in sides.all) == sorted(c.name for c in clips)
        if sides.by == "speaker":
            people = [{c.speaker for c in side} for side in (sides.train, sides.tune, sides.report)]
            assert not people[0] & people[1]
            assert not people[0] & people[2]
            assert not people[1] & people[2]
        else:
            assert sides.warnings

    def test_a_speaker_stays_on_their_side_when_others_come(self):
        few = [clip(i, f"p{i % 40}", seconds=0.01) for i in range(200)]
        more = [*few, *(clip(1_000 + i, f"q{i % 9}", seconds=0.01) for i in range(90))]
        before, after = divide(few, RULE, what="clips"), divide(more, RULE, what="clips")
        assert (before.by, after.by) == ("speaker", "speaker")
        assert {c.speaker for c in before.train} <= {c.speaker for c in after.train}

    def test_one_speaker_alone_is_divided_by_clip_and_said(self):
        sides = divide(
            [clip(i, "only me", seconds=0.01) for i in range(60)], RULE, what="clips of the phrase"
        )
        assert sides.by == "clip"
        assert all([sides.train, sides.tune, sides.report])
        assert "one speaker only" in sides.warnings[0]

    def test_clips_of_nobody_knows_whom_are_said_to_be_so(self):
        sides = divide([clip(i, seconds=0.01) for i in range(60)], RULE, what="clips")
        assert (sides.by, len(sides.warnings)) == ("clip", 1)

    def test_copies_of_a_clip_are_on_one_side(self):
        sounds = [utterance(seed) for seed in range(40)]
        copies = [0.4 * sound[80 * i :] for i, sound in enumerate(sounds)]
        clips = [WakeClip.of(samples, Label.POSITIVE) for samples in (*sounds, *copies)]
        groups = copies_among(clips)
        assert groups == 2 * [one.clip_id for one in clips[:40]]
        sides = divide(clips, RULE, what="clips", groups=groups)
        side_of = {one.clip_id: number for number, side in enumerate(sides_of(sides)) for one in side}
        assert len(side_of) == 80
        assert all(side_of[a.clip_id] == side_of[b.clip_id] for a, b in zip(clips, clips[40:], strict=False))

    def test_copies_of_one_clip_alone_are_divided_all_the_same(self):
        clips = [WakeClip.of(utterance(1)[40 * i :], Label.POSITIVE) for i in range(40)]
        sides = divide(clips, RULE, what="clips", groups=copies_among(clips))
        assert all(sides_of(sides))
        assert "copies" in " ".join(sides.warnings)

    def test_one_long_recording_is_cut_and_said(self):
        long = WakeClip.of(noise(20 * 31.0, level_dbfs=-30.0), Label.NEGATIVE, name="long.wav", source="s")
        sides = divide_recordings([long], RULE, what="negatives")
        assert sides.by == "piece"
        assert all([sides.train, sides.tune, sides.report])
        assert sum(len(c.pcm) for c in sides.all) == len(long.pcm)
        assert any("flatter" in told for told in sides.warnings)


class TestStrips:
    RECIPE = recipe_from_dict({})

    def test_a_strip_with_the_phrase_has_its_length_and_says_where_it_ends(self):
        maker = StripMaker(
            recipe_from_dict({"augment": {"wave": QUIET, "piece": PLAIN, "room_probability": 0.0}})
        )
        spoken = (say("moka") * 32_767).astype(np.int16)
        for seed in range(20):
            strip, end = maker.with_phrase(Piece.whole(spoken), np.random.default_rng(seed))
            assert len(strip) == maker.samples
            loud = np.flatnonzero(np.abs(strip) > 0.02)
            assert loud[-1] == pytest.approx(end, abs=200)
            assert loud[0] == pytest.approx(end - len(spoken), abs=200)

    def test_chances_are_a_function_of_the_generator(self):
        maker = StripMaker(self.RECIPE, [noise(2.0)], [(say("lira") * 9_000).astype(np.int16)])
        piece = Piece.whole((say("moka") * 9_000).astype(np.int16))
        one, two = (maker.with_phrase(piece, np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(one[0], two[0])
        assert one[1] == two[1]

    def test_no_strip_has_digital_zeros_in_it(self):
        maker = StripMaker(self.RECIPE)
        piece = Piece.whole((say("moka") * 9_000).astype(np.int16))
        rng = np.random.default_rng(0)
        for strip in (maker.with_phrase(piece, rng)[0], maker.beginning(piece, rng), maker.of_nothing(rng)):
            assert np.count_nonzero(strip == 0.0) < 0.01 * len(strip)

    def test_a_phrase_longer_than_a_strip_loses_its_beginning_not_its_end(self):
        maker = StripMaker(self.RECIPE)
        long = (say("mokalira" * 6) * 9_000).astype(np.int16)
        strip, end = maker.with_phrase(Piece.whole(long), np.random.default_rng(1))
        assert 0 < end < len(strip)


PLAIN = {"speed_probability": 0.0, "pitch_probability": 0.0, "context_probability": 0.0}
QUIET = {
    "speeds": [1.0],
    "pad_probability": 0.0,
    "noise_probability": 0.0,
    "room_probability": 0.0,
    "channel_probability": 0.0,
    "volume_probability": 0.0,
    "floor_dbfs": [-80.0, -80.0],
}


class TestTargets:
    def test_the_window_begins_at_the_first_step_that_has_heard_the_whole_phrase(self):
        ends = torch.tensor([12_800, 12_801, -1])
        targets = targets_of(ends, 30, TargetRecipe(240, 160, 240))
        assert targets.high[0].nonzero().flatten().tolist() == [9, 10, 11, 12]
        assert targets.high[1].nonzero().flatten().tolist() == [10, 11, 12]
        assert not targets.high[2].any()
        assert targets.low[2].all()

    def test_steps_beside_the_window_are_in_neither_mask(self):
        targets = targets_of(torch.tensor([12_800]), 30, TargetRecipe(240, 160, 240))
        free = (~targets.high[0] & ~targets.low[0]).nonzero().flatten().tolist()
        assert free == [7, 8, 13, 14, 15]


class TestLosses:
    TARGETS = targets_of(torch.tensor([12_800, -1]), 30, TargetRecipe())

    @pytest.mark.parametrize("kind", ["focal", "bce"])
    @pytest.mark.parametrize("pooling", ["max", "mean"])
    def test_what_is_right_costs_less_than_what_is_wrong(self, kind, pooling):
        recipe = LossRecipe(kind=kind, pooling=pooling)
        right = torch.where(self.TARGETS.high, 4.0, -4.0)
        weights = torch.ones(2)
        costs = [
            float(strip_loss(z, self.TARGETS, recipe, weights)) for z in (right, torch.zeros(2, 30), -right)
        ]
        assert costs == sorted(costs)
        assert costs[0] >= 0

    def test_focal_with_gamma_0_and_half_alpha_is_half_the_cross_entropy(self):
        logits = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
        focal = strip_loss(logits, self.TARGETS, LossRecipe("focal", alpha=0.5, gamma=0.0), torch.ones(2))
        plain = strip_loss(logits, self.TARGETS, LossRecipe("bce"), torch.ones(2))
        assert float(focal) == pytest.approx(float(plain) / 2, rel=1e-5)

    def test_steps_beside_the_window_cost_nothing(self):
        logits = torch.zeros(2, 30, requires_grad=True)
        strip_loss(logits, self.TARGETS, LossRecipe(), torch.ones(2)).backward()
        free = ~self.TARGETS.high & ~self.TARGETS.low
        assert not logits.grad[free].any()

    def test_only_the_hardest_negative_steps_count_where_so_asked(self):
        logits = torch.full((2, 30), -5.0)
        logits[1, 3] = 5.0
        logits.requires_grad_(True)
        strip_loss(logits, self.TARGETS, LossRecipe(hardest=0.02), torch.ones(2)).backward()
        assert logits.grad[1].nonzero().flatten().tolist() == [3]

    def test_a_student_that_says_the_same_as_its_teacher_costs_nothing(self):
        logits = torch.randn(3, 30, generator=torch.Generator().manual_seed(1))
        assert float(teacher_loss(logits, logits, torch.ones(3), 6.0)) == pytest.approx(0.0, abs=1e-6)
        assert float(teacher_loss(logits + 1, logits, torch.ones(3), 6.0)) > 0.001

    def test_how_sure_a_teacher_is_beyond_the_limit_tells_nothing(self):
        taught = torch.tensor([[-20.0, 20.0]])
        for said in ([-6.0, 6.0], [-9.0, 30.0]):
            assert float(teacher_loss(torch.tensor([said]), taught, torch.ones(1), 6.0)) == 0.0
        for said in ([-5.0, 6.0], [-6.0, 5.0]):
            assert float(teacher_loss(torch.tensor([said]), taught, torch.ones(1), 6.0)) > 0.01


class TestFolds:
    def test_a_speaker_is_in_one_fold_and_every_clip_to_learn_from_in_one(self):
        whole = divide([clip(i, f"p{i % 9}", Label.NEGATIVE) for i in range(90)], RULE, what="clips")
        parts = whole.folds(3)
        assert sorted(c.name for part in parts for c in part) == sorted(c.name for c in whole.train)
        people = [{c.speaker for c in part} for part in parts]
        assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]

    def test_strips_of_recordings_are_cut_fold_by_fold(self):
        recipe = recipe_from_dict({"judge": {"folds": 3}, "material": {"recorded_strips": 30}})
        others = [clip(i, label=Label.NEGATIVE, seconds=2.0) for i in range(80)]
        material = Material(Division(), divide_recordings(others, RULE, what="negatives"), Division())
        made = {plan.name: plan for plan in plans(material, recipe)}
        assert [made[f"train_recorded_{fold}"].count for fold in range(3)] == [10, 10, 10]
        assert "train_recorded" not in made
        strip, end = made["train_recorded_0"].make(0)
        again, _ = made["train_recorded_1"].make(0)
        assert end < 0
        assert not np.array_equal(strip, again)


@pytest.mark.parametrize(("copies", "at_most", "strips"), [(3, 1_000, 60), (300, 100, 100), (300, 5, 20)])
def test_many_clips_of_the_phrase_are_copied_less_often_but_each_is_learned_from(copies, at_most, strips):
    recipe = recipe_from_dict({"material": {"recorded_copies": copies, "recorded_phrase_strips": at_most}})
    material = Material(Division(tuple(clip(i) for i in range(20))), Division(), Division())
    made = {plan.name: plan for plan in plans(material, recipe)}
    assert made["train_phrase_recorded"].count == strips
