"""The acoustic front end."""

import dataclasses

import kaldi_native_fbank as knf
import numpy as np
import pytest

from phonoloop.audio.features import FrontEnd, StreamingFrontEnd
from phonoloop.core.errors import ConfigError
from phonoloop.testing.sounds import mix_at_snr, noise, silence, speech_like, tone

FRONT_END = FrontEnd()


def speech(duration_s, seed=1):
    return mix_at_snr(speech_like(duration_s, seed=seed), noise(duration_s, seed=seed), 25).astype(np.float32)


class TestShape:
    @pytest.mark.parametrize("samples", [0, 1, 399, 400, 559, 560, 561, 16_000, 16_001])
    def test_only_whole_frames_count(self, samples):
        frames = FRONT_END.compute(noise(2)[:samples])
        assert frames.shape == (FRONT_END.frames(samples), 80)
        assert frames.dtype == np.float32

    def test_a_second_has_98_frames(self):
        assert FRONT_END.frames(16_000) == 98

    def test_another_number_of_bands(self):
        assert FrontEnd(n_mels=40).compute(noise(1)).shape == (98, 40)


class TestValues:
    def test_they_are_kaldis_before_scaling(self):
        samples = speech(1)
        plain = FrontEnd(floor=-100.0, mean=0.0, std=1.0).compute(samples)
        options = knf.FbankOptions()
        options.frame_opts.dither = 0
        options.mel_opts.num_bins = 80
        bank = knf.OnlineFbank(options)
        bank.accept_waveform(16_000, (samples * 32768).tolist())
        assert np.array_equal(plain, np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)]))

    def test_speech_has_about_zero_mean_and_unit_variance(self):
        frames = FRONT_END.compute(speech(20))
        assert abs(frames.mean()) < 1
        assert 0.4 < frames.std() < 1.5

    def test_a_low_tone_is_low_and_a_high_one_high(self):
        low, high = FRONT_END.compute(tone(200, 1)), FRONT_END.compute(tone(6_000, 1))
        assert low.mean(axis=0).argmax() < 15
        assert high.mean(axis=0).argmax() > 65

    def test_digital_silence_is_the_floor(self):
        floor = (FRONT_END.floor - FRONT_END.mean) / FRONT_END.std
        assert FRONT_END.compute(silence(1)) == pytest.approx(floor)
        assert floor > -5

    def test_they_are_the_same_every_time(self):
        samples = speech(3)
        assert np.array_equal(FRONT_END.compute(samples), FRONT_END.compute(samples.copy()))

    def test_nothing_depends_on_what_comes_later(self):
        samples = speech(4)
        whole, half = FRONT_END.compute(samples), FRONT_END.compute(samples[:32_000])
        assert np.array_equal(whole[: len(half)], half)


class TestStream:
    def test_frames_come_as_soon_as_they_are_complete(self):
        stream = StreamingFrontEnd(FRONT_END)
        samples = noise(1)
        assert len(stream.push(samples[:399])) == 0
        assert len(stream.push(samples[399:400])) == 1
        assert len(stream.push(samples[400:400])) == 0
        assert len(stream.push(samples[400:880])) == 3

    def test_flush_begins_another_utterance(self):
        stream, samples = StreamingFrontEnd(FRONT_END), speech(1)
        stream.push(noise(0.777))
        assert stream.flush().shape == (0, 80)
        assert np.array_equal(stream.push(samples), FRONT_END.compute(samples))

    def test_a_long_batch_is_a_short_one_continued(self):
        """More than one of the blocks that `compute` works in."""
        samples = np.tile(speech(10), 13)
        frames = FRONT_END.compute(samples)
        stream = StreamingFrontEnd(FRONT_END)
        assert np.array_equal(frames, stream.push(samples))


class TestIdentity:
    def test_the_settings_survive_a_round_trip(self):
        changed = FrontEnd(n_mels=40, mean=1.5)
        assert FrontEnd.from_dict(changed.to_dict()) == changed

    @pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(FrontEnd)])
    def test_every_setting_is_in_the_hash(self, field):
        value = getattr(FRONT_END, field)
        changed = dataclasses.replace(FRONT_END, **{field: value + 1 if field != "window" else "hamming"})
        assert changed.hash != FRONT_END.hash

    def test_equal_settings_have_equal_hashes(self):
        assert FrontEnd().hash == FRONT_END.hash

    def test_an_unknown_setting_is_refused(self):
        with pytest.raises(ConfigError) as caught:
            FrontEnd.from_dict({"n_mel": 80})
        assert (caught.value.code, caught.value.subject) == ("config.unknown_key", "n_mel")

    def test_features_of_another_algorithm_are_refused(self):
        with pytest.raises(ConfigError) as caught:
            FrontEnd.from_dict({**FRONT_END.to_dict(), "algorithm": "librosa/1"})
        assert caught.value.code == "config.front_end"
