"""Confidences that mean what they say: fitting, applying and checking them.

A word's raw confidence is turned into the probability that it is right by a logistic function of its log
odds (J. Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets), fitted
on a split that no training saw. How far off confidences are is the expected calibration error (C. Guo et
al., "On calibration of modern neural networks", ICML 2017).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import IntegrityError
from phonoloop.core.speech import Word
from phonoloop.text.error_rates import Edit, align
from phonoloop.text.normalise import DEFAULT_LANGUAGE, for_scoring

#: the file of an exported model that holds its calibration
CALIBRATION = "calibration.json"
#: fewer words than this say too little
LEAST_WORDS = 100
BINS = 10
_CLIP = 1e-4
_ROUNDS = 100
#: pulls slope and intercept towards (1, 0), what changes nothing; in words
_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """p(right) = logistic(slope * log odds of the raw confidence + intercept).

    Attributes:
        words: how many it was fitted on; `measured_on` says of what.
    """

    slope: float
    intercept: float
    words: int
    measured_on: str = ""

    def __call__(self, confidence: float) -> float:
        return float(_logistic(self.slope * _log_odds(np.array([confidence])) + self.intercept)[0])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, subject: str = "") -> Calibration:
        """Raises IntegrityError `calibration.damaged`."""
        try:
            found = cls(
                float(raw["slope"]), float(raw["intercept"]), int(raw["words"]), str(raw["measured_on"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(f"this is no calibration ({error!r})", subject) from error
        if not np.isfinite([found.slope, found.intercept]).all() or found.slope <= 0:
            raise _damaged(f"a slope of {found.slope} is none of a calibration", subject)
        return found


def read_calibration(path: Path) -> Calibration:
    """Raises IntegrityError `calibration.damaged`."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise _damaged(f"this is not JSON ({error})", str(path)) from error
    return Calibration.from_dict(raw, subject=str(path))


def _damaged(message: str, subject: str) -> IntegrityError:
    return IntegrityError(
        message, code="calibration.damaged", subject=subject, hint="Fetch the model again, or export it again"
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """The words whose confidence is in [low, high)."""

    low: float
    high: float
    words: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far confidences are from the share of words that are right.

    Attributes:
        ece: expected calibration error, the mean distance over the words, 0 to 1.
        calibrated: whether the recogniser says that its confidences are probabilities.
    """

    ece: float
    words: int
    calibrated: bool
    bins: tuple[Bin, ...]


#: a word's confidence, and whether it is right
Outcome = tuple[float, bool]


def outcomes(reference: str, words: Sequence[Word], language: str = DEFAULT_LANGUAGE) -> list[Outcome]:
    """What became of each word that was heard with a confidence, in the scoring form of both texts.

    A word whose scoring form is several words is right where all of them are.
    """
    parts = [for_scoring(word.text, language).split() for word in words]
    heard = [part for of_word in parts for part in of_word]
    wanted = for_scoring(reference, language).split()
    steps = [op for op in align(wanted, heard) if op.edit is not Edit.DELETE]
    right = iter([op.edit is Edit.MATCH for op in steps])
    found = []
    for word, of_word in zip(words, parts, strict=True):
        rights = [next(right) for _ in of_word]
        if rights and word.confidence is not None:
            found.append((word.confidence, all(rights)))
    return found


def fit(found: Sequence[Outcome], *, measured_on: str = "") -> Calibration | None:
    """Slope and intercept of greatest likelihood; None where there is too little to go by."""
    if len(found) < LEAST_WORDS:
        return None
    odds = _log_odds(np.array([confidence for confidence, _ in found]))
    right = np.array([was_right for _, was_right in found])
    yes, no = right.sum(), (~right).sum()
    targets = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    inputs = np.stack([odds, np.ones_like(odds)], axis=1)
    slope, intercept = _newton(inputs, targets)
    if not np.isfinite([slope, intercept]).all() or slope <= 0:
        return None  # surer words are wrong more often: no calibration mends that
    return Calibration(float(slope), float(intercept), len(found), measured_on)


def _newton(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    start = np.array([1.0, 0.0])
    weights = start.copy()
    for _ in range(_ROUNDS):
        p = _logistic(inputs @ weights)
        gradient = inputs.T @ (p - targets) + _PRIOR * (weights - start)
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _log_odds(confidence: np.ndarray) -> np.ndarray:
    clipped = np.clip(confidence, _CLIP, 1 - _CLIP)
    return np.log(clipped / (1 - clipped))


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(value, -50.0, 50.0)))


def reliability(found: Sequence[Outcome], *, calibrated: bool) -> Reliability | None:
    """Ten bins of equal width; None without any word that has a confidence."""
    if not found:
        return None
    confidence = np.array([c for c, _ in found])
    right = np.array([r for _, r in found], np.float64)
    place = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    bins = tuple(
        Bin(
            i / BINS,
            (i + 1) / BINS,
            int((place == i).sum()),
            float(confidence[place == i].mean()),
            float(right[place == i].mean()),
        )
        for i in np.unique(place)
    )
    ece = sum(part.words * abs(part.confidence - part.right) for part in bins) / len(found)
    return Reliability(float(ece), len(found), calibrated, bins)
