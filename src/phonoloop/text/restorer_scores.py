"""From trained potentials to the tables that a restorer looks up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.text.restorer_evidence import Evidence
from phonoloop.text.restorer_fit import Held, Potentials, Scales
from phonoloop.text.restorer_layers import Perceptron
from phonoloop.text.restorer_words import Vocabulary

#: numbers that stand for a form on each side of a pair that was never seen
RANK = 16
_AT_ONCE = 32_768


@dataclass(frozen=True)
class Tables:
    """Scores, as exact as they are stored.

    Attributes:
        pairs: (p,) of the pairs that were seen; cases: (p, 2, 3) what the case of the left and of the
            right form adds.
        unseen: (2, forms, RANK): of other pairs, the product of the left and the right one's numbers.
        forms: (forms, 3) by case.
    """

    pairs: np.ndarray
    cases: np.ndarray
    unseen: np.ndarray
    forms: np.ndarray


def tables_of(
    members: Sequence[Potentials], scales: Scales, evidence: Evidence, vocabulary: Vocabulary
) -> Tables:
    """The average of what the members say."""
    held = Held.of(evidence, vocabulary, scales)
    keys = held.keys
    parts = [held.of_pairs(keys[at : at + _AT_ONCE]) for at in range(0, len(keys), _AT_ONCE)]
    pairs = _mean([np.concatenate([one.pair(part)[:, 0] for part in parts]) for one in members])
    weight = _mean([one.case_weight for one in members])
    flat = held.forms.reshape(-1, held.forms.shape[-1])
    forms = _mean([one.form(flat)[:, 0] for one in members]).reshape(held.forms.shape[:2])
    cases = evidence.case_features(keys) * weight[:, None]
    unseen = _factors([one.unseen for one in members], held.sides)
    return Tables(_half(pairs), _half(cases), _half(unseen), forms.astype(np.float32))


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean(arrays, axis=0)


def _half(scores: np.ndarray) -> np.ndarray:
    return scores.astype(np.float16).astype(np.float32)


def _factors(members: Sequence[Perceptron], sides: np.ndarray) -> np.ndarray:
    """(2, forms, RANK) whose products come nearest to what the members say of all pairs of forms.

    Halko, Martinsson, Tropp (2011), Finding Structure with Randomness, algorithm 4.4; the scores of all
    pairs are computed a few rows at a time.
    """
    rng = np.random.default_rng(0)
    probe = rng.normal(size=(sides.shape[1], RANK + 8)).astype(np.float32)
    basis = np.linalg.qr(_times(members, sides, probe))[0]
    basis = np.linalg.qr(_times(members, sides[::-1], basis, swapped=True))[0]
    basis = np.linalg.qr(_times(members, sides, basis))[0]
    rest = _times(members, sides[::-1], basis, swapped=True)
    left, values, right = np.linalg.svd(rest.T, full_matrices=False)
    root = np.sqrt(values[:RANK])
    return np.stack([basis @ left[:, :RANK] * root, right[:RANK].T * root])


def _times(
    members: Sequence[Perceptron], sides: np.ndarray, matrix: np.ndarray, *, swapped: bool = False
) -> np.ndarray:
    """The matrix of all pairs' scores (or its transpose) times a matrix."""
    rows, columns = sides
    found = np.empty((len(rows), matrix.shape[1]), np.float32)
    for at in range(0, len(rows), 64):
        block = _block(members, rows[at : at + 64], columns, swapped=swapped)
        found[at : at + 64] = block @ matrix
    return found


def _block(
    members: Sequence[Perceptron], rows: np.ndarray, columns: np.ndarray, *, swapped: bool
) -> np.ndarray:
    """(rows, columns) the scores of pairs."""
    total = np.zeros((len(rows), len(columns)), np.float32)
    for member in members:
        first, last = member.layers
        half = rows.shape[1]
        of_left, of_right = first[:half], first[half:-1]
        a, b = (of_right, of_left) if swapped else (of_left, of_right)
        hidden = (rows @ a)[:, None] + (columns @ b + first[-1])[None]
        total += np.maximum(hidden, 0, out=hidden) @ last[:-1, 0] + last[-1, 0]
    return total / len(members)
