"""Levels, and what is quiet and loud around them."""

import numpy as np
import pytest

from phonoloop.testing.sounds import noise, silence, tone
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.envelope import (
    FRAME_SAMPLES,
    Bounds,
    Envelope,
    constant_bounds,
    frames_of,
    levels_db,
    rolling_bounds,
)


def level(samples):
    return Envelope.of([samples]).levels_db


def bounds(levels, reach=10):
    return rolling_bounds(np.array(levels, np.float32), floor_reach=reach, peak_reach=reach)


def test_a_level_is_the_power_in_decibels_below_full_scale():
    levels = level(tone(220.5, 2.0, rate_hz=RATE_HZ, level_dbfs=-20))
    assert levels[5:-5] == pytest.approx(-20, abs=0.2)


def test_silence_has_the_lowest_level_there_is():
    assert set(level(silence(1.0, RATE_HZ))) == {np.float32(-100)}


def test_an_offset_adds_nothing():
    hiss = noise(1.0, rate_hz=RATE_HZ, level_dbfs=-50)
    assert level(hiss + np.float32(0.1)) == pytest.approx(level(hiss), abs=0.05)


def test_there_is_a_level_for_every_sample_also_the_last_ones():
    whole = Envelope.of([np.ones(10 * FRAME_SAMPLES + 1, np.float32)])
    assert whole.levels_db.size == 11
    assert whole.samples == 10 * FRAME_SAMPLES + 1
    assert Envelope.of([]).levels_db.size == 0


def test_a_level_is_of_three_frames():
    powers = np.zeros(9, np.float32)
    powers[4] = 0.03
    assert levels_db(powers)[3:6] == pytest.approx(-20)
    assert levels_db(powers)[2] == levels_db(powers)[6] == -100


def test_the_peak_is_the_highest_within_reach():
    found = bounds([-50, -50, -20, -50, -50, -30, -30], reach=1)
    assert found.peak_db.tolist() == [-50, -20, -20, -20, -30, -30, -30]


def test_the_floor_is_the_lowest_on_both_sides_and_the_higher_of_the_two():
    assert bounds([-50, -52, -20, -51, -50], reach=2).floor_db[2] == -51


def test_digital_silence_and_its_edges_are_no_background():
    levels = [-100] * 5 + [-70] + [-40] * 10 + [-15] * 10
    assert bounds(levels, reach=40).floor_db[10] == -40


def test_in_silence_alone_everything_is_quiet():
    found = bounds([-100] * 20)
    assert np.all(found.threshold_db(0.25) > -100)


def test_the_floor_is_at_most_sixty_decibels_under_the_peak():
    assert set(bounds([-10, -95, -95, -95, -95]).floor_db) == {-70}


def test_what_is_always_loud_is_sound_and_what_is_always_low_is_a_room():
    loud, low = bounds([-20] * 30), bounds([-60] * 30)
    assert np.all(loud.threshold_db(0.25) < -20)
    assert np.all(low.threshold_db(0.25) > -60)


def test_the_constant_bounds_are_of_all_of_it():
    found = constant_bounds([np.full(9, -60, np.float32), np.full(9, -20, np.float32)])
    assert (found.floor_db.tolist(), found.peak_db.tolist()) == ([-60], [-20])


@pytest.mark.parametrize(
    ("floor", "peak", "share", "expected"),
    [
        (-60, -20, 0.25, -50),  # a quarter of the way up
        (-60, -20, 0.9, -32),  # never nearer to the peak than the gaps between syllables
        (-32, -20, 0.1, -29),  # nor nearer to the background than it moves
        (-25, -20, 0.9, -22),  # and in much noise only the background counts
    ],
)
def test_the_threshold_lies_between_them(floor, peak, share, expected):
    found = Bounds(np.array([floor], np.float32), np.array([peak], np.float32))
    assert found.threshold_db(share)[0] == pytest.approx(expected)


def test_frames_are_of_ten_milliseconds():
    assert frames_of(1.0) == 100
    assert frames_of(3600.0) == pytest.approx(360_818, abs=1)


def test_a_background_that_drifts_is_followed_and_one_that_jumps_for_some_decibels():
    """No deeper than the lowest around it by then; a stretch of talk is no background that jumped."""
    drifting = bounds(np.linspace(-60, -40, 101), reach=20)
    assert drifting.floor_db[50] == pytest.approx(-50, abs=0.3)
    jumped = bounds([-60] * 50 + [-40] * 50, reach=20)
    assert jumped.floor_db[55] == -54
    assert jumped.floor_db[45] == -60
