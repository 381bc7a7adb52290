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
    matches = [(a + shift, b + shift) for (a, b), w in zip(spans, worth, strict=True) if w and a >= start]
    return Snippet(before + text[start:end] + after, tuple(m for m in matches if m[1] <= end + shift))


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
