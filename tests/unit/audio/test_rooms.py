import numpy as np
import pytest

from phonoloop.audio.augment import WaveAugment, WaveAugmentConfig, transform_length
from phonoloop.audio.rooms import LONGEST_S, RoomConfig, Shoebox, image_response, room_bank
from phonoloop.core.errors import ConfigError

ROOM = Shoebox((5.0, 4.0, 3.0), (0.3,) * 6)
SOURCE, MICROPHONE = (1.0, 1.2, 1.4), (3.6, 2.9, 1.1)


def measured_rt60_s(response):
    """Schroeder's backward integration, -5 to -25 dB, three times that."""
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    decay_db = 10 * np.log10(left / left[0] + 1e-20)
    return 3 * (np.argmax(decay_db < -25) - np.argmax(decay_db < -5)) / 16_000


def test_the_direct_sound_comes_when_and_as_loud_as_its_distance_says():
    response = image_response(ROOM, SOURCE, MICROPHONE, duration_s=0.02)
    distance_m = np.linalg.norm(np.subtract(SOURCE, MICROPHONE))
    arrives = distance_m / 343 * 16_000
    assert np.flatnonzero(np.abs(response) > 0.01)[0] == int(arrives)
    assert response[int(arrives) : int(arrives) + 2].sum() == pytest.approx(1 / distance_m, rel=0.06)


def test_the_first_reflection_is_the_image_behind_the_nearest_wall():
    floor_only = Shoebox((50.0, 50.0, 30.0), (1.0, 1.0, 1.0, 1.0, 0.19, 1.0))
    source, microphone = (25.0, 25.0, 1.0), (28.0, 25.0, 1.0)
    response = image_response(floor_only, source, microphone, duration_s=0.02)
    bounce_m = np.hypot(3.0, 2.0)
    at = int(bounce_m / 343 * 16_000)
    assert np.abs(response[at : at + 2]).sum() == pytest.approx(0.9 / bounce_m, rel=0.15)


@pytest.mark.parametrize("absorption", [0.15, 0.25, 0.4])
@pytest.mark.parametrize("size_m", [(5.0, 4.0, 3.0), (3.2, 2.5, 2.4)])
def test_sound_dies_away_as_sabine_and_eyring_say(size_m, absorption):
    room = Shoebox(size_m, (absorption,) * 6)
    source, microphone = (0.8, 0.9, 1.2), (size_m[0] - 0.9, size_m[1] - 0.7, 1.5)
    response = image_response(
        room, source, microphone, duration_s=1.2 * room.rt60_s, rng=np.random.default_rng(0)
    )
    assert 0.85 * room.rt60_s < measured_rt60_s(response) < 1.25 * room.rt60_sabine_s


def test_eyring_is_below_sabine_and_both_grow_with_the_room():
    larger = Shoebox((10.0, 8.0, 6.0), (0.3,) * 6)
    assert ROOM.rt60_s < ROOM.rt60_sabine_s < larger.rt60_sabine_s
    assert larger.rt60_s == pytest.approx(2 * ROOM.rt60_s)


def test_a_bank_is_the_same_for_a_seed_and_begins_with_the_direct_sound():
    bank, again, other = (room_bank(12, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(bank, again, strict=True))
    assert not np.array_equal(bank[0].samples, other[0].samples)
    for room in bank:
        assert np.linalg.norm(room.samples) == pytest.approx(1.0, abs=1e-3)
        assert np.abs(room.samples[:2]).max() > 0.05
        assert len(room.samples) <= LONGEST_S * 16_000 + 2
        assert 0.25 < room.distance_m < 5.5


def test_a_bank_has_near_and_far_dry_and_reverberant_rooms():
    bank = room_bank(60, seed=1, config=RoomConfig())
    distances, times = ([getattr(room, name) for room in bank] for name in ("distance_m", "rt60_s"))
    assert min(distances) < 0.6
    assert max(distances) > 2.5
    assert min(times) < 0.25 < 0.5 < max(times)


@pytest.mark.parametrize("place", [(0.0, 1.0, 1.0), (5.5, 1.0, 1.0), MICROPHONE])
def test_a_source_outside_of_the_room_or_in_the_microphone_is_refused(place):
    with pytest.raises(ConfigError) as caught:
        image_response(ROOM, place, MICROPHONE, duration_s=0.1)
    assert caught.value.code == "room.position"


@pytest.mark.parametrize(
    ("size_m", "absorption", "code"),
    [
        ((5.0, 4.0, 0.3), (0.3,) * 6, "room.size"),
        ((5.0, 4.0, 3.0), (0.3,) * 5, "room.absorption"),
        ((5.0, 4.0, 3.0), (0.0, 0.3, 0.3, 0.3, 0.3, 0.3), "room.absorption"),
    ],
)
def test_a_room_that_cannot_be_is_refused(size_m, absorption, code):
    with pytest.raises(ConfigError) as caught:
        Shoebox(size_m, absorption)
    assert caught.value.code == code


def only_rooms():
    silent = (
        ("speeds", (1.0,)),
        ("pad_probability", 0.0),
        ("noise_probability", 0.0),
        ("floor_probability", 0.0),
    )
    off = {"channel_probability": 0.0, "volume_probability": 0.0, "room_probability": 1.0}
    return WaveAugmentConfig(**dict(silent), **off)


def test_augmentation_takes_rooms_from_a_bank():
    bank = [room.samples for room in room_bank(3, seed=2)]
    click = np.zeros(16_000, np.float32)
    click[100] = 0.5
    augment = WaveAugment(only_rooms(), rooms=bank)
    heard = [augment(click, np.random.default_rng(seed)) for seed in range(40)]
    expected = [0.5 * np.pad(room, (100, 16_000))[:16_000] for room in bank]
    hits = [any(np.allclose(one, want, atol=1e-4) for want in expected) for one in heard]
    assert 20 <= sum(hits) < 40  # the others are rooms made of noise


def test_without_a_bank_augmentation_is_what_it_was():
    speech = np.random.default_rng(0).standard_normal(8_000).astype(np.float32) * 0.1
    config = only_rooms()
    plain = WaveAugment(config)(speech, np.random.default_rng(5))
    empty = WaveAugment(config, rooms=())(speech, np.random.default_rng(5))
    assert np.array_equal(plain, empty)
    assert len(plain) == len(speech) < transform_length(len(speech))
