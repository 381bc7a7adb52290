"""How good a restorer is, on text whose marks are right."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from phonoloop.text.restorer import Restorer
from phonoloop.text.restorer_words import tokens_of
from phonoloop.text.syllables import strip_marks

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class LineResult:
    """Attributes:
    syllables: words of the line, of any language; numbers and punctuation are none.
    wrong: those that came back otherwise than they were, lower-cased, tone placement ignored.
    """

    syllables: int
    wrong: int


def restored(restorer: Restorer, lines: Sequence[str]) -> Iterator[LineResult]:
    """What comes back of lines that were stripped of all marks."""
    yield from _compared(restorer, lines, [strip_marks(line) for line in lines])


def kept(restorer: Restorer, lines: Sequence[str]) -> Iterator[LineResult]:
    """What a restorer does to lines that are right; `wrong` are the words it changed."""
    yield from _compared(restorer, lines, lines)


def _compared(restorer: Restorer, right: Sequence[str], given: Sequence[str]) -> Iterator[LineResult]:
    for at in range(0, len(right), _AT_ONCE):
        answers = restorer.restore_many(given[at : at + _AT_ONCE])
        for line, answer in zip(right[at : at + _AT_ONCE], answers, strict=True):
            yield compare_words(line, answer.text)


def compare_words(right: str, answer: str) -> LineResult:
    """Word by word; both have the same words but for their marks."""
    wanted, got = list(words_of(right)), list(words_of(answer))
    wrong = sum(a != b for a, b in zip(wanted, got, strict=True))
    return LineResult(len(wanted), wrong)


def words_of(text: str) -> Iterator[str]:
    """Every run of letters, as a form."""
    for token in tokens_of(unicodedata.normalize("NFC", text)):
        if token.form:
            yield token.form


def rate(results: Iterable[LineResult]) -> tuple[int, int]:
    """Syllables and wrong ones of all lines together."""
    results = list(results)
    return sum(r.syllables for r in results), sum(r.wrong for r in results)


__all__ = ["LineResult", "compare_words", "kept", "rate", "restored", "words_of"]
