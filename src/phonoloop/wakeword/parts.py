"""Parts of a phrase, and the same syllables in other tones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from phonoloop.text.ipa import is_vowel
from phonoloop.text.syllables import TONES, compose, parse
from phonoloop.wakeword.spelled import NamedSound, NamedWords

_MOST_SYLLABLES_OF_TONES = 5


def word_parts(text: str) -> list[str]:
    """Each word, beginnings and ends, the phrase without one of its words, with one doubled, and its words in
    other orders."""
    words = text.split()
    if len(words) < 2:
        return []
    size = len(words)
    spans = [words[start:end] for start in range(size) for end in range(start + 1, size + 1)]
    without = [words[:at] + words[at + 1 :] for at in range(size)]
    doubled = [words[: at + 1] + words[at:] for at in range(size)]
    orders = [list(order) for order in itertools.islice(itertools.permutations(words), 24)]
    repeated = [[word, word] for word in words]
    found = (" ".join(part) for part in (*spans, *without, *doubled, *orders, *repeated))
    return [part for part in dict.fromkeys(found) if part != text]


def tones_of(text: str) -> list[str]:
    """Vietnamese: the same syllables in all other tones, fewest changes first (`ca phê`, `cá phê`, …).

    Nothing where a word is no syllable, or there are more than five.
    """
    syllables = [parse(word) for word in text.lower().split()]
    if not 0 < len(syllables) <= _MOST_SYLLABLES_OF_TONES or not all(syllables):
        return []
    choices = [_in_all_tones(word) for word in text.lower().split()]
    found = (" ".join(words) for words in itertools.product(*choices))
    own = text.lower().split()
    changed = sorted((sum(a != b for a, b in zip(one.split(), own, strict=True)), one) for one in found)
    return [one for changes, one in changed if changes]


def _in_all_tones(word: str) -> list[str]:
    syllable = parse(word)
    if syllable is None:
        return [word]
    toned = (compose(replace(syllable, tone=tone)) for tone in TONES)
    return [written for written in toned if parse(written) is not None]


def syllables_of(words: NamedWords) -> list[tuple[NamedSound, ...]]:
    """Each vowel with what is before it; of several consonants between two vowels the last goes with the
    second."""
    return [syllable for word in words for syllable in _syllables(word)]


def _syllables(word: tuple[NamedSound, ...]) -> Iterator[tuple[NamedSound, ...]]:
    vowels = [at for at, sound in enumerate(word) if is_vowel(sound.sounds[0])]
    starts = [max(before + 1, at - 1) for before, at in itertools.pairwise(vowels)]
    edges = [0, *starts, len(word)]
    return (word[start:end] for start, end in itertools.pairwise(edges))


def syllable_parts(words: NamedWords) -> list[NamedWords]:
    """Beginnings and ends of the phrase, cut at syllables, and the phrase with a syllable left out or said
    twice."""
    syllables = syllables_of(words)
    size = len(syllables)
    if size < 2:
        return []
    found = [syllables[:end] for end in range(1, size)] + [syllables[start:] for start in range(1, size)]
    found += [syllables[:at] + syllables[at + 1 :] for at in range(1, size - 1)]
    found += [syllables[: at + 1] + syllables[at:] for at in range(size)]
    found += [_swapped(syllables, at) for at in range(size - 1)]
    return [(tuple(sound for syllable in part for sound in syllable),) for part in found]


def _swapped(syllables: list[tuple[NamedSound, ...]], at: int) -> list[tuple[NamedSound, ...]]:
    return [*syllables[:at], syllables[at + 1], syllables[at], *syllables[at + 2 :]]
