"""Word, character and syllable errors by minimum edit distance.

The functions compare texts as they are given. `score` brings both into the scoring form first and
is what evaluations use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from phonoloop.core.errors import ResourceError
from phonoloop.text.normalise import for_scoring

#: one byte a cell: about 200 MB
_MOST_CELLS = 200_000_000

_MATCH_OR_SUBSTITUTE, _DELETE, _INSERT = 0, 1, 2


class Edit(StrEnum):
    MATCH = "match"
    SUBSTITUTE = "substitute"
    DELETE = "delete"
    INSERT = "insert"


@dataclass(frozen=True, slots=True)
class Op:
    """One step of an alignment; `reference` is empty at an insertion, `hypothesis` at a deletion."""

    edit: Edit
    reference: str
    hypothesis: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Errors against a reference of so many tokens. They add up over utterances."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference token. Without any reference token: 0 without errors, else 1."""
        if not self.reference:
            return float(bool(self.errors))
        return self.errors / self.reference

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference + other.reference,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """The three counts of one utterance or of many."""

    words: Counts = Counts()
    characters: Counts = Counts()
    syllables: Counts = Counts()

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.words + other.words, self.characters + other.characters, self.syllables + other.syllables
        )


def score(reference: str, hypothesis: str) -> Scores:
    """All three counts of texts brought into the scoring form (`NORMALISER_VERSION`)."""
    ref, hyp = for_scoring(reference), for_scoring(hypothesis)
    return Scores(word_errors(ref, hyp), char_errors(ref, hyp), syllable_errors(ref, hyp))


def word_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in what stands between spaces (in Vietnamese that is mostly one syllable each)."""
    return count(reference.split(), hypothesis.split())


def char_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in characters; one space between words counts as a character."""
    return count(" ".join(reference.split()), " ".join(hypothesis.split()))


def syllable_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in syllables as Vietnamese writes them: between spaces and hyphens (`xi-măng` is two)."""
    return count(reference.replace("-", " ").split(), hypothesis.replace("-", " ").split())


def total(counts: Iterable[Counts]) -> Counts:
    """The sum; its rate is the rate over all tokens, not the mean of rates."""
    return sum(counts, Counts())


def by_class(items: Iterable[tuple[str, Counts]]) -> dict[str, Counts]:
    """Sums by class (dialect, speaker, phrase…), in the order of the classes' names."""
    sums: dict[str, Counts] = {}
    for name, counts in items:
        sums[name] = sums.get(name, Counts()) + counts
    return dict(sorted(sums.items()))


def count(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    """Errors between two sequences of tokens (a string is a sequence of characters)."""
    if reference == hypothesis:
        return Counts(reference=len(reference))
    steps = _steps(reference, hypothesis)
    kinds = [edit for edit, _, _ in steps]
    return Counts(
        kinds.count(Edit.SUBSTITUTE), kinds.count(Edit.DELETE), kinds.count(Edit.INSERT), len(reference)
    )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Op]:
    """A cheapest alignment, from left to right. Among equally cheap ones, substitutions come
    before deletions before insertions, seen from the end.

    Raises:
        ResourceError: `text.too_long`, above 200 million pairs of tokens.
    """
    return [
        Op(edit, "" if edit is Edit.INSERT else reference[i], "" if edit is Edit.DELETE else hypothesis[j])
        for edit, i, j in _steps(reference, hypothesis)
    ]


def _steps(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[Edit, int, int]]:
    moves = _moves(*_as_numbers(reference, hypothesis))
    steps: list[tuple[Edit, int, int]] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        move = _INSERT if i == 0 else _DELETE if j == 0 else moves[i - 1, j - 1]
        i -= move != _INSERT
        j -= move != _DELETE
        steps.append((_edit(move, reference, hypothesis, at=(i, j)), i, j))
    steps.reverse()
    return steps


def _edit(move: int, reference: Sequence[str], hypothesis: Sequence[str], *, at: tuple[int, int]) -> Edit:
    if move == _DELETE:
        return Edit.DELETE
    if move == _INSERT:
        return Edit.INSERT
    return Edit.MATCH if reference[at[0]] == hypothesis[at[1]] else Edit.SUBSTITUTE


def _as_numbers(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    numbers: dict[str, int] = {}
    ref = [numbers.setdefault(token, len(numbers)) for token in reference]
    hyp = [numbers.setdefault(token, len(numbers)) for token in hypothesis]
    return np.array(ref, dtype=np.int32), np.array(hyp, dtype=np.int32)


def _moves(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """The move that ends a cheapest way to each cell: (len(ref), len(hyp)) uint8.

    A row at a time: what an insertion costs is a running minimum once the cost that grows with
    every column is taken off.
    """
    n, m = len(ref), len(hyp)
    if n * m > _MOST_CELLS:
        raise ResourceError(
            f"texts of {n} and {m} tokens are too long to align",
            code="text.too_long",
            hint="Score utterance by utterance instead of whole recordings",
        )
    moves = np.empty((n, m), dtype=np.uint8)
    columns = np.arange(m + 1, dtype=np.int32)
    above = columns.copy()
    for i in range(n):
        diagonal = above[:-1] + (hyp != ref[i])
        cheapest = np.empty(m + 1, dtype=np.int32)
        cheapest[0] = i + 1
        np.minimum(diagonal, above[1:] + 1, out=cheapest[1:])
        row = np.minimum.accumulate(cheapest - columns) + columns
        vertical = np.where(row[1:] == above[1:] + 1, _DELETE, _INSERT)
        moves[i] = np.where(row[1:] == diagonal, _MATCH_OR_SUBSTITUTE, vertical)
        above = row
    return moves
