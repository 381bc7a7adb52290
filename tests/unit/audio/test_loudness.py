"""A clip is brought to a loudness, unless it would clip or the noise would roar."""

import numpy as np
import pytest

from phonoloop.audio.loudness import LoudnessSettings, gain_db, raised
from phonoloop.audio.quality import integrated_loudness
from phonoloop.audio.wav import to_int16
from phonoloop.core.errors import ConfigError
from phonoloop.testing.sounds import silence, speech_like

RATE_HZ = 22_050


def speech(level_dbfs):
    return speech_like(5, seed=4, rate_hz=RATE_HZ, level_dbfs=level_dbfs).samples


@pytest.mark.parametrize("level_dbfs", [-40, -30, -23, -18])
@pytest.mark.parametrize("target_lufs", [-28.0, -23.0])
def test_it_has_the_loudness_that_was_asked_for(level_dbfs, target_lufs):
    samples = speech(level_dbfs)
    levelled = raised(samples, gain_db(samples, RATE_HZ, LoudnessSettings(target_lufs=target_lufs)))
    assert integrated_loudness(to_int16(levelled), RATE_HZ) == pytest.approx(target_lufs, abs=0.1)


def test_a_single_peak_is_not_clipped_for_it():
    samples = speech(-45)
    samples[1000] = 0.5
    levelled = raised(samples, gain_db(samples, RATE_HZ))
    assert np.abs(levelled).max() == pytest.approx(10 ** (-1 / 20), rel=1e-4)


def test_what_is_very_quiet_is_raised_by_no_more_than_the_settings_say():
    assert gain_db(speech(-60), RATE_HZ, LoudnessSettings(most_gain_db=12)) == 12


@pytest.mark.parametrize("samples", [0, 1, RATE_HZ])
def test_silence_has_no_gain(samples):
    assert gain_db(silence(1, RATE_HZ)[:samples], RATE_HZ) == 0


@pytest.mark.parametrize("wrong", [{"target_lufs": 3.0}, {"peak_dbfs": 1.0}, {"most_gain_db": -2.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError) as refused:
        LoudnessSettings(**wrong)
    assert refused.value.code == "loudness.settings"
