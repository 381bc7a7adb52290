"""Strips: stretches of audio of one length, put together from clips as a microphone might hear them.

A strip with the phrase has something before it and something after it; one without holds recordings,
utterances one after the other, or only the beginning of the phrase. Rooms, noise, channels and a floor
go over the whole strip. All chances come from the generator that is handed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from phonoloop.audio.augment import (
    WaveAugment,
    apply_response,
    change_speed,
    speech_power,
    transform_length,
)
from phonoloop.audio.rooms import room_bank
from phonoloop.audio.tempo import change_pitch, change_tempo
from phonoloop.audio.wav import to_float
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.model_config import STEP_SAMPLES

_FADE = 160  # 10 ms
#: what is kept of a recording before its phrase and after it: the room's answer belongs to it
_BEFORE, _AFTER = CANONICAL_RATE_HZ // 10, CANONICAL_RATE_HZ // 5
#: how long before the end of a strip a phrase may end
_LATEST_S = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A clip, cut to what is spoken.

    Attributes:
        pcm: int16 (n,). start, end: of the speech in it.
    """

    pcm: np.ndarray
    start: int
    end: int

    @classmethod
    def cut(cls, pcm: np.ndarray, start: int, end: int) -> Piece:
        """From a longer recording, with a little of what is around."""
        first, last = max(0, start - _BEFORE), min(len(pcm), end + _AFTER)
        return cls(pcm[first:last], start - first, end - first)

    @classmethod
    def whole(cls, pcm: np.ndarray) -> Piece:
        return cls(pcm, 0, len(pcm))


@dataclass(frozen=True, slots=True, eq=False)
class StripMaker:
    """Makes strips of `recipe.material.strip_steps` steps.

    Attributes:
        noises: recordings to mix in, each (n,) float32 at 16,000 Hz.
        others: what else is heard beside the phrase: int16 (n,) recordings and utterances.
        seed: of the rooms.
    """

    recipe: WakeRecipe
    noises: Sequence[np.ndarray] = ()
    others: Sequence[np.ndarray] = ()
    seed: int = 0
    _wave: WaveAugment = field(init=False, repr=False)
    _rooms: list[np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_wave", WaveAugment(self.recipe.augment.wave, self.noises))
        augment = self.recipe.augment
        rooms = room_bank(
            augment.rooms if augment.room_probability else 0, seed=self.seed, config=augment.room
        )
        object.__setattr__(self, "_rooms", [self._response(one.samples) for one in rooms])

    def _response(self, impulse: np.ndarray) -> np.ndarray:
        return np.fft.rfft(impulse, transform_length(self.samples)).astype(np.complex64)

    @property
    def samples(self) -> int:
        return self.recipe.material.strip_steps * STEP_SAMPLES

    def with_phrase(self, piece: Piece, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """(samples,) float32 and the sample at which the phrase ends in it."""
        speech, end = self._varied(piece, rng)
        at = self._place_of_end(rng, end) - end
        strip = np.zeros(self.samples, np.float32)
        _lay(strip, speech, at)
        self._surround(strip, rng, first=at, last=at + len(speech), power=speech_power(speech))
        return self._heard(strip, rng), at + end

    def _place_of_end(self, rng: np.random.Generator, spoken: int) -> int:
        """Anywhere from where the phrase just fits to where its window just fits."""
        target = self.recipe.target
        after_s = max(_LATEST_S, (target.positive_ms + target.ignored_after_ms) / 1000)
        latest = self.samples - round(after_s * CANONICAL_RATE_HZ)
        return int(rng.integers(min(spoken + _BEFORE, latest), latest + 1))

    def beginning(self, piece: Piece, rng: np.random.Generator) -> np.ndarray:
        """Only the first part of the phrase, then nothing: (samples,) float32."""
        length = round(rng.uniform(0.25, 0.6) * (piece.end - piece.start))
        part = _faded(piece.pcm[: piece.start + length])
        speech, end = self._varied(Piece(part, piece.start, len(part)), rng)
        strip = np.zeros(self.samples, np.float32)
        _lay(strip, speech, self._place_of_end(rng, end) - end)
        return self._heard(strip, rng)

    def of_utterances(self, utterances: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """One int16 utterance after the other as far as there is room, with pauses: (samples,) float32."""
        strip = np.zeros(self.samples, np.float32)
        at = int(rng.integers(0, CANONICAL_RATE_HZ // 4))
        for pcm in utterances:
            speech = self._sped(to_float(pcm), rng)
            _lay(strip, speech, at)
            at += len(speech) + int(rng.integers(CANONICAL_RATE_HZ // 20, CANONICAL_RATE_HZ // 2))
        return self._heard(strip, rng)

    def of_recordings(
        self, recordings: Sequence[np.ndarray], chances: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Stretches of int16 recordings, drawn with these chances, until it is full: (samples,) float32."""
        strip = np.zeros(self.samples, np.float32)
        at = 0
        while at < self.samples:
            pcm = recordings[int(rng.choice(len(recordings), p=chances))]
            wanted = self.samples - at
            first = int(rng.integers(0, max(1, len(pcm) - wanted // 2)))
            heard = self._sped(to_float(pcm[first : first + 2 * wanted]), rng)[:wanted]
            _lay(strip, heard, at)
            at += max(len(heard), _FADE) + int(rng.integers(0, CANONICAL_RATE_HZ // 4))
        return self._heard(strip, rng)

    def of_nothing(self, rng: np.random.Generator) -> np.ndarray:
        """What a microphone hears while nobody is there: (samples,) float32."""
        return self._heard(np.full(self.samples, 1e-5, np.float32), rng)

    def _heard(self, strip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """From where it is said to what a microphone makes of it."""
        if self._rooms and rng.random() < self.recipe.augment.room_probability:
            strip = apply_response(strip, self._rooms[int(rng.integers(len(self._rooms)))])
        return self._wave(strip, rng)

    def _varied(self, piece: Piece, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Tempo and pitch; gives the samples and where the speech ends in them."""
        config = self.recipe.augment.piece
        samples, end = to_float(piece.pcm), float(piece.end)
        if rng.random() < config.pitch_probability:
            samples = change_pitch(samples, rng.uniform(*config.pitch))
        if rng.random() < config.speed_probability:
            factor = rng.uniform(*config.speed)
            # half of the time as a tape does it, which costs nothing and sounds of nothing
            change = change_tempo if rng.random() < 0.5 else change_speed
            samples, end = change(samples, factor), end / factor
        return _faded(samples), min(round(end), len(samples))

    def _sped(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        config = self.recipe.augment.piece
        if rng.random() < config.speed_probability:
            samples = change_speed(samples, rng.uniform(*config.speed))
        return _faded(samples)

    def _surround(
        self, strip: np.ndarray, rng: np.random.Generator, *, first: int, last: int, power: float
    ) -> None:
        """Other speech or noise before [first, last) and after it."""
        config = self.recipe.augment.piece
        if not self.others:
            return
        if rng.random() < config.context_probability:
            end = first - int(rng.uniform(0.0, 0.4) * CANONICAL_RATE_HZ)
            other = self._other(rng, power, most=max(0, end))
            _lay(strip, other, end - len(other))
        if rng.random() < config.context_probability:
            start = last + int(rng.uniform(0.0, 0.5) * CANONICAL_RATE_HZ)
            _lay(strip, self._other(rng, power, most=max(0, len(strip) - start)), start)

    def _other(self, rng: np.random.Generator, power: float, *, most: int) -> np.ndarray:
        """A stretch of something else, at a level drawn around that of the phrase."""
        pcm = self.others[int(rng.integers(len(self.others)))]
        first = int(rng.integers(0, max(1, len(pcm) - most)))
        other = _faded(to_float(pcm[first : first + most]))
        own = speech_power(other)
        if own <= 0.0:
            return other
        level_db = rng.uniform(*self.recipe.augment.piece.level_db)
        return other * np.float32(np.sqrt(power / own) * 10 ** (level_db / 20))


def _lay(strip: np.ndarray, sound: np.ndarray, at: int) -> None:
    """Adds a sound; what lies beyond the ends is left out."""
    first, last = max(0, at), min(len(strip), at + len(sound))
    if first < last:
        strip[first:last] += sound[first - at : last - at]


def _faded(sound: np.ndarray) -> np.ndarray:
    """Without a click at its ends; int16 stays int16."""
    fade = min(_FADE, len(sound) // 2)
    if fade == 0:
        return sound
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    out = sound.copy()
    out[:fade] = out[:fade] * ramp
    out[-fade:] = out[-fade:] * ramp[::-1]
    return out
