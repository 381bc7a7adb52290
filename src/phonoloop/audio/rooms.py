"""Rooms: impulse responses of shoeboxes by the image method.

J. B. Allen, D. A. Berkley, "Image method for efficiently simulating small-room acoustics", Journal of the
Acoustical Society of America 65 (1979). Each reflection is the sound of an image of the source; its distance
gives the delay, its distance and its walls the strength. Beyond the paper, delays fall between samples, and
images are moved a little at random, which takes away the flutter of perfectly parallel walls
(E. De Sena and others, "On the modeling of rectangular geometries in room acoustic simulations", IEEE/ACM
TASLP 23, 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from phonoloop.core.errors import ConfigError
from phonoloop.core.units import CANONICAL_RATE_HZ

SOUND_M_PER_S = 343.0
#: the longest that `audio.augment.apply_response` has room for
LONGEST_S = 0.5
_HIGH_PASS_HZ = 80.0
_JITTER_M = 0.05
_NEAREST_WALL_M = 0.2


@dataclass(frozen=True)
class Shoebox:
    """A rectangular room.

    Attributes:
        size_m: length, width, height.
        absorption: share of the energy that each wall swallows, 0 to 1: of x = 0, x = length, y = 0, …,
            floor, ceiling.

    Raises:
        ConfigError: `room.size`, `room.absorption`.
    """

    size_m: tuple[float, float, float]
    absorption: tuple[float, float, float, float, float, float]

    def __post_init__(self) -> None:
        if len(self.size_m) != 3 or min(self.size_m) <= 2 * _NEAREST_WALL_M:
            raise ConfigError("a room has three sizes above 0.4 m", code="room.size")
        if len(self.absorption) != 6 or not all(0 < share <= 1 for share in self.absorption):
            raise ConfigError("there are six walls, each absorbs above 0, at most 1", code="room.absorption")

    @property
    def volume_m3(self) -> float:
        return float(np.prod(self.size_m))

    @cached_property
    def areas_m2(self) -> np.ndarray:
        """(6,)"""
        x, y, z = self.size_m
        return np.repeat([y * z, x * z, x * y], 2)

    @property
    def rt60_sabine_s(self) -> float:
        """Time in which sound falls by 60 dB, after Sabine."""
        return 0.161 * self.volume_m3 / float(self.areas_m2 @ np.array(self.absorption))

    @property
    def rt60_s(self) -> float:
        """The same after Eyring, which is better where much is absorbed."""
        mean = float(self.areas_m2 @ np.array(self.absorption) / self.areas_m2.sum())
        if mean >= 1.0:
            return 0.0
        return -0.161 * self.volume_m3 / (float(self.areas_m2.sum()) * np.log1p(-mean))


def image_response(
    room: Shoebox,
    source_m: Sequence[float],
    microphone_m: Sequence[float],
    *,
    duration_s: float,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """(duration × 16,000,) float32: what the microphone hears of a click of strength 1 at a metre's distance.

    The direct sound arrives at sample distance / 343 m/s × 16,000, with strength 1 / distance.

    Args:
        rng: moves images at random by up to 5 cm; without it none is moved.

    Raises:
        ConfigError: `room.position`, outside of the room, or both at one place.
    """
    source, microphone = np.asarray(source_m, np.float64), np.asarray(microphone_m, np.float64)
    _check_positions(room, source, microphone)
    samples = max(1, round(duration_s * CANONICAL_RATE_HZ))
    squares, strengths = _images(room, source, microphone, duration_s * SOUND_M_PER_S)
    distances = np.sqrt(squares)
    if rng is not None:
        moved = distances > distances.min() + 1e-6
        distances[moved] += rng.uniform(-_JITTER_M, _JITTER_M, int(moved.sum())).astype(distances.dtype)
    return _high_passed(_clicks(distances, strengths / np.maximum(distances, _JITTER_M), samples))


def _check_positions(room: Shoebox, source: np.ndarray, microphone: np.ndarray) -> None:
    inside = all(((place > 0) & (place < np.array(room.size_m))).all() for place in (source, microphone))
    if not inside or np.linalg.norm(source - microphone) < 0.01:
        raise ConfigError("source and microphone are two places inside of the room", code="room.position")


def _images(
    room: Shoebox, source: np.ndarray, microphone: np.ndarray, farthest_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances and strengths by the walls, of all images within `farthest_m`."""
    reflections = np.sqrt(np.maximum(1.0 - np.array(room.absorption), 0.0)).reshape(3, 2)
    axes = [
        _axis(room.size_m[at], source[at], microphone[at], reflections[at], farthest_m) for at in range(3)
    ]
    (x2, sx), (y2, sy), (z2, sz) = axes
    squares = x2[:, None, None] + y2[None, :, None] + z2[None, None, :]
    near = squares <= np.float32(farthest_m**2)
    strengths = sx[:, None, None] * sy[None, :, None] * sz[None, None, :]
    return squares[near], strengths[near]


def _axis(
    size_m: float, source_m: float, microphone_m: float, reflections: np.ndarray, farthest_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: squared distance, and product of the walls' reflections, of each image.

    Images are at 2 n L ± source; the plain ones have met both walls |n| times, the mirrored ones the near
    wall |n - 1| times and the far one |n| times (Allen & Berkley, equation 10).
    """
    most = int(np.ceil(farthest_m / (2 * size_m))) + 1
    n = np.arange(-most, most + 1)
    plain = 2 * n * size_m + source_m - microphone_m
    mirrored = 2 * n * size_m - source_m - microphone_m
    near, far = reflections
    strengths = (near ** np.abs(n) * far ** np.abs(n), near ** np.abs(n - 1) * far ** np.abs(n))
    offsets = np.concatenate((plain, mirrored))
    within = np.abs(offsets) <= farthest_m
    return (offsets[within] ** 2).astype(np.float32), np.concatenate(strengths)[within].astype(np.float32)


def _clicks(distances_m: np.ndarray, strengths: np.ndarray, samples: int) -> np.ndarray:
    """(samples,) float64: each click shared out over the two samples that it falls between."""
    delays = distances_m * np.float32(CANONICAL_RATE_HZ / SOUND_M_PER_S)
    before = delays.astype(np.int64)
    after_share = delays - before
    response = np.bincount(before, strengths * (1 - after_share), minlength=samples + 1)[: samples + 1]
    response[1:] += np.bincount(before, strengths * after_share, minlength=samples + 1)[:samples]
    return response[:samples]


def _high_passed(response: np.ndarray) -> np.ndarray:
    """Clicks all of one sign add up to a push that no room makes: the filter of the paper's appendix."""
    length = 1 << (len(response) + 1024).bit_length()
    turn = 2 * np.pi * _HIGH_PASS_HZ / CANONICAL_RATE_HZ
    decay = np.exp(-turn)
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(length))
    gain = (1 - (1 + decay) * delay + decay * delay**2) / (
        1 - 2 * decay * np.cos(turn) * delay + decay**2 * delay**2
    )
    filtered = np.fft.irfft(np.fft.rfft(response, length) * gain, length)
    return filtered[: len(response)].astype(np.float32)


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """What rooms are made up.

    Attributes:
        length_m, width_m, height_m: ranges.
        rt60_s: range; the walls are chosen to give it, each a little different.
        distance_m: range of the speaker's distance, as far as the room has it.
    """

    length_m: tuple[float, float] = (2.5, 8.0)
    width_m: tuple[float, float] = (2.0, 6.0)
    height_m: tuple[float, float] = (2.3, 3.5)
    rt60_s: tuple[float, float] = (0.12, 0.7)
    distance_m: tuple[float, float] = (0.3, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class RoomResponse:
    """A room as it is heard from one place.

    Attributes:
        samples: (n,) float32 with an energy of 1, beginning with the direct sound.
    """

    samples: np.ndarray
    rt60_s: float
    distance_m: float


def room_bank(count: int, *, seed: int, config: RoomConfig | None = None) -> list[RoomResponse]:
    """`count` different rooms, a few milliseconds of CPU each; the same seed gives the same."""
    rules = config or RoomConfig()
    return [random_response(np.random.default_rng([seed, number]), rules) for number in range(count)]


def random_response(rng: np.random.Generator, config: RoomConfig) -> RoomResponse:
    """One room, with a speaker and a microphone in it."""
    ranges = (config.length_m, config.width_m, config.height_m)
    length, width, height = (float(rng.uniform(*limits)) for limits in ranges)
    size = (length, width, height)
    room = Shoebox(size, _walls(size, rng.uniform(*config.rt60_s), rng))
    microphone = np.array([rng.uniform(_NEAREST_WALL_M, side - _NEAREST_WALL_M) for side in size])
    source = _speaker(room, microphone, rng, config.distance_m)
    distance_m = float(np.linalg.norm(source - microphone))
    delay_s = distance_m / SOUND_M_PER_S
    duration_s = min(LONGEST_S, max(room.rt60_s, 0.05)) + delay_s
    samples = image_response(room, source, microphone, duration_s=duration_s, rng=rng)
    heard = samples[int(delay_s * CANONICAL_RATE_HZ) :]
    return RoomResponse((heard / np.linalg.norm(heard)).astype(np.float32), room.rt60_s, distance_m)


def _walls(size: tuple[float, float, float], rt60_s: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Six absorptions, with the mean that Eyring's formula asks for."""
    even = Shoebox(size, (0.5,) * 6)
    mean = 1 - np.exp(-0.161 * even.volume_m3 / (even.areas_m2.sum() * rt60_s))
    uneven = mean * rng.uniform(0.6, 1.4, 6)
    return tuple(float(share) for share in np.clip(uneven, 0.02, 0.99))


def _speaker(
    room: Shoebox, microphone: np.ndarray, rng: np.random.Generator, distance_m: tuple[float, float]
) -> np.ndarray:
    """At a mouth's height somewhere; the nearest try to a drawn distance, which the room may not have."""
    wanted = np.exp(rng.uniform(*np.log(distance_m)))
    low = np.full(3, _NEAREST_WALL_M)
    high = np.array(room.size_m) - _NEAREST_WALL_M
    directions = rng.standard_normal((32, 3)) * (1.0, 1.0, 0.3)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    tries = np.clip(microphone + wanted * directions, low, high)
    apart = np.linalg.norm(tries - microphone, axis=1)
    return tries[int(np.argmin(np.abs(apart - wanted)))]
