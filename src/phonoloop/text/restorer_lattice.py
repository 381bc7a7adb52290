"""Sums over all ways of reading a sentence: the linear-chain conditional random field in numpy.

Lafferty, McCallum, Pereira (2001), Conditional Random Fields. Every position has a few candidates with
a score each (emission); some pairs of neighbours have a score too, all others count 0. Sentences are rows
of a batch: column 0 and every column after a sentence's end hold the border, which has one candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonoloop.text.restorer_words import MAX_FORMS


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of neighbouring candidates of a batch, one after the other.

    Attributes:
        owner: (p,) flat position (row * columns + column) of the right one of the pair.
        left, right: (p,) which candidate of its position, as a number below MAX_FORMS.
        keys: (p,) `left form * forms + right form`.
    """

    owner: np.ndarray
    left: np.ndarray
    right: np.ndarray
    keys: np.ndarray


def pairs_of(candidates: np.ndarray, counts: np.ndarray, forms: int) -> Pairs:
    """The pairs of a batch: `candidates` (rows, columns, MAX_FORMS), `counts` (rows, columns)."""
    flat, many = candidates.reshape(-1, MAX_FORMS), counts.ravel().astype(np.int64)
    before = np.concatenate([[1], many[:-1]])
    sizes = before * many
    sizes[:: counts.shape[1]] = 0  # what begins a row has no left neighbour
    owner = np.repeat(np.arange(len(many)), sizes)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    left, right = np.divmod(within, many[owner])
    keys = flat[owner - 1, left].astype(np.int64) * forms + flat[owner, right]
    return Pairs(owner, left, right, keys)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The result of a pass over a batch.

    Attributes:
        marginals: (rows, columns, MAX_FORMS) how probable each candidate is.
        log_z: (rows,) log of the sum over all readings.
        ahead, behind: what `pair_marginals` needs: messages from the left (with the position's own
            emission) and from the right (with that of the position to the right).
    """

    marginals: np.ndarray
    log_z: np.ndarray
    ahead: np.ndarray
    behind: np.ndarray
    weights: np.ndarray

    def pair_marginals(self, pairs: Pairs) -> np.ndarray:
        """(p,) how probable each pair is."""
        ahead, behind = self.ahead.reshape(-1, MAX_FORMS), self.behind.reshape(-1, MAX_FORMS)
        weights = self.weights.reshape(-1, MAX_FORMS, MAX_FORMS)
        mass = ahead[pairs.owner - 1, pairs.left] * weights[pairs.owner, pairs.left, pairs.right]
        mass *= behind[pairs.owner, pairs.right]
        total = np.bincount(pairs.owner, mass, minlength=len(ahead))
        return mass / np.maximum(total[pairs.owner], 1e-30)


def run(emissions: np.ndarray, counts: np.ndarray, pairs: Pairs, scores: np.ndarray) -> Lattice:
    """Forward and backward sums.

    Args:
        emissions: (rows, columns, MAX_FORMS), finite where there is a candidate.
        counts: (rows, columns) candidates of each position.
        scores: (p,) of the pairs.
    """
    rows, columns = counts.shape
    there = np.arange(MAX_FORMS) < counts[..., None]
    top = np.where(there, emissions, -np.inf).max(2, keepdims=True)
    own = np.where(there, np.exp(emissions - top), 0).astype(np.float32)
    weights = np.zeros((rows * columns, MAX_FORMS, MAX_FORMS), np.float32)
    weights[pairs.owner, pairs.left, pairs.right] = np.exp(scores)
    weights = weights.reshape(rows, columns, MAX_FORMS, MAX_FORMS)
    ahead, log_z = _forward(own, weights)
    after, behind = _backward(own, weights)
    marginals = ahead * after
    marginals /= marginals.sum(2, keepdims=True)
    return Lattice(marginals, log_z + top.sum((1, 2)), ahead, behind, weights)


def _forward(own: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ahead = np.zeros_like(own)
    ahead[:, 0] = own[:, 0]
    log_z = np.zeros(len(own))
    for at in range(1, own.shape[1]):
        now = np.matmul(ahead[:, at - 1, None], weights[:, at])[:, 0] * own[:, at]
        total = now.sum(1, keepdims=True)
        ahead[:, at] = now / total
        log_z += np.log(total[:, 0])
    return ahead, log_z


def _backward(own: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Messages from the right, without and with the position's own emission."""
    after, behind = np.zeros_like(own), np.zeros_like(own)
    after[:, -1] = own[:, -1] > 0
    for at in range(own.shape[1] - 1, -1, -1):
        behind[:, at] = after[:, at] * own[:, at]
        if at:
            now = np.matmul(weights[:, at], behind[:, at, :, None])[..., 0]
            after[:, at - 1] = now / now.sum(1, keepdims=True)
    return after, behind
