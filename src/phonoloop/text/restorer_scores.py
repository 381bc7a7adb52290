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
    places = np.arange(len(keys))
    parts = [held.of_pairs(places[at : at + _AT_ONCE]) for at in range(0, len(keys), _AT_ONCE)]
    pairs = _mean([np.concatenate([one.pair(part)[:, 0] for part in parts]) for one in members])
    weight = _mean([one.case_weight for one in members])
    flat = held.forms.reshape(-1, held.forms.shape[-1])
    forms = _mean([one.form(flat)[:, 0] for one in members]).reshape(held.forms.shape[:2])
    cases = held.cases * weight[:, None]
    unseen = _factors([one.unseen for one in members], held.sides)
    return Tables(_half(pairs), _half(cases), _half(unseen), forms.astype(np.float32))


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean(arrays, axis=0)


def _half(scores: np.ndarray) -> np.ndarray:
    return scores.astype(np.float16).astype(np.float32)


def _factors(members: Sequence[Perceptron], sides: np.ndarray) -> np.ndarray:
    """(2, forms, RANK) whose products come nearest to what the members say of all pairs of forms.

    Halko, Martinsson, Tropp (2011), Finding Structure with Randomness, algorithms 4.4 and 5.1.
    """
    scores = _all_pairs(members, sides)
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(scores @ rng.normal(size=(len(scores), RANK + 8)).astype(np.float32))[0]
    basis = np.linalg.qr(scores @ np.linalg.qr(scores.T @ basis)[0])[0]
    left, values, right = np.linalg.svd(basis.T @ scores, full_matrices=False)
    root = np.sqrt(values[:RANK])
    return np.stack([basis @ left[:, :RANK] * root, right[:RANK].T * root])


def _all_pairs(members: Sequence[Perceptron], sides: np.ndarray) -> np.ndarray:
    """(forms, forms) the members' mean scores; a few rows at a time, which stay in the cache."""
    rows, columns = sides
    half = rows.shape[1]
    found = np.zeros((len(rows), len(rows)), np.float32)
    for first, last in (member.layers for member in members):
        of_left, of_right = rows @ first[:half], columns @ first[half:-1] + first[-1]
        for at in range(0, len(rows), 2):
            hidden = of_left[at : at + 2, None] + of_right
            found[at : at + 2] += np.maximum(hidden, 0, out=hidden) @ last[:-1, 0] + last[-1, 0]
    return found / len(members)
