"""When to act: whether a stretch of text has lost its marks.

A hidden Markov model with three states (as it should be, marks missing, another language), read forward and
backward (Rabiner 1989); its numbers come from the model's metadata, where training put them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: confidences are read as if none were surer or less sure than this
_SUREST = 0.999


@dataclass(frozen=True, slots=True)
class Decision:
    """The settings of the decision.

    Attributes:
        start: how probable it is that a text begins without marks; foreign: in another language.
        switch: how probable a change of state is from one word to the next.
        least: a word without marks counts as at least this probable in correct text.
        stray: how probable a word with marks is in a stretch without.
        unknown: how probable a word the model does not know is in Vietnamese; in_foreign: in another
            language; key_in_foreign: a word there that looks like Vietnamese without marks.
        joined: how probable it is in Vietnamese that some text had two neighbouring words together;
            joined_in_foreign: that words of another language, read as Vietnamese, are such a pair.
        act: marks are put where they are missing with this probability at least.
        doubt: words that the recogniser is less sure of than this may change on their own,
        doubt_sure: if the restorer is at least this sure.
        slope, offset: of the calibration, on the log odds (Platt 1999).
    """

    start: float = 0.2
    foreign: float = 0.01
    switch: float = 0.002
    least: float = 0.01
    stray: float = 1e-4
    unknown: float = 0.04
    in_foreign: float = 0.6
    key_in_foreign: float = 0.5
    joined: float = 0.9
    joined_in_foreign: float = 0.3
    act: float = 0.5
    doubt: float = 0.5
    doubt_sure: float = 0.6
    slope: float = 1.0
    offset: float = 0.0

    def calibrated(self, probability: float) -> float:
        """What share of the choices made with this probability are right."""
        odds = np.clip(probability, 1e-6, 1 - 1e-6)
        return float(1 / (1 + np.exp(-(self.slope * np.log(odds / (1 - odds)) + self.offset))))


def log_odds(confidences: np.ndarray) -> np.ndarray:
    """(n,) log odds of the recogniser's confidences."""
    sure = np.clip(confidences, 1 - _SUREST, _SUREST).astype(np.float32)
    return np.log(sure / (1 - sure))


def missing_marks(own: np.ndarray, kinds: np.ndarray, joined: np.ndarray, decision: Decision) -> np.ndarray:
    """(rows, columns) how probable it is that marks are missing at each place.

    Args:
        own: (rows, columns) how probable each word's own form is, if any form were possible.
        kinds: (rows, columns) 0 says nothing, 1 a word without marks, 2 with marks, 3 unknown.
        joined: (rows, columns) whether each word, as restored, was ever seen after the one before it.
    """
    emitted = _emitted(own, kinds, decision) * _joining(kinds, joined, decision)
    change = np.full((3, 3), decision.switch / 2) + np.eye(3) * (1 - 1.5 * decision.switch)
    first = np.array([1 - decision.start - decision.foreign, decision.start, decision.foreign])
    ahead, behind = np.empty_like(emitted), np.ones_like(emitted)
    ahead[:, 0] = first * emitted[:, 0]
    for at in range(1, kinds.shape[1]):
        ahead[:, at] = _shares(ahead[:, at - 1] @ change) * emitted[:, at]
        ahead[:, at] = _shares(ahead[:, at])
    for at in range(kinds.shape[1] - 2, -1, -1):
        behind[:, at] = _shares((behind[:, at + 1] * emitted[:, at + 1]) @ change)
    return _shares(ahead * behind)[..., 1]


def _shares(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(-1, keepdims=True)


def _emitted(own: np.ndarray, kinds: np.ndarray, decision: Decision) -> np.ndarray:
    """(rows, columns, 3) how probable what is seen is in each state."""
    emitted = np.ones((*kinds.shape, 3))
    bare = kinds == 1
    emitted[bare, 0] = np.clip(own[bare], decision.least, 1)
    emitted[bare, 2] = decision.key_in_foreign
    emitted[kinds == 2] = (1, decision.stray, decision.stray)
    emitted[kinds == 3] = (decision.unknown, decision.unknown, decision.in_foreign)
    return emitted


def _joining(kinds: np.ndarray, joined: np.ndarray, decision: Decision) -> np.ndarray:
    """(rows, columns, 3) how probable in each state it is that neighbours were seen together, or were not."""
    seen = np.array([decision.joined, decision.joined, decision.joined_in_foreign])
    both = (kinds[:, 1:] == 1) & (kinds[:, :-1] == 1)
    found = np.ones((*kinds.shape, 3))
    found[:, 1:][both] = np.where(joined[:, 1:][both][:, None], seen, 1 - seen)
    return found
