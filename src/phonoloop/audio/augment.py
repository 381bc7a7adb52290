"""Recordings as they might have sounded elsewhere, for training only.

`WaveAugment` changes samples: speed, room, noise, channel, volume. `FeatureAugment` changes log-mel
frames, where stretching without a change of pitch, a change of pitch without stretching, and
SpecAugment cost next to nothing. Both draw all their chances from the generator they are handed:
the same generator state gives the same result.

Room and channel are linear, so both are applied as one multiplication in the frequency domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import soxr

from phonoloop.core.errors import ConfigError
from phonoloop.core.units import CANONICAL_RATE_HZ

_POOL_S = 12  # of each generated noise
_FRAME = 320  # 20 ms, for measuring levels
_MU = 255.0
_GIVEN_ROOMS_SHARE = 0.75


def _check(config: WaveAugmentConfig | FeatureAugmentConfig) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name.endswith(("_probability", "_share")) and not 0 <= value <= 1:
            raise ConfigError("it must be from 0 to 1", code="config.range", subject=item.name)
        if isinstance(value, tuple) and item.name != "speeds" and not value[0] <= value[1]:
            raise ConfigError("a range goes from low to high", code="config.range", subject=item.name)


@dataclass(frozen=True, slots=True)
class WaveAugmentConfig:
    """How often and how strongly. A probability of 0 switches an effect off.

    Attributes:
        speeds: one of these is drawn for every utterance; 1.0 among them leaves some as they are.
        pad_s: the longest silence put before and after, which the noise then fills.
        noise_snr_db: range of the speech's level above the noise's, speech being its louder frames.
        generated_noise_share: of the noises, how many are white, pink, brown or babble of our own
            rather than recorded ones. All are, where no recordings are given.
        floor_dbfs: range of a faint white noise under everything; recordings are often padded with
            digital zeros, which a model would learn.
        room_rt60_s: range of the time in which the reverberation falls by 60 dB.
        room_direct_db: range of the direct sound's level above the reverberation's.
        tilt_db: the most by which the response may rise or fall from 100 Hz to 8 kHz.
        ripple_db: size of random resonances and dips of the response.
        telephone_probability: among channels, those that pass only 200-400 Hz to 3-3.8 kHz, half of them
            through 8-bit µ-law.
        volume: range of a factor.
    """

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    pad_probability: float = 0.3
    pad_s: float = 0.4
    noise_probability: float = 0.4
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    generated_noise_share: float = 0.3
    floor_dbfs: tuple[float, float] = (-90.0, -60.0)
    floor_probability: float = 0.5
    room_probability: float = 0.3
    room_rt60_s: tuple[float, float] = (0.08, 0.5)
    room_direct_db: tuple[float, float] = (-2.0, 12.0)
    channel_probability: float = 0.4
    tilt_db: float = 9.0
    ripple_db: float = 3.0
    telephone_probability: float = 0.25
    volume_probability: float = 1.0
    volume: tuple[float, float] = (0.5, 1.5)

    def __post_init__(self) -> None:
        _check(self)
        if not self.speeds or min(self.speeds) <= 0:
            raise ConfigError("speeds must be factors above 0", code="config.range", subject="speeds")


@dataclass(frozen=True, slots=True)
class WaveAugment:
    """Applies a `WaveAugmentConfig`.

    Attributes:
        noises: recordings to mix in, each (n,) float32 at 16,000 Hz.
        rooms: impulse responses, each (n,) float32 at 16,000 Hz of up to 0.5 s, with an energy of 1, that
            begin with the direct sound (`audio.rooms`). Where there are some, most rooms are of these.
    """

    config: WaveAugmentConfig
    noises: Sequence[np.ndarray] = ()
    rooms: Sequence[np.ndarray] = ()
    _generated: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_generated", generated_noises(_POOL_S))

    def __call__(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n,) float32 in [-1, 1] at 16,000 Hz, to (n / speed,) of the same kind."""
        config = self.config
        speech = self._padded(change_speed(samples, float(rng.choice(config.speeds))), rng)
        room = self._room(rng, len(speech))
        if rng.random() < config.noise_probability:
            if room is not None:
                speech, room = apply_response(speech, room), None
            speech = self._with_noise(speech, rng)
        telephone = False
        if rng.random() < config.channel_probability:
            telephone = rng.random() < config.telephone_probability
            channel = self._channel(rng, len(speech), telephone=telephone)
            room = channel if room is None else room * channel
        if room is not None:
            speech = apply_response(speech, room)
        if telephone and rng.random() < 0.5:
            speech = mu_law(speech)
        return self._at_volume(self._with_floor(speech, rng), rng)

    def _padded(self, speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.config.pad_probability:
            return speech
        return np.pad(speech, rng.integers(0, int(self.config.pad_s * CANONICAL_RATE_HZ) + 1, 2))

    def _room(self, rng: np.random.Generator, samples: int) -> np.ndarray | None:
        config = self.config
        if rng.random() >= config.room_probability:
            return None
        if self.rooms and rng.random() < _GIVEN_ROOMS_SHARE:
            impulse = self.rooms[int(rng.integers(len(self.rooms)))]
        else:
            impulse = room_impulse(
                rng, rt60_s=rng.uniform(*config.room_rt60_s), direct_db=rng.uniform(*config.room_direct_db)
            )
        return np.fft.rfft(impulse, transform_length(samples))

    def _channel(self, rng: np.random.Generator, samples: int, *, telephone: bool) -> np.ndarray:
        config = self.config
        frequencies_hz = np.fft.rfftfreq(transform_length(samples), 1 / CANONICAL_RATE_HZ)
        gain_db = random_curve_db(
            rng,
            frequencies_hz,
            tilt_db=rng.uniform(-config.tilt_db, config.tilt_db),
            ripple_db=config.ripple_db,
        )
        if telephone:
            gain_db += band_db(frequencies_hz, rng.uniform(200, 400), rng.uniform(3000, 3800))
        return (10 ** (gain_db / 20)).astype(np.float32)

    def _with_noise(self, speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        own = not self.noises or rng.random() < self.config.generated_noise_share
        pool = self._generated if own else self.noises
        noise = random_stretch(pool[int(rng.integers(len(pool)))], len(speech), rng)
        return mix_at_snr(speech, noise, rng.uniform(*self.config.noise_snr_db))

    def _with_floor(self, speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.config.floor_probability:
            return speech
        level = 10 ** (rng.uniform(*self.config.floor_dbfs) / 20)
        return speech + np.float32(level) * random_stretch(self._generated[0], len(speech), rng)

    def _at_volume(self, speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < self.config.volume_probability:
            speech = speech * np.float32(rng.uniform(*self.config.volume))
        return np.clip(speech, -1.0, 1.0)


# ---------------------------------------------------------------- samples


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster and higher above 1, slower and lower below: (n,) to (n / factor,)."""
    if factor == 1.0 or not len(samples):
        return samples
    return soxr.resample(samples, CANONICAL_RATE_HZ * factor, CANONICAL_RATE_HZ)


def speech_power(samples: np.ndarray) -> float:
    """Mean square over the 20 ms frames that are within 20 dB of the loudest."""
    whole = len(samples) // _FRAME * _FRAME
    if not whole:
        return float(np.mean(samples**2)) if len(samples) else 0.0
    frames = samples[:whole].reshape(-1, _FRAME)
    powers = np.einsum("ij,ij->i", frames, frames) / _FRAME
    return float(powers[powers >= 0.01 * powers.max()].mean())


def mix_at_snr(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech plus noise of the same length, `snr_db` below the speech's louder frames."""
    noise_power = float(np.mean(noise**2)) if len(noise) else 0.0
    if noise_power == 0.0:
        return speech
    return speech + np.float32(np.sqrt(speech_power(speech) / noise_power * 10 ** (-snr_db / 10))) * noise


def random_stretch(noise: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """So many samples from a random place, going round where the noise is shorter."""
    start = int(rng.integers(len(noise)))
    if start + samples <= len(noise):
        return noise[start : start + samples]
    return np.take(noise, np.arange(start, start + samples), mode="wrap")


def mu_law(samples: np.ndarray) -> np.ndarray:
    """To 8 bits and back, as telephones do (ITU-T G.711, the continuous law)."""
    squeezed = np.sign(samples) * np.log1p(_MU * np.minimum(np.abs(samples), 1.0)) / np.log1p(_MU)
    rounded = np.round(squeezed * 127) / 127
    return (np.sign(rounded) * np.expm1(np.abs(rounded) * np.log1p(_MU)) / _MU).astype(np.float32)


# ---------------------------------------------------------------- rooms and channels


def transform_length(samples: int) -> int:
    """A length that transforms fast and leaves 0.5 s for the end of a filter."""
    least = samples + CANONICAL_RATE_HZ // 2
    power = 1 << max(0, least.bit_length() - 4)
    return -(-least // power) * power  # at most 15 times a power of two


def apply_response(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Filters with a frequency response over `transform_length(n)`; the result has n samples."""
    length = transform_length(len(samples))
    return np.fft.irfft(np.fft.rfft(samples, length) * response, length)[: len(samples)].astype(np.float32)


def room_impulse(rng: np.random.Generator, *, rt60_s: float, direct_db: float) -> np.ndarray:
    """A made-up room: the direct sound, and noise that dies away exponentially from 2 ms on.

    The whole has an energy of 1. The noise is smoothed a little: walls swallow high frequencies first.

    Args:
        rt60_s: time in which the noise falls by 60 dB.
        direct_db: energy of the direct sound over that of the noise.
    """
    samples = min(int(rt60_s * CANONICAL_RATE_HZ), CANONICAL_RATE_HZ // 2)
    decay = np.exp(-6.9 * np.arange(samples) / (rt60_s * CANONICAL_RATE_HZ))
    tail = rng.standard_normal(samples) * decay
    tail[1:] += 0.6 * tail[:-1]
    tail[: CANONICAL_RATE_HZ // 500] = 0.0
    tail *= 10 ** (-direct_db / 20) / max(float(np.linalg.norm(tail)), 1e-9)
    tail[0] = 1.0
    return (tail / np.linalg.norm(tail)).astype(np.float32)


def random_curve_db(
    rng: np.random.Generator, frequencies_hz: np.ndarray, *, tilt_db: float, ripple_db: float
) -> np.ndarray:
    """A microphone's response: a straight line of `tilt_db` over 100 Hz to 8 kHz on a logarithmic axis,
    0 dB at 1 kHz, and independent deviations of `ripple_db` (standard deviation) each half octave."""
    octaves = np.log2(np.maximum(frequencies_hz, 50.0) / 1000.0)
    knots = np.arange(-4.5, 3.51, 0.5)
    ripple = np.interp(octaves, knots, rng.normal(0.0, ripple_db, len(knots)))
    return np.clip(octaves, np.log2(0.1), 3.0) * (tilt_db / np.log2(80.0)) + ripple


def band_db(frequencies_hz: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """0 dB within a band; 24 dB an octave below it, 120 dB an octave above, at most 60 dB."""
    frequencies_hz = np.maximum(frequencies_hz, 1.0)
    below = np.maximum(np.log2(low_hz / frequencies_hz), 0.0) * 24.0
    above = np.maximum(np.log2(frequencies_hz / high_hz), 0.0) * 120.0
    return -np.minimum(below + above, 60.0)


# ---------------------------------------------------------------- noises of our own


def generated_noises(duration_s: int) -> tuple[np.ndarray, ...]:
    """White, pink, brown and babble, each of unit power, the same in every process."""
    rng = np.random.default_rng(20_11)
    samples = duration_s * CANONICAL_RATE_HZ
    return (
        _unit(rng.standard_normal(samples)),
        _unit(_coloured(rng, samples, 0.5)),
        _unit(_coloured(rng, samples, 1.0)),
        _unit(_babble(rng, samples)),
    )


def _unit(noise: np.ndarray) -> np.ndarray:
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def _coloured(rng: np.random.Generator, samples: int, exponent: float) -> np.ndarray:
    frequencies_hz = np.fft.rfftfreq(samples, 1 / CANONICAL_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum / np.maximum(frequencies_hz, 20.0) ** exponent, samples)


def _babble(rng: np.random.Generator, samples: int, talkers: int = 6) -> np.ndarray:
    """Noise with the long-term spectrum of speech, each talker's part rising and falling with syllables."""
    return sum(_talker(rng, samples) for _ in range(talkers))


def _talker(rng: np.random.Generator, samples: int) -> np.ndarray:
    frequencies_hz = np.fft.rfftfreq(samples, 1 / CANONICAL_RATE_HZ)
    formant_hz = rng.uniform(400, 700)
    shape = 1 / (1 + (frequencies_hz / formant_hz) ** 2) * (frequencies_hz > 100)
    carrier = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * shape, samples)
    syllables = samples * 5 // CANONICAL_RATE_HZ  # five a second
    levels = rng.exponential(1.0, syllables + 1)
    return carrier * np.interp(np.arange(samples), np.arange(syllables + 1) * CANONICAL_RATE_HZ / 5, levels)


# ---------------------------------------------------------------- features


@dataclass(frozen=True, slots=True)
class FeatureAugmentConfig:
    """How often and how strongly. A probability or a count of 0 switches an effect off.

    Attributes:
        stretch: range of the factor by which the duration grows, the pitch staying.
        pitch_semitones: the most by which formants and harmonics move, up or down.
        volume_db: the most by which the level changes, up or down.
        colour_db: standard deviation of a curve over frequency, as in `random_curve_db`: other
            microphones, and other voices' balance of their formants.
        time_masks_per_s: so many stretches of up to `time_mask_s` are hidden for each second,
            together at most `time_mask_share` of the frames.
        frequency_masks: so many bands of up to `frequency_mask_bins` are hidden.
    """

    stretch_probability: float = 0.5
    stretch: tuple[float, float] = (0.8, 1.2)
    pitch_probability: float = 0.5
    pitch_semitones: float = 2.0
    volume_probability: float = 0.0
    volume_db: float = 6.0
    colour_probability: float = 0.0
    colour_db: float = 6.0
    time_masks_per_s: float = 1.0
    time_mask_s: float = 0.25
    time_mask_share: float = 0.3
    frequency_masks: int = 2
    frequency_mask_bins: int = 20

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class FeatureAugment:
    """Applies a `FeatureAugmentConfig` to log-mel frames that were scaled as (log energy - mean) / std.

    Attributes:
        scale: that standard deviation, in natural logarithms of power.
        hop_s: time from one frame to the next.
        low_hz, high_hz: edges of the mel filters.
    """

    config: FeatureAugmentConfig
    scale: float = 1.0
    hop_s: float = 0.01
    low_hz: float = 20.0
    high_hz: float = 8000.0

    def __call__(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(T, bins) float32 to (T × stretch, bins) float32; what came in is left as it was."""
        config = self.config
        frames = features
        if rng.random() < config.stretch_probability:
            frames = stretch(frames, rng.uniform(*config.stretch))
        if rng.random() < config.pitch_probability:
            semitones = rng.uniform(-config.pitch_semitones, config.pitch_semitones)
            frames = shift_pitch(frames, semitones, low_hz=self.low_hz, high_hz=self.high_hz)
        if rng.random() < config.volume_probability:
            frames = change_volume(frames, rng.uniform(-config.volume_db, config.volume_db), scale=self.scale)
        if config.colour_probability and rng.random() < config.colour_probability:
            frames = change_volume(frames, self._colour(frames.shape[1], rng), scale=self.scale)
        return self._masked(frames.copy() if frames is features else frames, rng)

    def _colour(self, bins: int, rng: np.random.Generator) -> np.ndarray:
        """(bins,) decibels; the overall level stays."""
        centres_hz = _hertz(np.linspace(*_mel(np.array([self.low_hz, self.high_hz])), bins + 2)[1:-1])
        tilt_db = rng.normal(0.0, 2 * self.config.colour_db)
        curve = random_curve_db(rng, centres_hz, tilt_db=tilt_db, ripple_db=self.config.colour_db)
        return curve - curve.mean()

    def _masked(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """SpecAugment (Park et al. 2019, arXiv 1904.08779), hidden parts at the mean, which is 0."""
        config = self.config
        count, bins = frames.shape
        masks = int(config.time_masks_per_s * count * self.hop_s + rng.random())
        widest = int(min(config.time_mask_s / self.hop_s, config.time_mask_share * count / max(masks, 1)))
        for start, end in _spans(rng, masks, widest=widest, length=count):
            frames[start:end] = 0.0
        for start, end in _spans(
            rng, config.frequency_masks, widest=min(config.frequency_mask_bins, bins), length=bins
        ):
            frames[:, start:end] = 0.0
        return frames


def _spans(rng: np.random.Generator, count: int, *, widest: int, length: int) -> list[tuple[int, int]]:
    widths = rng.integers(0, widest + 1, count)
    return [(start := int(rng.integers(0, length - width + 1)), start + int(width)) for width in widths]


def stretch(features: np.ndarray, factor: float) -> np.ndarray:
    """(T, bins) to (T × factor, bins) by linear interpolation along time: tempo without pitch."""
    frames = max(1, round(len(features) * factor))
    return _interpolate(features, np.linspace(0, len(features) - 1, frames))


def shift_pitch(features: np.ndarray, semitones: float, *, low_hz: float, high_hz: float) -> np.ndarray:
    """Moves everything up by so many semitones: each bin is read where its frequency was before.

    (T, bins) to (T, bins). Beyond the edges the outermost bin is repeated.
    """
    bins = features.shape[1]
    edges = _mel(np.array([low_hz, high_hz]))
    step = (edges[1] - edges[0]) / (bins + 1)
    centres_hz = _hertz(edges[0] + step * np.arange(1, bins + 1))
    sources = (_mel(centres_hz * 2 ** (-semitones / 12)) - edges[0]) / step - 1
    return np.ascontiguousarray(_interpolate(features.T, np.clip(sources, 0, bins - 1)).T)


def change_volume(features: np.ndarray, gain_db: float | np.ndarray, *, scale: float) -> np.ndarray:
    """What the features of `gain_db` louder samples would be, apart from noise floors; one gain, or one
    for each bin."""
    return features + np.asarray(gain_db * np.log(10) / 10 / scale, dtype=np.float32)


def _interpolate(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    lower = np.minimum(positions.astype(np.int64), len(rows) - 1)
    upper = np.minimum(lower + 1, len(rows) - 1)
    weight = (positions - lower).astype(np.float32)[:, None]
    return rows[lower] * (1 - weight) + rows[upper] * weight


def _mel(frequency_hz: np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(frequency_hz / 700.0)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * np.expm1(mel / 1127.0)
