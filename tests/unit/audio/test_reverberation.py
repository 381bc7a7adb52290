"""Rooms are heard in how fast speech falls."""

import numpy as np
import pytest

from phonoloop.audio.reverberation import decay_db_s
from phonoloop.audio.rooms import RoomConfig, room_bank
from phonoloop.testing.sounds import at_level, noise, silence

RATE_HZ = 16_000
SENTENCES = {
    1: ("vi", "Hôm nay trời đẹp, tôi đi chợ mua cá và rau; chiều nay cả nhà cùng ăn cơm."),
    2: ("vi+f2", "Chuyến tàu sáng mai khởi hành lúc sáu giờ, xin quý khách có mặt trước ba mươi phút."),
    3: ("en-us+m3", "Take the second street on the right, walk past the station, and stop at the bakery."),
}


@pytest.fixture(scope="module")
def sentences():
    """Real words without any room: what the falls of speech are measured on."""
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as espeak:
        return {seed: espeak.synthesize(text, voice=voice) for seed, (voice, text) in SENTENCES.items()}


def in_room(samples, rt60_s, *, seed=0):
    """As it is heard in a room with about that reverberation time."""
    config = RoomConfig(rt60_s=(rt60_s, rt60_s * 1.05), distance_m=(0.5, 2.0))
    response = room_bank(1, seed=seed, config=config)[0].samples
    length = samples.size + response.size
    heard = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(response, length), length)
    return heard[: samples.size].astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_longer_a_room_sounds_the_slower_speech_falls(sentences, seed):
    speech = sentences[seed]
    found = [decay_db_s(in_room(speech, rt60_s, seed=seed), RATE_HZ) for rt60_s in (0.2, 0.4, 0.7, 1.1)]
    assert decay_db_s(speech, RATE_HZ) > found[0]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_130_db_a_second_lies_between_a_living_room_and_a_hall(sentences, seed):
    speech = sentences[seed]
    assert decay_db_s(in_room(speech, 0.3, seed=seed), RATE_HZ) > 130
    assert decay_db_s(in_room(speech, 0.9, seed=seed), RATE_HZ) < 130


def test_noise_does_not_hide_the_room(sentences):
    heard = in_room(sentences[1], 0.9)
    noisy = heard + at_level(noise(20)[: heard.size], -45)
    assert decay_db_s(noisy, RATE_HZ) == pytest.approx(decay_db_s(heard, RATE_HZ), rel=0.15)


def test_noise_does_not_make_a_dry_recording_a_hall(sentences):
    level_dbfs = 20 * np.log10(np.std(sentences[1])) - 20
    assert decay_db_s(sentences[1] + noise(20, level_dbfs=level_dbfs)[: sentences[1].size], RATE_HZ) > 130


def test_level_does_not_matter(sentences):
    speech = in_room(sentences[1], 0.5)
    assert decay_db_s(speech / 8, RATE_HZ) == pytest.approx(decay_db_s(speech, RATE_HZ), rel=0.02)


@pytest.mark.parametrize("nothing", [silence(0), silence(0.01), silence(0.05), silence(3)])
def test_where_nothing_falls_nothing_is_told(nothing):
    assert decay_db_s(nothing, RATE_HZ) is None
