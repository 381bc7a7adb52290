"""Which clips are not trained on: synthesised cases of everything that speaks against one."""

import numpy as np
import pytest
import soxr
from voice_material import Held, clip, talk

from phonoloop.audio.rooms import RoomConfig, room_bank
from phonoloop.core.errors import ConfigError
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, Stretch, VoiceClip
from phonoloop.voice.gates import REASONS, GateSettings, count_refused, judge_clips
from phonoloop.voice.process import process_source
from phonoloop.voice.segment import segment
from phonoloop.voice.speakers import SpeakerSettings


def judged(samples, *, marks=(), source_id="s1", settings=None):
    """The clips of a recording after the gates."""
    held = Held.of(samples)
    segments = segment([held.read(0, held.samples)])
    clips = [made for made, _ in process_source(held, segments, source_id=source_id, marks=marks)]
    return judge_clips(clips, settings)


def reasons(clips):
    return {why for one in clips for why in one.refused}


def in_a_room(samples, rt60_s):
    config = RoomConfig(rt60_s=(rt60_s, rt60_s * 1.05), distance_m=(0.5, 2.0))
    response = soxr.resample(room_bank(1, seed=1, config=config)[0].samples, 16_000, RATE_HZ)
    length = samples.size + response.size
    return np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(response, length), length)[: samples.size]


def over_telephone(samples):
    return soxr.resample(soxr.resample(samples, RATE_HZ, 8_000), 8_000, RATE_HZ)


class TestRecordings:
    """From the sound to the verdict."""

    @pytest.mark.parametrize("voice", ["vi", "vi+f2", "vi+m3"])
    @pytest.mark.parametrize("level_dbfs", [-75, -55, -40])
    def test_one_who_reads_in_a_room_is_kept(self, voice, level_dbfs):
        assert reasons(judged(talk(voice, count=12, level_dbfs=level_dbfs))) == set()

    @pytest.mark.parametrize("gain", [0.05, 0.2])
    def test_also_when_it_is_quiet(self, gain):
        assert reasons(judged(talk(count=6) * gain)) == set()

    @pytest.mark.parametrize("afterwards", [1.0, 0.7, 0.2])
    def test_clipped_also_when_it_was_turned_down_later(self, afterwards):
        clips = judged(np.clip(talk(count=6) * 10, -1, 1) * afterwards)
        assert all("clipped" in one.refused for one in clips)

    def test_eight_kilohertz_telephone_audio(self):
        clips = judged(over_telephone(talk(count=6)))
        assert all("narrow_band" in one.refused for one in clips)

    def test_a_call_within_a_recording_that_is_wide(self):
        here, there = talk(count=6), over_telephone(talk(count=6))
        clips = judged(np.concatenate([here, there]))
        narrow = [one for one in clips if one.refused]
        assert reasons(narrow) == {"narrow_band"}
        assert all(one.spans[-1].end > here.size for one in narrow)
        assert all(one.spans[0].start < here.size for one in clips if not one.refused)

    def test_a_hall(self):
        clips = judged(in_a_room(talk(count=8), 1.0))
        assert all("reverberant" in one.refused for one in clips)

    def test_a_living_room_is_fine(self):
        assert reasons(judged(in_a_room(talk(count=8), 0.25))) == set()

    def test_more_noise_than_can_be_taken_out(self):
        clips = judged(talk(count=6, level_dbfs=-26))
        assert all("noisy" in one.refused for one in clips)

    @pytest.mark.parametrize("other", ["vi+f2", "vi+m3"])
    def test_somebody_else_for_a_while(self, other):
        mine, theirs = talk(count=12, pause_s=0.9), talk(other, count=4, pause_s=0.9)
        clips = judged(np.concatenate([mine, theirs, mine]))
        refused = [one for one in clips if one.refused]
        assert reasons(refused) == {"other_speaker"}
        for one in refused:
            assert one.spans[-1].end > mine.size
            assert one.spans[0].start < mine.size + theirs.size
        within = [
            one for one in clips if mine.size < one.spans[0].start < mine.size + theirs.size - 9 * RATE_HZ
        ]
        assert all(one.refused for one in within)
        assert within

    @pytest.mark.parametrize("pause_s", [0.2, 0.5])
    def test_two_people_in_turns_leave_one_of_them(self, pause_s):
        turns = [talk(voice, count=1, pause_s=pause_s) for _ in range(6) for voice in ("vi", "vi+f5")]
        clips = judged(np.concatenate(turns))
        kept = [one.facts["pitch_hz"] for one in clips if not one.refused]
        assert not kept or max(kept) / min(kept) < 1.3
        assert "other_speaker" in reasons(clips)

    def test_another_recording_of_somebody_else(self):
        mine = judged(talk(count=12), source_id="s1")
        theirs = judged(talk("vi+f2", count=3), source_id="s2")
        clips = judge_clips([*mine, *theirs])
        assert {one.source_id for one in clips if one.refused} == {"s2"}

    def test_music_where_it_was_marked(self):
        samples = talk(count=12, pause_s=0.9)
        music = Stretch(samples.size // 2, samples.size, "music", 0.9)
        clips = judged(samples, marks=[music])
        for one in clips:
            inside = one.spans[-1].end > music.start + RATE_HZ
            assert one.refused == (("music",) if inside else ())

    def test_nobody(self):
        rng = np.random.default_rng(1)
        knocks = np.zeros(20 * RATE_HZ, np.float32)
        for start in range(RATE_HZ, 19 * RATE_HZ, RATE_HZ // 2):
            knocks[start : start + 2000] = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 400) * 0.2
        clips = judged(knocks)
        assert clips
        assert all("no_speech" in one.refused for one in clips)


class TestFacts:
    """From what was measured to the verdict: the gates hear nothing."""

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"forced_cut": True}, "forced_cut"),
            ({"duration_s": 0.9}, "too_short"),
            ({"duration_s": 12.1}, "too_long"),
            ({"voiced_s": 0.2}, "no_speech"),
            ({"speech_s": 0.0, "voiced_s": 0.0, "pitch_hz": 0.0}, "no_speech"),
            ({"clipped_share": 0.002}, "clipped"),
            ({"snr_db": 7.9}, "noisy"),
            ({"bandwidth_hz": 4_000}, "narrow_band"),
            ({"decay_db_s": 110}, "reverberant"),
            ({"marked_s": {"music": 0.3}}, "music"),
            ({"marked_s": {"speakers": 0.3}}, "speakers"),
            ({"marked_s": {"noise": 0.3}}, "noise"),
        ],
    )
    def test_one_thing_against_it_is_the_reason(self, facts, reason):
        (one,) = judge_clips([clip(1, **facts)])
        assert one.refused == (reason,)

    def test_all_that_is_against_it_is_said(self):
        (one,) = judge_clips([clip(1, forced_cut=True, clipped_share=0.1, snr_db=1.0)])
        assert one.refused == ("forced_cut", "clipped", "noisy")

    @pytest.mark.parametrize(
        "facts",
        [{}, {"decay_db_s": None}, {"timbre": None}, {"marked_s": {"music": 0.2}}, {"duration_s": 1.0}],
    )
    def test_a_good_one_is_kept(self, facts):
        assert judge_clips([clip(1, **facts)])[0].refused == ()

    def test_every_reason_is_told_to_people(self):
        bad = judge_clips(
            [clip(n) for n in range(9)] + [clip(10, loudness_lufs=-50.0), clip(11, pitch_hz=300.0)]
        )
        assert reasons(bad) == {"loudness", "other_speaker"} <= REASONS.keys()

    @pytest.mark.parametrize(
        ("off", "facts"),
        [
            ({"min_s": None}, {"duration_s": 0.5}),
            ({"max_s": None}, {"duration_s": 20.0}),
            ({"least_voiced_share": None}, {"voiced_s": 0.0}),
            ({"max_clipped_share": None}, {"clipped_share": 1.0}),
            ({"min_snr_db": None}, {"snr_db": -5.0}),
            ({"min_bandwidth_hz": None}, {"bandwidth_hz": 100}),
            ({"max_marked_s": None}, {"marked_s": {"music": 4.0}}),
            ({"max_loudness_db": None}, {"loudness_lufs": -60.0}),
            ({"other_speakers": None}, {"pitch_hz": 400.0}),
        ],
    )
    def test_each_gate_can_be_turned_off(self, off, facts):
        clips = [clip(number) for number in range(6)] + [clip(7, **facts)]
        assert judge_clips(clips)[-1].refused
        assert judge_clips(clips, GateSettings(**off))[-1].refused == ()

    def test_also_that_of_the_room(self):
        hall = [clip(number, decay_db_s=50) for number in range(6)]
        assert reasons(judge_clips(hall)) == {"reverberant"}
        assert reasons(judge_clips(hall, GateSettings(min_decay_db_s=None))) == set()

    def test_the_room_is_that_of_the_neighbours_too(self):
        """One clip that sounds like a hall among dry ones is no hall, and one dry one does not dry a hall."""
        dry = [clip(number) for number in range(9)]
        hall = [clip(number, decay_db_s=100) for number in range(9)]
        assert reasons(judge_clips([*dry[:4], hall[4], *dry[5:]])) == set()
        assert all(one.refused for one in judge_clips([*hall[:4], dry[4], *hall[5:]]))

    def test_loudness_is_compared_within_a_recording(self):
        loud = [clip(number, source_id="s1", loudness_lufs=-14.0) for number in range(6)]
        quiet = [clip(number, source_id="s2", loudness_lufs=-40.0) for number in range(6)]
        assert reasons(judge_clips([*loud, *quiet])) == set()

    def test_what_is_refused_anyway_says_nothing_of_the_rest(self):
        mine = [clip(number) for number in range(6)]
        song = [clip(number, source_id="s2", pitch_hz=300.0, marked_s={"music": 4.0}) for number in range(20)]
        clips = judge_clips([*mine, *song])
        assert all(not one.refused for one in clips[:6])
        assert all(one.refused == ("music",) for one in clips[6:])

    def test_judging_again_changes_nothing(self):
        clips = [clip(number, pitch_hz=100.0 + 20 * number) for number in range(12)]
        once = judge_clips(clips)
        assert judge_clips(once) == once
        assert [one.clip_id for one in once] == [one.clip_id for one in clips]

    def test_a_refusal_that_no_longer_holds_is_taken_back(self):
        noisy = judge_clips([clip(1, snr_db=15.0)], GateSettings(min_snr_db=20))
        assert noisy[0].refused == ("noisy",)
        assert judge_clips(noisy)[0].refused == ()

    def test_reasons_are_counted(self):
        clips = judge_clips([clip(1), clip(2, snr_db=0.0), clip(3, snr_db=0.0, forced_cut=True)])
        assert count_refused(clips) == {"forced_cut": 1, "noisy": 2}

    def test_no_clips_are_no_clips(self):
        assert judge_clips([]) == []

    def test_lengths_that_cannot_be_are_refused(self):
        with pytest.raises(ConfigError) as refused:
            GateSettings(min_s=5, max_s=4)
        assert refused.value.code == "voice.gates"


class TestSpeakers:
    def voices(self, count, *, first=0, source_id="s1", spread=0.0, **facts):
        rng = np.random.default_rng(first)
        base = np.array(facts.pop("timbre", [0.0] * 12))
        return [
            clip(
                first + n, source_id=source_id, timbre=list(base + spread * rng.standard_normal(12)), **facts
            )
            for n in range(count)
        ]

    def refused(self, clips, settings=None):
        judgement = judge_clips(clips, GateSettings(other_speakers=settings or SpeakerSettings()))
        return {one.clip_id for one in judgement if one.refused}

    def ids(self, clips):
        return {one.clip_id for one in clips}

    @pytest.mark.parametrize("share", [1, 3, 8])
    def test_the_one_with_less_voice_is_somebody_else(self, share):
        mine = self.voices(10)
        theirs = self.voices(share, first=50, pitch_hz=200.0, pitches_hz=[200.0] * 4)
        assert self.refused([*mine, *theirs]) == self.ids(theirs)

    def test_nearly_the_same_pitch_but_another_timbre(self):
        mine = self.voices(12, spread=1.0)
        theirs = self.voices(
            6, first=50, spread=1.0, timbre=[2.0, -2.0] * 6, pitch_hz=132.0, pitches_hz=[132.0] * 4
        )
        assert self.refused([*mine, *theirs]) == self.ids(theirs)

    def test_another_timbre_at_the_same_pitch_is_another_microphone(self):
        mine = self.voices(12, spread=1.0)
        moved = self.voices(6, first=50, spread=1.0, timbre=[2.0, -2.0] * 6)
        assert self.refused([*mine, *moved]) == set()

    def test_a_few_words_may_have_any_timbre(self):
        mine = self.voices(12, spread=1.0)
        words = self.voices(1, first=50, timbre=[3.0, -3.0] * 6, pitch_hz=132.0, voiced_s=1.5)
        assert self.refused([*mine, *words]) == set()

    def test_and_do_not_hide_somebody_else(self):
        mine = self.voices(12, spread=1.0)
        words = self.voices(1, first=40, timbre=[9.0, 9.0] * 6, pitch_hz=132.0, voiced_s=1.5)
        theirs = self.voices(
            6, first=50, spread=1.0, timbre=[2.0, -2.0] * 6, pitch_hz=132.0, pitches_hz=[132.0] * 4
        )
        assert self.refused([*mine, *words, *theirs]) == self.ids(theirs)

    def test_timbre_is_not_compared_between_recordings(self):
        mine = self.voices(12, spread=1.0)
        elsewhere = self.voices(
            6, source_id="s2", spread=1.0, timbre=[2.0, -2.0] * 6, pitch_hz=130.0, pitches_hz=[130.0] * 4
        )
        assert self.refused([*mine, *elsewhere]) == set()

    @pytest.mark.parametrize("first", range(0, 500, 100))
    def test_one_person_who_varies_is_one_person(self, first):
        rng = np.random.default_rng(first)
        clips = [
            clip(n, timbre=list(rng.standard_normal(12)), pitch_hz=120 * 2 ** (rng.normal(0, 1.5) / 12))
            for n in range(60)
        ]
        assert self.refused(clips) == set()

    def test_a_clip_that_somebody_else_answers_in(self):
        mine = self.voices(10)
        both = clip(20, pitches_hz=[120.0, 119.0, 230.0, 228.0])
        assert self.refused([*mine, both]) == {both.clip_id}

    def test_one_slip_of_the_pitch_is_nobody_else(self):
        mine = self.voices(10)
        assert self.refused([*mine, clip(20, pitches_hz=[120.0, 60.0, 121.0, 118.0])]) == set()

    def test_of_two_clips_the_one_with_less_voice(self):
        assert self.refused([clip(1), clip(2, voiced_s=2.0, pitch_hz=300.0)]) == {"s1-2"}

    def test_two_people_in_the_only_clip(self):
        assert self.refused([clip(1, pitches_hz=[120.0, 119.0, 230.0, 228.0])]) == {"s1-1"}


def test_a_verdict_is_of_the_facts_alone():
    """So a clip that is read back from its file is judged alike."""
    made = judged(talk(count=6))
    read_back = [VoiceClip.from_dict(one.to_dict()) for one in made]
    assert judge_clips(read_back) == made
    assert all(isinstance(span, Span) for one in read_back for span in one.spans)
