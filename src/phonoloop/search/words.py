"""A text as the words that are searched: in scoring form, with and without their marks.

Both databases are given words that are cut already, so that they and the embedder agree on what a word is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from phonoloop.text.normalise import for_scoring
from phonoloop.text.syllables import strip_marks

#: longer ones are cut: no word of any language, and PostgreSQL takes none over 2 kB
LONGEST_WORD = 64
#: more of one text are not searched: some five hours of speech
MOST_WORDS = 50_000
#: more of a query are not looked at
MOST_QUERY_WORDS = 400
#: looking at more characters than this for the words of a query would only take time
_MOST_QUERY_CHARACTERS = 10_000


def words_of(text: str) -> list[str]:
    """The words in order; emoji and punctuation are none."""
    return [word[:LONGEST_WORD] for word in for_scoring(text).split()[:MOST_WORDS]]


def query_words(query: str) -> list[str]:
    """As `words_of`, of the beginning of a long query."""
    return words_of(query[:_MOST_QUERY_CHARACTERS])[:MOST_QUERY_WORDS]


def plain(words: Sequence[str]) -> list[str]:
    """Each word without its marks."""
    return [strip_marks(word) for word in words]


def pairs(words: Sequence[str]) -> list[str]:
    """Neighbours as one word each: rarer than either, so cheaper to look up."""
    return [f"{first}_{second}" for first, second in pairwise(words)]
