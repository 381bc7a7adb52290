"""The cheapest way from one sequence of tokens to another, and what it counts.

Minimum edit distance, a row at a time in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from phonoloop.core.errors import ResourceError

#: one byte a cell: about 200 MB
_MOST_CELLS = 200_000_000

_MATCH_OR_SUBSTITUTE, _DELETE, _INSERT = 0, 1, 2
_DISTANCE_STEPS = 1000


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
    return _ops(reference, hypothesis, _steps(reference, hypothesis))


def align_nearest(reference: Sequence[str], hypothesis: Sequence[str], apart: np.ndarray) -> list[Op]:
    """Of the alignments with the fewest errors, one whose replaced tokens are nearest to each other.

    Args:
        apart: (len(reference), len(hypothesis)), how far apart each two tokens are, in [0, 1].

    Raises:
        ResourceError: `text.too_long`, above 200 million pairs of tokens.
    """
    # whole numbers: one error outweighs all distances together, and sums are exact
    an_error = _DISTANCE_STEPS * (min(len(reference), len(hypothesis)) + 1)
    ref, hyp = _as_numbers(reference, hypothesis)
    distances = np.rint(np.asarray(apart) * _DISTANCE_STEPS).astype(np.int64)
    moves = _moves(
        len(ref), len(hyp), lambda i: np.where(hyp == ref[i], 0, an_error + distances[i]), alone=an_error
    )
    return _ops(reference, hypothesis, _walk(moves, reference, hypothesis))


def _ops(reference: Sequence[str], hypothesis: Sequence[str], steps: list[tuple[Edit, int, int]]) -> list[Op]:
    return [
        Op(edit, "" if edit is Edit.INSERT else reference[i], "" if edit is Edit.DELETE else hypothesis[j])
        for edit, i, j in steps
    ]


def _steps(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[Edit, int, int]]:
    ref, hyp = _as_numbers(reference, hypothesis)
    moves = _moves(len(ref), len(hyp), lambda i: (hyp != ref[i]).astype(np.int64), alone=1)
    return _walk(moves, reference, hypothesis)


def _walk(
    moves: np.ndarray, reference: Sequence[str], hypothesis: Sequence[str]
) -> list[tuple[Edit, int, int]]:
    """The way back from the end, turned round."""
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


def _moves(n: int, m: int, replacing: Callable[[int], np.ndarray], *, alone: int) -> np.ndarray:
    """The move that ends a cheapest way to each cell: (n, m) uint8.

    A row at a time: what an insertion costs is a running minimum once the cost that grows with
    every column is taken off.

    Args:
        replacing: row → (m,) what it costs to put each column's token in place of the row's.
        alone: what it costs to leave out or put in a token.
    """
    if n * m > _MOST_CELLS:
        raise ResourceError(
            f"texts of {n} and {m} tokens are too long to align",
            code="text.too_long",
            hint="Score utterance by utterance instead of whole recordings",
        )
    moves = np.empty((n, m), dtype=np.uint8)
    columns = np.arange(m + 1, dtype=np.int64) * alone
    above = columns.copy()
    for i in range(n):
        diagonal = above[:-1] + replacing(i)
        cheapest = np.empty(m + 1, dtype=np.int64)
        cheapest[0] = (i + 1) * alone
        np.minimum(diagonal, above[1:] + alone, out=cheapest[1:])
        row = np.minimum.accumulate(cheapest - columns) + columns
        vertical = np.where(row[1:] == above[1:] + alone, _DELETE, _INSERT)
        moves[i] = np.where(row[1:] == diagonal, _MATCH_OR_SUBSTITUTE, vertical)
        above = row
    return moves
