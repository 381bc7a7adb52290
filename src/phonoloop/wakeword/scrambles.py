"""Words that are none: the phrase with sounds replaced, left out, put in or swapped.

They have no spelling, so they are made and spoken as phonemes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from phonoloop.text.ipa import is_vowel, sound_distance
from phonoloop.wakeword.sounds import Sounds
from phonoloop.wakeword.spelled import Inventory, NamedSound, NamedWords, written

#: how many of the nearest sounds one may give way to; the nearest are the hardest negatives
_NEAREST = 12
#: sounds that are this near are the same one to many ears
_TOO_NEAR = 0.12


@dataclass(frozen=True, slots=True)
class Scramble:
    """What is spoken, and how it sounds."""

    names: str
    sounds: Sounds


def scrambles(words: NamedWords, known: Inventory, rng: np.random.Generator) -> Iterator[Scramble]:
    """Without end, with repetitions: one to three changes to the phrase, one being the most frequent."""
    neighbours = _neighbours(words, known)
    changes = _changes(words, known, neighbours)
    while changes:
        changed = words
        for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
            changed = changes[int(rng.integers(len(changes)))](changed, rng)
        changed = tuple(word for word in changed if word)
        if changed and any(is_vowel(sound.sounds[0]) for word in changed for sound in word):
            yield Scramble(written(changed), sounds_in(changed))


def sounds_in(words: NamedWords) -> Sounds:
    return tuple(part for word in words for sound in word for part in sound.sounds)


_Change = Callable[[NamedWords, np.random.Generator], NamedWords]


def _changes(
    words: NamedWords, known: Inventory, neighbours: Mapping[Sounds, list[NamedSound]]
) -> list[_Change]:
    """Replacing counts double; nothing is left out of what has two sounds."""
    if not any(neighbours.values()):
        return []
    inserted = [NamedSound(sounds, name) for sounds, name in known.names.items()]

    def substitute(now: NamedWords, rng: np.random.Generator) -> NamedWords:
        return _at_random(now, rng, lambda sound: [_one_of(neighbours.get(sound.sounds, []), sound, rng)])

    def insert(now: NamedWords, rng: np.random.Generator) -> NamedWords:
        more = inserted[int(rng.integers(len(inserted)))]
        return _at_random(now, rng, lambda sound: [sound, more])

    changes = [substitute, substitute, insert, _swap]
    return [*changes, _drop] if sum(map(len, words)) > 3 else changes


def _at_random(
    words: NamedWords, rng: np.random.Generator, change: Callable[[NamedSound], list[NamedSound]]
) -> NamedWords:
    """One sound gives way to what `change` makes of it."""
    chosen = int(rng.integers(max(1, sum(map(len, words)))))
    changed, at = [], 0
    for word in words:
        parts = [change(sound) if at + i == chosen else [sound] for i, sound in enumerate(word)]
        changed.append(tuple(sound for part in parts for sound in part))
        at += len(word)
    return tuple(changed)


def _drop(words: NamedWords, rng: np.random.Generator) -> NamedWords:
    return _at_random(words, rng, lambda sound: [])


def _swap(words: NamedWords, rng: np.random.Generator) -> NamedWords:
    """Two neighbours, over the edges of words; the words keep their lengths."""
    flat = [sound for word in words for sound in word]
    if len(flat) > 1:
        at = int(rng.integers(len(flat) - 1))
        flat[at], flat[at + 1] = flat[at + 1], flat[at]
    ends = np.cumsum([len(word) for word in words]).tolist()
    return tuple(tuple(flat[end - len(word) : end]) for word, end in zip(words, ends, strict=True))


def _one_of(choices: list[NamedSound], sound: NamedSound, rng: np.random.Generator) -> NamedSound:
    """The nearer the likelier."""
    if not choices:
        return sound
    at = min(int(rng.exponential(len(choices) / 3)), len(choices) - 1)
    return replace(choices[at], stressed=sound.stressed)


def _neighbours(words: NamedWords, known: Inventory) -> dict[Sounds, list[NamedSound]]:
    return {sound.sounds: _nearest(sound.sounds, known) for word in words for sound in word}


def _nearest(sounds: Sounds, known: Inventory) -> list[NamedSound]:
    """Vowels for vowels and consonants for consonants, with a tone where there was one; also the same vowel
    in other tones."""
    alike = (one for one in known.names if one != sounds and is_vowel(one[0]) == is_vowel(sounds[0]))
    ranked = sorted((_apart(sounds, one), one) for one in alike)
    near = [one for distance, one in ranked if distance > _TOO_NEAR][:_NEAREST]
    return [NamedSound(one, known.names[one]) for one in near]


def _apart(one: Sounds, other: Sounds) -> float:
    tone = 0.5 if one[1:] != other[1:] else 0.0
    return sound_distance(one[0], other[0]) + tone
