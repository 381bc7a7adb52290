"""Talk is cut at its pauses."""

import functools
import itertools
import tracemalloc

import numpy as np
import pytest

from phonoloop.audio.wav import to_int16
from phonoloop.core.errors import AudioError, ConfigError
from phonoloop.core.speech import Span
from phonoloop.testing.sounds import noise, silence, speech_like, tone, write_wav
from phonoloop.voice.data import RATE_HZ, Segment
from phonoloop.voice.segment import SegmentSettings, dropped, iter_segments, segment, segment_wav

HALF_FRAME_S = 0.006


@functools.cache
def talk(duration_s, *, seed=0, pause_s=0.6, phrase_s=3.0):
    return speech_like(duration_s, seed=seed, rate_hz=RATE_HZ, pause_s=pause_s, phrase_s=phrase_s)


def held_tone(duration_s):
    """Sound without any pause, a third of a second's waves in it: as somebody who does not breathe."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    waves = 1 + 0.5 * np.sin(2 * np.pi * 3 * time_s)
    return (tone(220, duration_s, rate_hz=RATE_HZ) * waves).astype(np.float32)


def quiet(duration_s):
    return silence(duration_s, RATE_HZ)


def room(duration_s, level_dbfs=-60.0, seed=0):
    return noise(duration_s, rate_hz=RATE_HZ, level_dbfs=level_dbfs, seed=seed)


def rising_noise(samples, last_dbfs=-35.0):
    gain = 10 ** (np.linspace(-70, last_dbfs, samples.size) / 20)
    return (samples + np.random.default_rng(1).standard_normal(samples.size) * gain).astype(np.float32)


def in_speech(segments, spoken):
    """Which ends of segments lie in somebody's words. `spoken`: bool (n,)."""
    bounds = {at for one in segments for at in (one.start, one.end) if 0 < at < spoken.size}
    return sorted(at for at in bounds if spoken[at])


def times_s(segments):
    return [(one.start / RATE_HZ, one.end / RATE_HZ) for one in segments]


# ---------------------------------------------------------------- where it is cut


def test_a_short_recording_is_one_segment():
    assert segment([held_tone(3)]) == [Segment(0, 3 * RATE_HZ)]


def test_two_sentences_that_do_not_fit_together_are_cut_in_the_middle_of_their_pause():
    audio = np.concatenate([held_tone(7), quiet(0.5), held_tone(7)])
    first, second = segment([audio])
    assert first.end == second.start
    assert first.end / RATE_HZ == pytest.approx(7.25, abs=0.05)
    assert not first.forced_cut
    assert not second.forced_cut


def test_it_is_cut_in_the_quietest_frame_near_the_middle():
    pause = room(0.5)
    quietest = slice(round(0.3 * RATE_HZ), round(0.35 * RATE_HZ))
    pause[quietest] *= 0.01
    audio = np.concatenate([held_tone(7), pause, held_tone(7)])
    cut_s = segment([audio])[0].end / RATE_HZ - 7
    assert 0.3 - HALF_FRAME_S <= cut_s <= 0.35 + HALF_FRAME_S


def test_the_shortest_pauses_are_joined_first():
    """Four sentences of 4 s: two fit together, and it is the longest pause that stays."""
    pauses_s = (0.35, 0.7, 0.35)
    parts = [held_tone(4)]
    for pause_s in pauses_s:
        parts += [quiet(pause_s), held_tone(4)]
    segments = segment([np.concatenate(parts)])
    assert [round(start, 1) for start, _ in times_s(segments)] == [0.0, pytest.approx(8.7, abs=0.1)]


def test_of_a_long_pause_only_the_padding_is_kept():
    audio = np.concatenate([quiet(2), held_tone(3), quiet(4), held_tone(3), quiet(2)])
    settings = SegmentSettings(pad_s=0.2)
    (start, end), (later, last) = times_s(segment([audio], settings))
    assert (start, end) == (pytest.approx(1.8, abs=0.03), pytest.approx(5.2, abs=0.03))
    assert (later, last) == (pytest.approx(8.8, abs=0.03), pytest.approx(12.2, abs=0.03))


def test_a_short_word_is_joined_to_its_neighbour_also_across_a_long_pause():
    audio = np.concatenate([held_tone(4), quiet(1.0), held_tone(0.4)])
    assert len(segment([audio])) == 1
    assert len(segment([audio], SegmentSettings(min_s=0.1))) == 2


def test_a_stretch_that_is_too_long_is_searched_for_shorter_pauses():
    audio = np.concatenate([held_tone(8), quiet(0.15), held_tone(8)])
    first, _ = segment([audio])
    assert first.end / RATE_HZ == pytest.approx(8.075, abs=0.03)
    assert not first.forced_cut


def test_and_then_for_pauses_further_from_the_background():
    audio = np.concatenate([room(2), held_tone(8), room(0.2, -50, seed=1), held_tone(8)])
    first, _ = segment([audio])
    assert first.end / RATE_HZ == pytest.approx(10.1, abs=0.1)
    assert not first.forced_cut
    assert all(one.forced_cut for one in segment([audio], SegmentSettings(rounds=1)))


def test_a_short_gap_near_the_background_goes_before_a_long_dip_above_it():
    """As between two words, and in a long weak consonant."""
    gap, consonant = room(0.16), room(0.25, -48, seed=1)
    audio = np.concatenate([room(2), held_tone(6), gap, held_tone(3), consonant, held_tone(5)])
    first, second = segment([audio])
    assert first.end == second.start
    assert 8 <= first.end / RATE_HZ <= 8.16
    assert not first.forced_cut


def test_a_clock_that_ticks_does_not_hide_a_pause():
    tick = np.concatenate([room(0.25), tone(2000, 0.02, rate_hz=RATE_HZ)])
    audio = np.concatenate([held_tone(3), *[tick] * 8, room(0.25, seed=1), held_tone(3)])
    (_, end), (start, _) = times_s(segment([audio]))
    assert end == pytest.approx(3.25, abs=0.03)
    assert start == pytest.approx(5.16, abs=0.03)


def test_where_nobody_pauses_the_quietest_frame_is_cut_and_marked():
    """40 s without a pause; at 8 s and at 17 s the voice is a little lower for a moment."""
    audio = held_tone(40)
    for dip_s in (8.0, 17.0):
        audio[round(dip_s * RATE_HZ) : round((dip_s + 0.04) * RATE_HZ)] *= 0.3
    segments = segment([np.concatenate([audio, quiet(1.0), held_tone(3)])])
    cuts_s = [end for _, end in times_s(segments)]
    assert cuts_s[0] == pytest.approx(8.02, abs=0.03)
    assert cuts_s[1] == pytest.approx(17.02, abs=0.03)
    assert all(one.samples <= 12 * RATE_HZ for one in segments)
    assert [one.forced_cut for one in segments] == [True] * (len(segments) - 1) + [False]


def test_a_gap_between_two_syllables_is_no_pause():
    """Waves of 9 dB go all the way through; the threshold must not come up to them."""
    assert all(one.forced_cut for one in segment([held_tone(30)]))


@pytest.mark.parametrize("times", [0, 1, 70])
def test_silence_and_the_noise_of_an_empty_room_have_no_segments(times):
    """Also of more than one window."""
    assert segment([quiet(10)] * times) == []
    assert segment([room(10)] * times) == []


def test_a_click_is_no_speech():
    audio = np.concatenate([room(5), tone(1000, 0.03, rate_hz=RATE_HZ), room(5, seed=1)])
    assert segment([audio]) == []


def test_an_offset_of_the_recording_is_no_sound():
    audio = np.concatenate([held_tone(7), quiet(0.5), held_tone(7), quiet(5)])
    assert segment([audio + np.float32(0.05)]) == segment([audio])


def test_an_editors_mute_does_not_hide_the_pauses_of_a_noisy_recording():
    noisy = np.concatenate([room(0.6, -45), held_tone(7), room(0.5, -45, seed=1), held_tone(7)])
    segments = segment([np.concatenate([quiet(1), noisy, quiet(1)])])
    assert len(segments) == 2
    assert not any(one.forced_cut for one in segments)


# ---------------------------------------------------------------- a floor that rises


def test_no_boundary_is_in_speech_with_a_quiet_room_and_with_one_that_grows_loud():
    said = talk(120)
    for audio in (said.samples, rising_noise(said.samples)):
        segments = segment([audio])
        assert in_speech(segments, said.active) == []
        assert all(one.samples <= 12 * RATE_HZ for one in segments)
        assert not any(one.forced_cut for one in segments)


def test_all_speech_is_kept():
    said = talk(120, pause_s=1.2)
    for audio in (said.samples, rising_noise(said.samples)):
        lost = [said.active[gap.start : gap.end].sum() for gap in dropped(segment([audio]), audio.size)]
        assert lost
        assert sum(lost) == 0


def test_one_threshold_for_all_is_what_a_rising_floor_defeats():
    """It can be chosen; this is why it is not the default."""
    said = talk(120)
    audio = rising_noise(said.samples, last_dbfs=-28.0)
    assert not any(one.forced_cut for one in segment([audio]))
    assert any(one.forced_cut for one in segment([audio], SegmentSettings(method="global")))


def test_one_threshold_for_all_does_for_a_quiet_room():
    said = talk(120)
    segments = segment([said.samples + room(120)], SegmentSettings(method="global"))
    assert len(segments) > 5
    assert in_speech(segments, said.active) == []


# ---------------------------------------------------------------- hours


def test_each_segment_comes_while_the_recording_goes_on():
    """After ten minutes and what the window reaches: the rest of the day is not waited for."""
    said = talk(60).samples
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield said

    first = list(itertools.islice(iter_segments(endless()), 20))
    assert asked < 14
    assert first == segment([said] * 14)[:20]


@pytest.mark.parametrize("method", ["rolling", "global"])
def test_windows_leave_no_seam(method):
    """40 minutes, more than three windows: what is dropped is silence, and no cut is anywhere else."""
    said = talk(60)
    segments = segment([said.samples] * 40, SegmentSettings(method=method))
    assert dropped(segments, 40 * said.samples.size)
    assert in_speech(segments, np.tile(said.active, 40)) == []
    assert not any(one.forced_cut for one in segments)


def test_memory_is_flat():
    said = talk(60).samples

    def most_bytes(minutes):
        tracemalloc.start()
        for _ in iter_segments(said for _ in range(minutes)):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert most_bytes(120) < 1.05 * most_bytes(30)


def test_a_file_is_read_in_blocks_and_gives_the_same(tmp_path):
    said = talk(60)
    path = write_wav(tmp_path / "talk.wav", said.samples, RATE_HZ)
    pcm = to_int16(said.samples)
    assert segment_wav(path) == segment([pcm.astype(np.float32) / 32768])


# ---------------------------------------------------------------- what cannot be


def test_a_file_at_another_rate_is_refused(tmp_path):
    path = write_wav(tmp_path / "low.wav", held_tone(1), 16_000)
    with pytest.raises(AudioError) as caught:
        segment_wav(path)
    assert caught.value.code == "voice.rate"
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(wrong):
    audio = held_tone(1)
    audio[100] = wrong
    with pytest.raises(AudioError) as caught:
        segment([audio])
    assert caught.value.code == "audio.not_samples"


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "magic"},
        {"max_s": 0.1},
        {"max_s": 1000.0},
        {"min_s": 12.0},
        {"factor": 0.0},
        {"lower": 1.5},
        {"rounds": 0},
        {"pad_s": 0.4},
        {"pause_s": 2.0},
        {"floor_reach_s": 0.0},
        {"peak_reach_s": 1e6},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        SegmentSettings(**wrong)
    assert caught.value.code == "voice.segment_settings"
    assert caught.value.hint


def test_what_is_dropped_is_the_rest():
    segments = [Segment(10, 20), Segment(20, 30), Segment(45, 50)]
    assert dropped(segments, 60) == [Span(0, 10), Span(30, 45), Span(50, 60)]
    assert dropped([Segment(0, 60)], 60) == []
    assert dropped([], 60) == [Span(0, 60)]


@pytest.mark.parametrize("segments", [[Segment(10, 20), Segment(15, 30)], [Segment(5, 5)], [Segment(50, 70)]])
def test_segments_that_are_none_of_the_recording_are_an_error(segments):
    with pytest.raises(ValueError, match="does not follow"):
        dropped(segments, 60)
