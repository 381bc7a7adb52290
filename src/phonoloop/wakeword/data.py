"""From clips and synthesised speech to the strips that a network learns from and is tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from phonoloop.audio.wav import to_float
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.training.seeds import generator
from phonoloop.wakeword.clips import WakeClip
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.division import Division
from phonoloop.wakeword.ends import phrase_span, without_zeros
from phonoloop.wakeword.features import NO_END, PoolPlan, fold_pool
from phonoloop.wakeword.strips import Piece, StripMaker

#: of the strips cut from recordings, how many at most are of noise without speech
_NOISE_SHARE = 0.25
#: of the strips with the phrase, how many more hold only its beginning
_BEGINNINGS_SHARE = 0.15
_NOTHING = 256
_A_MINUTE = 60 * CANONICAL_RATE_HZ


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Synthesised speech, cut to what is spoken: int16 (n,)."""

    pcm: np.ndarray
    voice: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What synthesisers said, by side.

    Attributes:
        phrase, other: `train`, `tune` and `report` to utterances of the phrase and of anything else.
    """

    phrase: dict[str, tuple[Said, ...]] = field(default_factory=dict)
    other: dict[str, tuple[Said, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All that a training has."""

    phrase: Division
    negatives: Division
    noise: Division
    spoken: Spoken = field(default_factory=Spoken)


def plans(material: Material, recipe: WakeRecipe) -> list[PoolPlan]:
    """The pools of strips to make, those to learn from first; empty ones are left out."""
    made = [
        *_Side(material, recipe, "train").plans(),
        *_Side(material, recipe, "tune").plans(),
    ]
    return [plan for plan in made if plan.count]


@dataclass(frozen=True, eq=False)
class _Recordings:
    """Of other speech and of noise, int16 (n,) each."""

    speech: Sequence[np.ndarray]
    noise: Sequence[np.ndarray]

    @cached_property
    def all(self) -> list[np.ndarray]:
        return [*self.speech, *self.noise]

    @cached_property
    def samples(self) -> int:
        return sum(map(len, self.all))

    @cached_property
    def chances(self) -> np.ndarray:
        """Of each, by its length; all noises together have at most their share."""
        speech = np.array([len(pcm) for pcm in self.speech], float)
        noise = np.array([len(pcm) for pcm in self.noise], float)
        if speech.size and noise.size:
            noise *= min(1.0, _NOISE_SHARE / (1 - _NOISE_SHARE) * speech.sum() / noise.sum())
        both = np.concatenate([speech, noise])
        return both / both.sum()


@dataclass(frozen=True, eq=False)
class _Side:
    """The pools of one side; every strip is a function of the seed, its pool and its index."""

    material: Material
    recipe: WakeRecipe
    side: str

    def plans(self) -> list[PoolPlan]:
        spoken = self.recipe.material.spoken_copies if self._trains else self._held_out_copies
        said = self._said()
        uttered = len(self._uttered) * spoken
        return [
            self._plan("phrase_recorded", said, self._recorded_phrase),
            self._plan("phrase_spoken", uttered, self._spoken_phrase),
            self._plan("beginnings", self._beginnings(said + uttered), self._beginning),
            self._plan("other_spoken", len(self._packed), self._other_spoken),
            *self._recorded_plans(),
            self._plan("nothing", _NOTHING if self._trains else 0, self._nothing),
        ]

    @property
    def _trains(self) -> bool:
        return self.side == "train"

    @property
    def _held_out_copies(self) -> int:
        return self.recipe.material.held_out_copies

    def _plan(
        self, kind: str, count: int, make: Callable[[int, np.random.Generator], tuple[np.ndarray, int]]
    ) -> PoolPlan:
        name = f"{self.side}_{kind}"
        return PoolPlan(
            name,
            count,
            lambda index: make(index, generator(self.recipe.seed, "strip", name, index)),
            held_out=not self._trains,
        )

    @cached_property
    def _maker(self) -> StripMaker:
        noises = [to_float(pcm) for pcm in self._noises]
        uttered = [one.pcm for one in self._others]
        # beside the phrase a recording would be heard by the network that is not to hear it
        others = uttered if uttered and self._folds else [*self._recordings.speech, *uttered]
        # a room that is trained in is not tried out in
        return StripMaker(self.recipe, noises, others, self.recipe.seed + (0 if self._trains else 1_000_003))

    @cached_property
    def _pieces(self) -> list[Piece]:
        spans = [(clip, phrase_span(clip)) for clip in getattr(self.material.phrase, self.side)]
        return [Piece.cut(clip.pcm, span.start, span.end) for clip, span in spans if span is not None]

    @property
    def _uttered(self) -> tuple[Said, ...]:
        return self.material.spoken.phrase.get(self.side, ())

    @property
    def _others(self) -> tuple[Said, ...]:
        return self.material.spoken.other.get(self.side, ())

    @cached_property
    def _recordings(self) -> _Recordings:
        return _Recordings(_heard(getattr(self.material.negatives, self.side)), self._noises)

    @property
    def _folds(self) -> int:
        return self.recipe.judge.folds if self._trains and self.material.negatives.train else 0

    @cached_property
    def _noises(self) -> list[np.ndarray]:
        return _heard(getattr(self.material.noise, self.side))

    def _recorded_plans(self) -> list[PoolPlan]:
        """One pool, or one for each fold, so that a network can be trained without it."""
        whole = self._recorded_count()
        if not self._folds:
            return [self._plan("recorded", whole, partial(self._recording, self._recordings))]
        each = whole // self._folds
        made = [_Recordings(_heard(own), self._noises) for own in self.material.negatives.folds(self._folds)]
        return [
            self._plan(fold_pool(fold), each if own.speech else 0, partial(self._recording, own))
            for fold, own in enumerate(made)
        ]

    def _recorded_count(self) -> int:
        samples = self._recordings.samples
        if self._trains and samples >= _A_MINUTE:
            return self.recipe.material.recorded_strips
        return samples // self._maker.samples * self._held_out_copies

    def _said(self) -> int:
        """Strips with real clips of the phrase."""
        material, clips = self.recipe.material, len(self._pieces)
        if not self._trains:
            return clips * self._held_out_copies
        return min(clips * material.recorded_copies, max(clips, material.recorded_phrase_strips))

    def _beginnings(self, phrases: int) -> int:
        return round(_BEGINNINGS_SHARE * phrases) if self._trains else 0

    @cached_property
    def _packed(self) -> list[list[np.ndarray]]:
        """The utterances that are not the phrase, in the strips that they fit in."""
        copies = 1 if self._trains else self._held_out_copies
        order = generator(self.recipe.seed, "packing", self.side).permutation(len(self._others))
        packs: list[list[np.ndarray]] = []
        room = 0
        for index in np.tile(order, copies):
            pcm = self._others[index].pcm
            room -= len(pcm) + CANONICAL_RATE_HZ // 4
            if room < 0:
                packs.append([])
                room = self._maker.samples - len(pcm) - CANONICAL_RATE_HZ // 2
            packs[-1].append(pcm)
        return packs

    def _recorded_phrase(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return self._maker.with_phrase(self._pieces[index % len(self._pieces)], rng)

    def _spoken_phrase(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return self._maker.with_phrase(Piece.whole(self._uttered[index % len(self._uttered)].pcm), rng)

    def _beginning(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        pieces = self._pieces or [Piece.whole(one.pcm) for one in self._uttered]
        return self._maker.beginning(pieces[index % len(pieces)], rng), NO_END

    def _other_spoken(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return self._maker.of_utterances(self._packed[index], rng), NO_END

    def _recording(
        self, recordings: _Recordings, _index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, int]:
        return self._maker.of_recordings(recordings.all, recordings.chances, rng), NO_END

    def _nothing(self, _index: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return self._maker.of_nothing(rng), NO_END


def _heard(clips: Sequence[WakeClip]) -> list[np.ndarray]:
    """Without digital zeros, and without what has less than 50 ms left then."""
    pruned = [without_zeros(clip.pcm) for clip in clips]
    return [pcm for pcm in pruned if len(pcm) >= CANONICAL_RATE_HZ // 20]
