"""Noise is taken out of speech, and nothing else is done to it."""

import numpy as np
import pytest

from phonoloop.audio.denoise import DenoiseSettings, denoise
from phonoloop.core.errors import ConfigError
from phonoloop.testing.sounds import mix_at_snr, noise, silence, speech_like, tone

RATE_HZ = 22_050


def sisdr_db(clean, heard):
    """Scale-invariant signal-to-distortion ratio."""
    wanted = (heard @ clean) / (clean @ clean) * clean
    return 10 * np.log10((wanted @ wanted) / ((heard - wanted) @ (heard - wanted)))


def mixed(snr_db, *, rate_hz=RATE_HZ, seed=1, level_dbfs=-23.0):
    speech = speech_like(6, seed=seed, rate_hz=rate_hz, level_dbfs=level_dbfs)
    return speech.samples, mix_at_snr(speech, noise(6, seed=seed + 50, rate_hz=rate_hz), snr_db)


class TestNoise:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_white_noise_at_10_db_leaves_15_db_at_least(self, seed):
        clean, noisy = mixed(10, seed=seed)
        assert sisdr_db(clean, denoise(noisy, RATE_HZ)) >= 15

    @pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20, 30])
    def test_it_is_better_afterwards_at_any_level_of_noise(self, snr_db):
        clean, noisy = mixed(snr_db)
        assert sisdr_db(clean, denoise(noisy, RATE_HZ)) > sisdr_db(clean, noisy) + 1

    @pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
    def test_at_any_rate(self, rate_hz):
        clean, noisy = mixed(10, rate_hz=rate_hz)
        assert sisdr_db(clean, denoise(noisy, rate_hz)) > sisdr_db(clean, noisy) + 4

    def test_hum_is_taken_out_too(self):
        clean, _ = mixed(60)
        hum = tone(120, 6, rate_hz=RATE_HZ, level_dbfs=-35)
        noisy = clean + hum + noise(6, seed=3, rate_hz=RATE_HZ, level_dbfs=-80)
        assert sisdr_db(clean, denoise(noisy, RATE_HZ)) > sisdr_db(clean, noisy) + 3

    def test_a_pause_keeps_what_the_settings_leave_in_it(self):
        hiss = noise(3, rate_hz=RATE_HZ, level_dbfs=-40)
        left = denoise(hiss, RATE_HZ, DenoiseSettings(most_db=20))[RATE_HZ : 2 * RATE_HZ]
        assert np.std(left) == pytest.approx(np.std(hiss) / 10, rel=0.3)


class TestTheRest:
    def test_level_does_not_matter(self):
        _, noisy = mixed(10)
        assert denoise(noisy / 16, RATE_HZ) * 16 == pytest.approx(denoise(noisy, RATE_HZ), abs=1e-4)

    def test_clean_speech_stays_what_it_is(self):
        clean, nearly = mixed(60)
        assert sisdr_db(clean, denoise(nearly, RATE_HZ)) > 50

    def test_speech_is_not_taken_for_noise_where_an_editor_has_muted_the_pauses(self):
        """Words fade in and out, so the quietest frames that hold anything are the ends of words."""
        from phonoloop.adapters.espeak import EspeakSynthesizer

        with EspeakSynthesizer() as espeak:
            words = [espeak.synthesize(word, voice="vi") for word in ("xin chào", "tạm biệt", "hẹn gặp lại")]
        muted = np.concatenate([part for word in words for part in (word, silence(0.5))])
        assert sisdr_db(muted, denoise(muted, 16_000)) > 30

    def test_speech_keeps_its_place(self):
        clean, noisy = mixed(20)
        cleaned = denoise(noisy, RATE_HZ)
        shifts = [float(np.roll(cleaned, shift) @ clean) for shift in (-2, -1, 0, 1, 2)]
        assert int(np.argmax(shifts)) == 2

    def test_the_gaps_of_an_editor_teach_nothing(self):
        """Digital silence is quieter than the noise, but it is no noise."""
        clean, noisy = mixed(10)
        padded = np.concatenate([silence(2, RATE_HZ), noisy, silence(2, RATE_HZ)])
        cut = denoise(padded, RATE_HZ)[2 * RATE_HZ :][: noisy.size]
        assert sisdr_db(clean, cut) > 14

    def test_silence_stays_silence(self):
        assert not denoise(silence(1, RATE_HZ), RATE_HZ).any()

    @pytest.mark.parametrize("samples", [0, 1, 2, 127, 128, 129, 511, 512, 513, 1000])
    def test_any_length_comes_back_at_that_length(self, samples):
        cleaned = denoise(noise(1, rate_hz=RATE_HZ)[:samples], RATE_HZ)
        assert cleaned.shape == (samples,)
        assert cleaned.dtype == np.float32
        assert np.isfinite(cleaned).all()

    def test_what_is_given_is_not_changed(self):
        _, noisy = mixed(10)
        before = noisy.copy()
        denoise(noisy, RATE_HZ)
        assert (noisy == before).all()

    @pytest.mark.parametrize("wrong", [{"memory": 1.0}, {"quietest": 0.0}, {"most_db": -1.0}])
    def test_impossible_settings_are_refused(self, wrong):
        with pytest.raises(ConfigError) as refused:
            DenoiseSettings(**wrong)
        assert refused.value.code == "denoise.settings"
