"""What is measured on a recording, against sounds of which it is known."""

import dataclasses
import math

import numpy as np
import pytest
import soxr

from phonoloop.audio.quality import SILENCE_DBFS, SILENCE_LUFS, integrated_loudness, k_filters, measure
from phonoloop.audio.wav import to_int16
from phonoloop.testing.sounds import mix_at_snr, noise, silence, speech_like, tone

RATE_HZ = 16_000


def measured(samples, rate_hz=RATE_HZ):
    return measure(to_int16(samples), rate_hz)


class TestSnr:
    @pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20, 25, 30])
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_it_is_within_3_db_of_the_mixture(self, snr_db, seed):
        mixed = mix_at_snr(speech_like(15, seed=seed), noise(15, seed=seed + 100), snr_db)
        assert measured(mixed).snr_db == pytest.approx(snr_db, abs=3)

    @pytest.mark.parametrize("snr_db", [10, 20, 30])
    def test_neither_level_nor_rate_matters(self, snr_db):
        loud = mix_at_snr(speech_like(10, seed=5), noise(10, seed=6), snr_db)
        quiet = loud / 8
        fast = soxr.resample(loud, RATE_HZ, 48_000)
        assert measured(quiet).snr_db == pytest.approx(measured(loud).snr_db, abs=0.5)
        assert measured(fast, 48_000).snr_db == pytest.approx(measured(loud).snr_db, abs=1)

    def test_digital_silence_around_it_does_not_make_it_cleaner(self):
        mixed = mix_at_snr(speech_like(10, seed=5), noise(10, seed=6), 10)
        padded = np.concatenate([silence(5), mixed, silence(5)])
        assert measured(padded).snr_db == pytest.approx(measured(mixed).snr_db, abs=0.5)

    def test_coloured_noise_is_noise(self):
        hum = noise(15, seed=8, rate_hz=2_000)
        brown = soxr.resample(hum, 2_000, RATE_HZ)
        assert measured(mix_at_snr(speech_like(15, seed=1), brown, 15)).snr_db == pytest.approx(15, abs=4)

    def test_steady_noise_has_none(self):
        assert measured(noise(5)).snr_db == 0


class TestLoudness:
    def test_the_standards_own_example(self):
        """A sine of 997 Hz at 0 dBFS in one channel has -3.01 LKFS (BS.1770-4, section 2.8)."""
        sine = tone(997, 5, rate_hz=48_000, level_dbfs=-20 * math.log10(2**0.5))
        assert measured(sine * 0.99996, 48_000).loudness_lufs == pytest.approx(-3.01, abs=0.05)

    def test_the_filters_are_those_that_the_standard_prints_for_48_khz(self):
        (shelf_b, shelf_a), (_, high_a) = k_filters(48_000)
        assert shelf_b == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285])
        assert shelf_a == pytest.approx([1.0, -1.69065929318241, 0.73248077421585])
        assert high_a == pytest.approx([1.0, -1.99004745483398, 0.99007225036621])

    @pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_it_is_within_a_third_of_a_unit_of_the_filters_in_time(self, rate_hz, seed):
        speech = speech_like(6, seed=seed, rate_hz=rate_hz, level_dbfs=-20 - 5 * seed)
        rumble = tone(25, 6, rate_hz=rate_hz, level_dbfs=-30)
        pcm = to_int16(mix_at_snr(speech, noise(6, seed=seed, rate_hz=rate_hz), 25) + rumble)
        assert integrated_loudness(pcm, rate_hz) == pytest.approx(reference_loudness(pcm, rate_hz), abs=0.3)

    def test_gating_leaves_pauses_out(self):
        speech = tone(440, 4, level_dbfs=-23)
        padded = np.concatenate([silence(10), speech, silence(10)])
        assert measured(padded).loudness_lufs == pytest.approx(measured(speech).loudness_lufs, abs=0.6)

    def test_twice_the_amplitude_is_six_units_more(self):
        quiet = speech_like(5, seed=3, level_dbfs=-30).samples
        louder = measured(2 * quiet).loudness_lufs - measured(quiet).loudness_lufs
        assert louder == pytest.approx(6.02, abs=0.05)


def reference_loudness(pcm, rate_hz):
    """BS.1770-4 in the time domain, sample by sample."""
    samples = (pcm / 32768).tolist()
    for numerator, denominator in k_filters(rate_hz):
        samples = _filtered(samples, numerator.tolist(), denominator.tolist())
    squares = np.square(samples)
    block, step = round(0.4 * rate_hz), round(0.1 * rate_hz)
    powers = np.array([squares[i : i + block].mean() for i in range(0, squares.size - block + 1, step)])
    heard = powers[powers > 10 ** ((-70 + 0.691) / 10)]
    loud = heard[heard > heard.mean() * 10**-1]
    return 10 * math.log10(loud.mean()) - 0.691


def _filtered(samples, b, a):
    first = second = 0.0
    output = []
    for sample in samples:
        value = b[0] * sample + first
        first = b[1] * sample - a[1] * value + second
        second = b[2] * sample - a[2] * value
        output.append(value)
    return output


class TestBandwidth:
    def test_telephone_speech_keeps_its_band_at_any_rate(self):
        telephone = mix_at_snr(speech_like(6, seed=2, rate_hz=8_000), noise(6, rate_hz=8_000), 30)
        upsampled = soxr.resample(telephone, 8_000, RATE_HZ)
        assert 3_400 <= measured(upsampled).bandwidth_hz <= 4_100

    def test_wide_band_speech_has_it_all(self):
        assert measured(mix_at_snr(speech_like(6, seed=2), noise(6), 30)).bandwidth_hz > 7_500

    @pytest.mark.parametrize("edge_hz", [1_000, 2_000, 3_000])
    def test_a_tone_is_its_own_edge(self, edge_hz):
        assert edge_hz <= measured(tone(edge_hz, 2)).bandwidth_hz <= edge_hz + 250


class TestShares:
    def test_clipping(self):
        quiet, clipped = tone(440, 1, level_dbfs=-9), np.clip(tone(440, 1, level_dbfs=3), -1, 1)
        assert measured(quiet).clipping_share == 0
        assert measured(clipped).clipping_share == pytest.approx(2 / 3, abs=0.01)  # |sin| > 0.5

    def test_silence(self):
        half = np.concatenate([silence(2), tone(440, 2)])
        assert measured(half).silence_share == pytest.approx(0.5, abs=0.01)

    def test_peak(self):
        assert measured(tone(440, 1, level_dbfs=-20)).peak_dbfs == pytest.approx(-20 + 3.01, abs=0.01)
        assert measure(np.full(10, -32768, np.int16), RATE_HZ).peak_dbfs == 0

    def test_duration(self):
        assert measured(silence(1.5)).duration_s == 1.5


class TestLittleOrNothing:
    @pytest.mark.parametrize("samples", [0, 1, 2, 100, 319, 320, 1023, 1599, 16_000])
    def test_silence_of_any_length_has_defined_values(self, samples):
        quality = measure(np.zeros(samples, np.int16), RATE_HZ)
        assert quality.duration_s == samples / RATE_HZ
        assert quality.silence_share == 1
        assert (quality.loudness_lufs, quality.peak_dbfs) == (SILENCE_LUFS, SILENCE_DBFS)
        assert (quality.snr_db, quality.clipping_share, quality.bandwidth_hz) == (0, 0, 0)

    @pytest.mark.parametrize("samples", [1, 2, 319, 640, 1023, 1024, 1599, 6_399, 6_400])
    @pytest.mark.parametrize("rate_hz", [8_000, 16_000])
    def test_short_sound_has_finite_values(self, samples, rate_hz):
        pcm = np.random.default_rng(samples).integers(-32768, 32767, samples).astype(np.int16)
        assert all(math.isfinite(value) for value in dataclasses.astuple(measure(pcm, rate_hz)))

    def test_ten_minutes_are_as_ten_seconds(self):
        """Long recordings are worked off in chunks; their edges must not show."""
        short = to_int16(mix_at_snr(speech_like(10, seed=7), noise(10), 20))
        once, often = measure(short, RATE_HZ), measure(np.tile(short, 60), RATE_HZ)
        assert often.loudness_lufs == pytest.approx(once.loudness_lufs, abs=0.2)
        assert often.snr_db == pytest.approx(once.snr_db, abs=0.2)
        assert often.silence_share == pytest.approx(once.silence_share, abs=0.01)
