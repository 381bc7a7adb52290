"""Makes the restorer's probabilities mean what they say, on text that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from phonoloop.text.restorer_fit import Batch, Potentials, lattice_of
from phonoloop.text.restorer_words import SPECIAL


def chosen(members: Sequence[Potentials], batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) how probable the choice for each word with several forms was, (n,) whether it was right."""
    sure, right = [], []
    for batch in batches:
        marginals = lattice_of(members, batch).marginals
        words = (batch.forms >= len(SPECIAL)) & (batch.counts > 1)
        sure.append(marginals.max(2)[words])
        right.append((marginals.argmax(2) == batch.gold)[words])
    return np.concatenate(sure), np.concatenate(right)


def calibration(members: Sequence[Potentials], batches: Iterable[Batch]) -> tuple[float, float]:
    """Slope and offset on the log odds that make the choices' probabilities most likely (Platt 1999).

    Newton's method; the same for the same batches.
    """
    sure, right = chosen(members, batches)
    odds = np.clip(sure.astype(np.float64), 1e-6, 1 - 1e-6)
    x = np.stack([np.log(odds / (1 - odds)), np.ones(len(odds))], 1)
    weights = np.array([1.0, 0.0])
    for _ in range(20):
        says = 1 / (1 + np.exp(-x @ weights))
        curve = (x * (says * (1 - says))[:, None]).T @ x + 1e-3 * np.eye(2)
        weights += np.linalg.solve(curve, x.T @ (right - says) - 1e-3 * (weights - [1.0, 0.0]))
    return round(float(weights[0]), 4), round(float(weights[1]), 4)


def expected_calibration_error(says: np.ndarray, right: np.ndarray, *, bins: int = 15) -> float:
    """Mean distance between what was said and what was right, over bins of equal size (Guo et al. 2017)."""
    order = np.argsort(says, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(says[part].mean()) - float(right[part].mean())) * len(part) for part in parts]
    return sum(gaps) / max(1, len(says))
