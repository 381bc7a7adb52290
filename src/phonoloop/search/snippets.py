"""The part of a text that a query is about, and which of its words the query has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from phonoloop.search.words import plain, words_of

#: words of a snippet: what one reads at a glance
_LENGTH = 32
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Snippet:
    """`matches`: [start, end) in characters of `text`, in order."""

    text: str
    matches: tuple[tuple[int, int], ...]


def snippet(text: str, words: Sequence[str]) -> Snippet:
    """The stretch of `text` with most of the query's words, with marks or without; dots where it goes on."""
    wanted, bare = set(words), set(plain(words))
    spans = [match.span() for match in _WORD.finditer(text)]
    worth = [_worth(text[start:end], wanted, bare) for start, end in spans]
    first = _best_start(worth)
    last = min(first + _LENGTH, len(spans))
    if not spans:
        return Snippet("", ())
    start, end = spans[first][0], spans[last - 1][1]
    before, after = "… " if first else "", " …" if last < len(spans) else ""
    shift = len(before) - start
    matched = [
        _without_punctuation(text, a, b)
        for (a, b), w in zip(spans[first:last], worth[first:last], strict=True)
        if w
    ]
    return Snippet(before + text[start:end] + after, tuple((a + shift, b + shift) for a, b in matched))


def _without_punctuation(text: str, start: int, end: int) -> tuple[int, int]:
    """A word that matched holds a letter or digit."""
    while not text[start].isalnum() and start < end - 1:
        start += 1
    while not text[end - 1].isalnum() and end > start + 1:
        end -= 1
    return start, end


def _worth(raw: str, wanted: set[str], bare: set[str]) -> int:
    exact, unmarked = _keys(raw)
    if not wanted.isdisjoint(exact):
        return 2
    return 1 if not bare.isdisjoint(unmarked) else 0


@lru_cache(maxsize=32_768)
def _keys(raw: str) -> tuple[frozenset[str], frozenset[str]]:
    words = words_of(raw)
    return frozenset(words), frozenset(plain(words))


def _best_start(worth: Sequence[int]) -> int:
    """The first of the windows that are worth most."""
    if len(worth) <= _LENGTH:
        return 0
    sum_here = best = sum(worth[:_LENGTH])
    first = 0
    for start in range(1, len(worth) - _LENGTH + 1):
        sum_here += worth[start + _LENGTH - 1] - worth[start - 1]
        if sum_here > best:
            best, first = sum_here, start
    return first
