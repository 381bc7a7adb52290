"""How high a voice is."""

import numpy as np
import pytest

from phonoloop.audio.pitch import hop_samples, measure_pitch, medians_hz, track
from phonoloop.testing.sounds import noise, silence

RATE_HZ = 22_050


def buzz(pitch_hz, duration_s=1.0, rate_hz=RATE_HZ):
    """Harmonics that get weaker, like a voice's; `pitch_hz` may change over time."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch_hz, time_s.shape)) / rate_hz
    return (0.1 * sum(np.sin(number * phase) / number for number in range(1, 9))).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [70, 95, 110, 200, 260, 333, 390])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
def test_the_pitch_of_a_steady_voice_is_right_within_1_percent(pitch_hz, rate_hz):
    found = measure_pitch(buzz(pitch_hz, rate_hz=rate_hz), rate_hz)
    assert found.median_hz == pytest.approx(pitch_hz, rel=0.01)
    assert found.voiced_s == pytest.approx(1, abs=0.1)


def test_a_weak_fundamental_does_not_make_it_an_octave_higher():
    time_s = np.arange(RATE_HZ) / RATE_HZ
    weak = sum(
        gain * np.sin(2 * np.pi * 120 * n * time_s) for n, gain in ((1, 0.02), (2, 0.2), (3, 0.15), (4, 0.1))
    )
    assert measure_pitch(weak.astype(np.float32), RATE_HZ).median_hz == pytest.approx(120, rel=0.01)


def test_a_gliding_voice_has_its_range():
    found = measure_pitch(buzz(np.linspace(100, 200, 2 * RATE_HZ), 2.0), RATE_HZ)
    assert (found.low_hz, found.median_hz, found.high_hz) == pytest.approx((110, 150, 190), rel=0.04)


def test_it_is_found_in_noise_too():
    noisy = buzz(150) + noise(1, rate_hz=RATE_HZ, level_dbfs=-27)
    assert measure_pitch(noisy, RATE_HZ).median_hz == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize(
    "nothing", [noise(2, rate_hz=RATE_HZ), silence(2, RATE_HZ), silence(0), silence(0.01)]
)
def test_what_is_no_voice_has_none(nothing):
    found = measure_pitch(nothing, RATE_HZ)
    assert found.median_hz == 0
    assert found.voiced_s < 0.2


def test_quiet_frames_do_not_count():
    """An echo or a neighbour far below the speaker is not the speaker's pitch."""
    both = np.concatenate([buzz(120), buzz(240) * 0.02])
    found = measure_pitch(both, RATE_HZ)
    assert found.high_hz < 130


def test_a_voice_is_told_part_by_part():
    tracked = track(np.concatenate([buzz(100, 1.3), silence(0.5, RATE_HZ), buzz(200, 1.3)]), RATE_HZ)
    parts_hz = medians_hz(tracked, RATE_HZ, voiced_s=0.6)
    assert parts_hz[:1] == pytest.approx([100], rel=0.02)
    assert parts_hz[-1:] == pytest.approx([200], rel=0.02)
    assert len(parts_hz) == 4


def test_too_little_voice_has_no_parts():
    assert medians_hz(np.zeros(10, np.float32), RATE_HZ, voiced_s=0.6) == []


def test_every_frame_begins_a_hop_after_the_one_before():
    samples = np.concatenate([silence(1, RATE_HZ), buzz(100)])
    first = int(np.flatnonzero(track(samples, RATE_HZ))[0])
    assert first * hop_samples(RATE_HZ) == pytest.approx(RATE_HZ, abs=RATE_HZ * 0.05)
