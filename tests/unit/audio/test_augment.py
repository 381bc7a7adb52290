from dataclasses import replace

import numpy as np
import pytest

from phonoloop.audio.augment import (
    FeatureAugment,
    FeatureAugmentConfig,
    WaveAugment,
    WaveAugmentConfig,
    band_db,
    change_speed,
    change_volume,
    generated_noises,
    mix_at_snr,
    mu_law,
    random_curve_db,
    random_stretch,
    room_impulse,
    shift_pitch,
    speech_power,
    stretch,
    transform_length,
)
from phonoloop.core.errors import ConfigError

RATE_HZ = 16_000
OFF = WaveAugmentConfig(
    speeds=(1.0,),
    pad_probability=0,
    noise_probability=0,
    floor_probability=0,
    room_probability=0,
    channel_probability=0,
    volume_probability=0,
)
STILL = FeatureAugmentConfig(
    stretch_probability=0, pitch_probability=0, time_masks_per_s=0, frequency_masks=0
)


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(frequency_hz, duration_s=1.0, level=0.3):
    t = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def bursts(seed=0):
    """Two seconds of noise that comes and goes, as speech does."""
    noise = rng(seed).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    return noise * (np.arange(2 * RATE_HZ) // 3200 % 2).astype(np.float32)


def power_db(samples):
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2))


def band_power_db(samples, low_hz, high_hz):
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return 10 * np.log10(power[(frequencies >= low_hz) & (frequencies < high_hz)].mean() + 1e-12)


def peak_hz(samples):
    return np.argmax(np.abs(np.fft.rfft(samples))) * RATE_HZ / len(samples)


def log_mel(samples, bins=80, low_hz=20.0, high_hz=8000.0):
    """(frames, bins): a plain filter bank to measure against, independent of the front end."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    mel = 1127 * np.log1p(np.fft.rfftfreq(512, 1 / RATE_HZ) / 700)
    edges = np.linspace(1127 * np.log1p(low_hz / 700), 1127 * np.log1p(high_hz / 700), bins + 2)
    rising = (mel[None] - edges[:-2, None]) / (edges[1] - edges[0])
    falling = (edges[2:, None] - mel[None]) / (edges[1] - edges[0])
    return np.log(power @ np.maximum(np.minimum(rising, falling), 0).T + 1e-6).astype(np.float32)


# ---------------------------------------------------------------- samples


def test_with_everything_off_nothing_changes():
    assert np.array_equal(WaveAugment(OFF)(bursts(), rng()), bursts())


def test_the_same_generator_state_gives_the_same_samples():
    augment = WaveAugment(WaveAugmentConfig(), noises=(bursts(5),))
    first = [augment(bursts(), rng(seed)) for seed in range(20)]
    again = [augment(bursts(), rng(seed)) for seed in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) == 20


def test_results_are_float32_within_full_scale_and_the_input_is_untouched():
    augment = WaveAugment(replace(WaveAugmentConfig(), volume=(1.5, 1.5)), noises=(bursts(5),))
    speech = np.clip(bursts() * 20, -1, 1)
    kept = speech.copy()
    for seed in range(30):
        result = augment(speech, rng(seed))
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert np.abs(result).max() <= 1.0
    assert np.array_equal(speech, kept)


@pytest.mark.parametrize("samples", [0, 1, 100, 319, 321])
def test_very_short_and_silent_audio_pass(samples):
    augment = WaveAugment(WaveAugmentConfig(noise_probability=1, room_probability=1, channel_probability=1))
    for seed in range(10):
        assert np.isfinite(augment(np.zeros(samples, np.float32), rng(seed))).all()


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_duration_and_pitch_together(factor):
    faster = change_speed(tone(1000), factor)
    assert len(faster) == pytest.approx(RATE_HZ / factor, abs=1)
    assert peak_hz(faster[1000:-1000]) == pytest.approx(1000 * factor, rel=0.002)


def test_all_speeds_are_drawn():
    augment = WaveAugment(replace(OFF, speeds=(0.9, 1.0, 1.1)))
    lengths = {len(augment(tone(500), rng(seed))) for seed in range(30)}
    assert lengths == {17778, 16000, 14545}


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0])
def test_noise_is_mixed_at_the_stated_snr(snr_db):
    speech, noise = bursts(1), rng(2).standard_normal(2 * RATE_HZ).astype(np.float32)
    added = mix_at_snr(speech, noise, snr_db) - speech
    loud = speech[np.abs(speech) > 0]
    assert power_db(loud) - power_db(added) == pytest.approx(snr_db, abs=0.1)


def test_pauses_do_not_count_in_the_level_of_speech():
    assert speech_power(bursts()) == pytest.approx(2 * np.mean(bursts() ** 2), rel=0.1)


def test_digital_silence_in_a_noise_leaves_the_speech_as_it_is():
    assert np.array_equal(mix_at_snr(bursts(), np.zeros(2 * RATE_HZ, np.float32), 5.0), bursts())


def test_the_snr_drawn_lies_in_the_range():
    augment = WaveAugment(
        replace(OFF, noise_probability=1, noise_snr_db=(5, 15), generated_noise_share=0),
        noises=(tone(3000, 5),),
    )
    speech = bursts()
    snrs = [
        10 * np.log10(speech_power(speech) / np.mean((augment(speech, rng(seed)) - speech) ** 2))
        for seed in range(40)
    ]
    assert 4.9 < min(snrs) < 7
    assert 13 < max(snrs) < 15.1


def test_a_noise_shorter_than_the_speech_goes_round():
    noise = np.arange(10, dtype=np.float32)
    piece = random_stretch(noise, 25, rng())
    assert np.array_equal(np.diff(piece) % 10, np.ones(24))


def test_padding_puts_silence_before_and_after():
    padded = WaveAugment(replace(OFF, pad_probability=1, pad_s=0.5))(tone(500) + 0.5, rng(3))
    assert len(padded) > RATE_HZ
    assert padded[0] == padded[-1] == 0.0
    assert np.count_nonzero(padded) == RATE_HZ


def test_a_faint_floor_fills_digital_zeros():
    floored = WaveAugment(replace(OFF, floor_probability=1, floor_dbfs=(-70, -70)))(
        np.zeros(RATE_HZ, np.float32), rng()
    )
    assert power_db(floored) == pytest.approx(-70, abs=0.5)


def test_volume_stays_in_its_range():
    augment = WaveAugment(replace(OFF, volume_probability=1, volume=(0.5, 1.5)))
    gains = [augment(tone(500), rng(seed)).max() / 0.3 for seed in range(60)]
    assert 0.5 <= min(gains) < 0.6
    assert 1.4 < max(gains) <= 1.5


def test_a_room_dies_away_in_its_time_and_keeps_the_energy():
    impulse = room_impulse(rng(), rt60_s=0.4, direct_db=0.0)
    assert np.sum(impulse**2) == pytest.approx(1.0, rel=1e-4)
    assert impulse[0] ** 2 == pytest.approx(0.5, abs=0.01)
    early, late = impulse[800:1600], impulse[800 + 3200 : 1600 + 3200]
    assert power_db(early) - power_db(late) == pytest.approx(60 * 0.2 / 0.4, abs=2.5)


def test_a_room_makes_a_click_ring_and_delays_nothing():
    click = np.zeros(RATE_HZ, np.float32)
    click[4000] = 0.9
    heard = WaveAugment(replace(OFF, room_probability=1, room_rt60_s=(0.3, 0.3)))(click, rng())
    assert np.argmax(np.abs(heard)) == 4000
    assert power_db(heard[4100:6000]) > -60
    assert np.abs(heard[:4000]).max() < 1e-5


def test_a_telephone_passes_its_band_only():
    augment = WaveAugment(
        replace(OFF, channel_probability=1, telephone_probability=1, tilt_db=0, ripple_db=0)
    )
    noise = rng(1).standard_normal(4 * RATE_HZ).astype(np.float32) * 0.1
    for seed in range(4):
        heard = augment(noise, rng(seed))
        middle = band_power_db(heard, 500, 2800)
        assert band_power_db(heard, 50, 100) < middle - 20
        assert band_power_db(heard, 6000, 8000) < middle - 25
        assert middle == pytest.approx(band_power_db(noise, 500, 2800), abs=0.5)


def test_a_tilt_is_a_straight_line_over_octaves():
    frequencies = np.array([100.0, 1000.0, 8000.0])
    curve = random_curve_db(rng(), frequencies, tilt_db=9.0, ripple_db=0.0)
    assert curve[1] == pytest.approx(0.0)
    assert curve[2] - curve[0] == pytest.approx(9.0)


def test_ripples_have_the_stated_size():
    curves = [
        random_curve_db(rng(seed), np.array([1000.0 * 2**0.5, 2000.0]), tilt_db=0, ripple_db=3.0)
        for seed in range(400)
    ]
    assert np.std(curves, axis=0) == pytest.approx([3.0, 3.0], rel=0.15)


def test_a_band_falls_off_outside():
    gain = band_db(np.array([150.0, 300.0, 3000.0, 6000.0]), 300, 3000)
    assert gain == pytest.approx([-24, 0, 0, -60])


def test_mu_law_costs_about_38_db():
    speech = bursts()
    assert 33 < power_db(speech) - power_db(mu_law(speech) - speech) < 42
    assert mu_law(np.array([2.0, -2.0], np.float32)) == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize("samples", [0, 1, 777, 16_000, 123_457])
def test_transforms_have_room_for_the_end_of_a_filter_and_small_factors(samples):
    length = transform_length(samples)
    assert samples + RATE_HZ // 2 <= length <= 1.13 * (samples + RATE_HZ // 2)
    assert length // (length & -length) < 16


def test_generated_noises_have_unit_power_and_their_colours():
    white, pink, brown, babble = generated_noises(4)
    for noise in (white, pink, brown, babble):
        assert np.mean(noise**2) == pytest.approx(1.0, rel=1e-3)
    slope = [band_power_db(n, 200, 300) - band_power_db(n, 3200, 4800) for n in (white, pink, brown)]
    assert slope == pytest.approx([0, 12, 24], abs=1.5)
    levels = np.std(babble[: 4 * RATE_HZ].reshape(-1, 1600), axis=1)
    assert levels.std() / levels.mean() > 0.2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("noise_probability", 1.5),
        ("generated_noise_share", -0.1),
        ("volume", (1.5, 0.5)),
        ("speeds", ()),
        ("speeds", (0.0,)),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigError) as caught:
        WaveAugmentConfig(**{field: value})
    assert caught.value.code == "config.range"
    assert caught.value.subject == field


# ---------------------------------------------------------------- features


def test_features_with_everything_off_stay():
    features = log_mel(bursts())
    assert np.array_equal(FeatureAugment(STILL)(features, rng()), features)


def test_feature_augmentation_repeats_and_leaves_its_input():
    features = log_mel(bursts())
    kept = features.copy()
    augment = FeatureAugment(FeatureAugmentConfig())
    first = [augment(features, rng(seed)) for seed in range(10)]
    assert all(np.array_equal(a, augment(features, rng(seed))) for seed, a in enumerate(first))
    assert all(a.dtype == np.float32 for a in first)
    assert np.array_equal(features, kept)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_stretching_changes_duration_and_not_pitch(factor):
    features = log_mel(tone(1000))
    slower = stretch(features, factor)
    assert len(slower) == round(len(features) * factor)
    assert np.argmax(slower.mean(axis=0)) == np.argmax(features.mean(axis=0))


def test_stretching_keeps_the_order_of_events():
    ramp = np.repeat(np.arange(50, dtype=np.float32)[:, None], 80, axis=1)
    slower = stretch(ramp, 1.2)
    assert slower[0, 0] == 0
    assert slower[-1, 0] == 49
    assert (np.diff(slower[:, 0]) > 0).all()


@pytest.mark.parametrize("semitones", [-2.0, 2.0])
@pytest.mark.parametrize("frequency_hz", [500, 1500, 4000])
def test_pitch_moves_the_peak_of_a_tone_to_where_the_higher_tone_has_it(semitones, frequency_hz):
    moved = shift_pitch(log_mel(tone(frequency_hz)), semitones, low_hz=20, high_hz=8000)
    expected = log_mel(tone(frequency_hz * 2 ** (semitones / 12)))
    assert abs(np.argmax(moved.mean(axis=0)) - np.argmax(expected.mean(axis=0))) <= 1
    assert len(moved) == len(expected)


def test_no_pitch_shift_is_no_change():
    features = log_mel(bursts())
    assert shift_pitch(features, 0.0, low_hz=20, high_hz=8000) == pytest.approx(features, abs=1e-4)


def test_volume_in_features_is_volume_in_samples():
    scale = 3.7
    quiet, loud = (log_mel(gain * bursts(1) + 0.01 * bursts(2)) / scale for gain in (1.0, 1.0))
    louder = log_mel(1.4125375 * (bursts(1) + 0.01 * bursts(2))) / scale
    heard = bursts(1).reshape(-1, 160)[: len(quiet)].any(axis=1)
    changed = change_volume(loud, 3.0, scale=scale)
    assert np.median(np.abs(changed - louder)[heard[: len(quiet)]]) < 1e-3


def test_masks_hide_no_more_than_they_may():
    config = replace(STILL, time_masks_per_s=4.0, time_mask_s=0.5, time_mask_share=0.3)
    for seed in range(50):
        masked = FeatureAugment(config)(np.ones((300, 80), np.float32), rng(seed))
        hidden = (masked == 0).all(axis=1)
        assert hidden.mean() <= 0.3
        assert ((masked == 0).any(axis=1) == hidden).all()


def test_time_masks_hide_something_most_of_the_time():
    config = replace(STILL, time_masks_per_s=1.0)
    augment = FeatureAugment(config)
    hidden = [(augment(np.ones((300, 80), np.float32), rng(s)) == 0).mean() for s in range(50)]
    assert 0.05 < np.mean(hidden) < 0.3


def test_frequency_masks_hide_whole_bands():
    config = replace(STILL, frequency_masks=2, frequency_mask_bins=15)
    widths = []
    for seed in range(50):
        masked = FeatureAugment(config)(np.ones((100, 80), np.float32), rng(seed))
        hidden = (masked == 0).all(axis=0)
        assert ((masked == 0).any(axis=0) == hidden).all()
        widths.append(hidden.sum())
    assert max(widths) <= 30
    assert np.mean(widths) == pytest.approx(15, abs=5)


def test_one_frame_survives():
    augment = FeatureAugment(FeatureAugmentConfig(stretch_probability=1, pitch_probability=1))
    assert augment(np.ones((1, 80), np.float32), rng()).shape == (1, 80)


def test_colour_changes_the_balance_of_the_bins_and_not_the_level():
    config = replace(STILL, colour_probability=1.0, colour_db=4.0)
    frames = np.zeros((50, 80), np.float32)
    coloured = np.stack([FeatureAugment(config, scale=2.0)(frames, rng(seed)) for seed in range(200)])
    assert np.abs(coloured.mean(axis=2)).max() < 1e-5
    assert (coloured == coloured[:, :1]).all()
    spread_db = coloured[:, 0].std(axis=0).mean() * 2.0 * 10 / np.log(10)
    assert 3.0 < spread_db < 9.0
