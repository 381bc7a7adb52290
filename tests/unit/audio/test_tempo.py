"""Tempo without pitch, pitch without tempo."""

from __future__ import annotations

import numpy as np
import pytest

from phonoloop.audio.tempo import change_pitch, change_tempo
from phonoloop.testing.sounds import tone

FACTORS = [0.8, 0.93, 1.12, 1.25]


def strongest_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return spectrum.argmax() * 16_000 / samples.size


@pytest.mark.parametrize("factor", FACTORS)
def test_tempo_changes_the_length_and_not_the_pitch(factor):
    changed = change_tempo(tone(200, 1.0), factor)
    assert changed.size == round(16_000 / factor)
    assert strongest_hz(changed) == pytest.approx(200, abs=2)


@pytest.mark.parametrize("factor", FACTORS)
def test_pitch_changes_and_the_length_does_not(factor):
    changed = change_pitch(tone(200, 1.0), factor)
    assert changed.size == pytest.approx(16_000, abs=2)
    assert strongest_hz(changed) == pytest.approx(200 * factor, rel=0.01)


@pytest.mark.parametrize("factor", FACTORS)
def test_what_happens_happens_at_its_time(factor):
    sound = np.concatenate([np.zeros(8_000), tone(300, 0.5), np.zeros(16_000)]).astype(np.float32)
    at = np.flatnonzero(np.abs(change_tempo(sound, factor)) > 0.05) / 16_000
    assert at[0] == pytest.approx(0.5 / factor, abs=0.02)
    assert at[-1] == pytest.approx(1.0 / factor, abs=0.02)


@pytest.mark.parametrize("samples", [0, 1, 500, 1_279])
def test_what_is_shorter_than_two_frames_stays_as_it_is(samples):
    short = np.ones(samples, np.float32)
    assert change_tempo(short, 1.2) is short
