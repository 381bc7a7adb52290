"""Timbre tells voices of one recording apart, whatever their level."""

import numpy as np
import pytest
import soxr

from phonoloop.audio.timbre import measure_timbre
from phonoloop.testing.sounds import noise, silence, speech_like

RATE_HZ = 22_050


def spoken(seed):
    return speech_like(6, seed=seed, rate_hz=RATE_HZ).samples


def apart(one, other):
    return float(np.sqrt(np.square(one - other).mean()))


def larger_head(samples):
    """All resonances a fifth lower, as in a longer throat; the speed goes with it."""
    return soxr.resample(samples, RATE_HZ, round(RATE_HZ * 1.25))


def test_another_throat_is_farther_away_than_other_words():
    voices = [measure_timbre(spoken(seed), RATE_HZ) for seed in range(4)]
    others = [measure_timbre(larger_head(spoken(seed)), RATE_HZ) for seed in range(4)]
    within = max(apart(one, other) for one in voices for other in voices)
    assert min(apart(one, other) for one, other in zip(voices, others, strict=True)) > within


@pytest.mark.parametrize("gain", [0.05, 4.0])
def test_level_does_not_matter(gain):
    assert measure_timbre(spoken(1) * gain, RATE_HZ) == pytest.approx(
        measure_timbre(spoken(1), RATE_HZ), abs=0.3
    )


def test_pauses_do_not_matter():
    padded = np.concatenate([silence(2, RATE_HZ), spoken(1), noise(2, rate_hz=RATE_HZ, level_dbfs=-70)])
    assert measure_timbre(padded, RATE_HZ) == pytest.approx(measure_timbre(spoken(1), RATE_HZ), abs=0.3)


@pytest.mark.parametrize("samples", [0, 100, 2_000])
def test_too_little_tells_nothing(samples):
    assert measure_timbre(spoken(1)[:samples], RATE_HZ) is None
