"""What of a text its vector is made of: hashed features of its words and of their neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.search.sounds import sound_of
from phonoloop.search.words import words_of
from phonoloop.text.syllables import strip_marks

#: how much each kind of feature counts; chosen among a few on sentences that benchmarks/bench_search.py does
#: not look for. What is found hardly depends on it; how near a text without its marks is does.
WEIGHTS = {
    "word": 0.5,  # as it is written
    "sound": 0.4,  # its classes of sounds, with the tone
    "plain": 1.0,  # without its marks
    "plain_sound": 0.6,  # the classes of sounds of that
    "onset": 0.2,
    "rime": 0.3,
    "word_pair": 0.3,  # with its neighbour
    "plain_pair": 0.9,
    "plain_sound_pair": 0.6,
    "rime_pair": 0.4,  # still the same with a wrong onset
    "onset_pair": 0.3,  # still the same with a wrong rime
    "trigram": 0.4,  # of letters, of a word that is no Vietnamese syllable
}
_VIEWS = ("word", "sound", "plain", "plain_sound", "onset", "rime")
_PAIRS = ("word", "plain", "plain_sound", "rime", "onset")
_TRIGRAMS = 8
#: distinct words whose hashes are kept; a corpus of speech has some ten thousand
_MOST_KEPT = 200_000
#: an odd number whose bits are all over the place: the golden ratio's
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Features:
    """Of several texts, one after the other; each feature once a text.

    Attributes:
        text: (m,) which text it is of, rising.
        hashes: (m,) uint64.
        weights: (m,) float32, by kind.
    """

    text: np.ndarray
    hashes: np.ndarray
    weights: np.ndarray


class FeatureMaker:
    """Remembers the hashes of the words it has seen; what it gives does not depend on that."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._views = np.zeros((1024, len(_VIEWS)), np.uint64)
        self._trigrams = np.zeros((1024, _TRIGRAMS), np.uint64)

    def __call__(self, texts: Sequence[str]) -> Features:
        if len(self._row) > _MOST_KEPT:
            self.__init__()
        rows = [[self._row_of(word) for word in words_of(text)] for text in texts]
        words = np.fromiter((row for text in rows for row in text), np.int64)
        text = np.repeat(np.arange(len(rows)), [len(text) for text in rows])
        return _each_once([*self._of_words(words, text), *self._of_pairs(words, text)])

    def _of_words(self, words: np.ndarray, text: np.ndarray) -> list[tuple]:
        found = [(kind, text, self._views[words, at]) for at, kind in enumerate(_VIEWS)]
        trigrams = self._trigrams[words]
        at, column = np.nonzero(trigrams)
        return [*found, ("trigram", text[at], trigrams[at, column])]

    def _of_pairs(self, words: np.ndarray, text: np.ndarray) -> list[tuple]:
        together = text[1:] == text[:-1]
        first, second, text = words[:-1][together], words[1:][together], text[1:][together]
        found = []
        for kind in _PAIRS:
            view = self._views[:, _VIEWS.index(kind)]
            found.append((f"{kind}_pair", text, mixed(view[first]) + view[second]))
        return found

    def _row_of(self, word: str) -> int:
        row = self._row.get(word)
        if row is None:
            row = self._row[word] = len(self._row)
            self._make_room(row)
            self._views[row] = [_hash(kind, value) for kind, value in zip(_VIEWS, _views(word), strict=True)]
            trigrams = _letter_trigrams(word)
            self._trigrams[row, : len(trigrams)] = [_hash("trigram", t) for t in trigrams]
        return row

    def _make_room(self, row: int) -> None:
        if row == len(self._views):
            self._views = np.concatenate([self._views, np.zeros_like(self._views)])
            self._trigrams = np.concatenate([self._trigrams, np.zeros_like(self._trigrams)])


def mixed(hashes: np.ndarray) -> np.ndarray:
    """Other 64-bit numbers that look random whatever went in (the finaliser of splitmix64; Steele, Lea and
    Flood 2014)."""
    mixed = hashes + _MIX
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def word_hash(kind: str, word: str) -> int:
    """The hash of the feature `word` or `plain` of one word."""
    return _hash(kind, word)


def pair_hash(first: str, second: str) -> int:
    """The hash of the feature `plain_pair` of two words without marks."""
    both = np.array([_hash("plain", first), _hash("plain", second)], np.uint64)
    return int((mixed(both[:1]) + both[1:])[0])


def _views(word: str) -> tuple[str, ...]:
    bare = strip_marks(word)
    plain = sound_of(bare)
    return word, sound_of(word).whole, bare, plain.toneless, plain.onset, plain.rime


def _letter_trigrams(word: str) -> list[str]:
    if sound_of(word).is_syllable:
        return []
    padded = f"^{strip_marks(word)}$"
    return [padded[at : at + 3] for at in range(min(len(padded) - 2, _TRIGRAMS))]


def _hash(kind: str, value: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{kind}:{value}".encode(), digest_size=8).digest(), "little")


def _each_once(found: list[tuple[str, np.ndarray, np.ndarray]]) -> Features:
    text = np.concatenate([text for _, text, _ in found])
    hashes = np.concatenate([hashes for _, _, hashes in found])
    weights = np.concatenate([np.full(len(text), WEIGHTS[kind], np.float32) for kind, text, _ in found])
    order = np.lexsort((hashes, text))
    text, hashes, weights = text[order], hashes[order], weights[order]
    new = np.ones(len(text), bool)
    new[1:] = (text[1:] != text[:-1]) | (hashes[1:] != hashes[:-1])
    return Features(text[new], hashes[new], weights[new])
