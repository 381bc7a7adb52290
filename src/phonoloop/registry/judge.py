"""Is a candidate better than the champion? A paired comparison over a golden set.

Both models heard the same utterances. What is tested is the difference of their error rates, with
speakers as blocks. Two tests have to agree: a paired bootstrap (Bisani and Ney, "Bootstrap
estimates for confidence intervals in ASR performance evaluation", ICASSP 2004; blocks after
arXiv:1912.09508) and Student's t over speakers, because a percentile bootstrap over few blocks
claims more than it knows. The reasons are in docs/adr/0002-promotion-gate.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.registry import statistics
from phonoloop.registry.model import Decision
from phonoloop.registry.power import Needed, needed
from phonoloop.registry.rule import LOWER_WER_WINS, PromotionRule
from phonoloop.registry.slices import Slice, SliceState, measure_slices, synthetic_share


@dataclass(frozen=True, slots=True)
class PairedUtterance:
    """One utterance that both models heard.

    Attributes:
        words: in the reference.
        slices: what it belongs to (`{"dialect": "south", "noise": "10-20 dB"}`).
    """

    clip_id: str
    speaker_id: str
    words: int
    errors_champion: int
    errors_candidate: int
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the comparison says.

    Attributes:
        reason: one or two sentences for people.
        evidence: JSON values: sizes, rates, intervals, p-values, slices, what is missing, the rule.
    """

    decision: Decision
    reason: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Measured:
    """Everything a decision looks at; `difference` is candidate less champion, in errors per word."""

    words: int
    speakers: int
    utterances: int
    rate_champion: float
    rate_candidate: float
    difference: statistics.Ratio
    bootstrap: np.ndarray
    p_student: float
    p_student_worse: float
    mapsswe: tuple[float, float]
    alpha: float
    slices: tuple[Slice, ...]
    synthetic: float
    needed: Needed


def compare(pairs: Sequence[PairedUtterance], rule: PromotionRule, *, tests_before: int = 0) -> Comparison:
    """Judges a candidate.

    Args:
        pairs: every utterance of the golden set, once. Utterances without a speaker count as one
            speaker's.
        tests_before: how many candidates were already tested against this champion.

    Raises:
        InputError: `judge.duplicate_clip`, `judge.negative_count`.
    """
    _check(pairs)
    if not sum(pair.words for pair in pairs):
        return Comparison(
            Decision.NOT_ENOUGH_EVIDENCE,
            "The golden set holds no words to compare on",
            {"words": 0, "speakers": 0, "utterances": len(pairs), "rule": rule.to_dict()},
        )
    measured = _measure(pairs, rule, tests_before)
    decide = _decide_simply if rule.rule == LOWER_WER_WINS else _decide
    decision, reason = decide(measured, rule)
    return Comparison(decision, reason, _evidence(measured, rule, tests_before))


def _check(pairs: Sequence[PairedUtterance]) -> None:
    if len({pair.clip_id for pair in pairs}) != len(pairs):
        raise InputError("an utterance is there twice", code="judge.duplicate_clip")
    for pair in pairs:
        if pair.words < 0 or pair.errors_champion < 0 or pair.errors_candidate < 0:
            raise InputError("a count is below zero", code="judge.negative_count", subject=pair.clip_id)


def _measure(pairs: Sequence[PairedUtterance], rule: PromotionRule, tests_before: int) -> _Measured:
    words = np.array([pair.words for pair in pairs], dtype=np.float64)
    champion = np.array([pair.errors_champion for pair in pairs], dtype=np.float64)
    change = np.array([pair.errors_candidate for pair in pairs], dtype=np.float64) - champion
    _, speaker = np.unique([pair.speaker_id for pair in pairs], return_inverse=True)
    block_words, block_change = np.bincount(speaker, words), np.bincount(speaker, change)
    # a speaker without a word cannot say anything about errors per word
    block_words, block_change = block_words[block_words > 0], block_change[block_words > 0]
    blocks, size = len(block_words), float(words.sum())
    difference = statistics.ratio(block_change, block_words)
    alpha = rule.alpha_of_test(tests_before)
    return _Measured(
        words=int(size),
        speakers=blocks,
        utterances=len(pairs),
        rate_champion=float(champion.sum()) / size,
        rate_candidate=float(champion.sum() + change.sum()) / size,
        difference=difference,
        bootstrap=_bootstrap(block_change, block_words, rule),
        p_student=statistics.chance_below_zero(difference, blocks=blocks),
        p_student_worse=statistics.chance_below_zero(
            difference._replace(value=-difference.value), blocks=blocks
        ),
        mapsswe=statistics.mapsswe(change),
        alpha=alpha,
        slices=measure_slices(pairs, speaker, words=words, change=change, rule=rule),
        synthetic=synthetic_share(pairs),
        needed=needed(
            difference, blocks=block_words, rate=float(champion.sum()) / size, alpha=alpha, rule=rule
        ),
    )


def _bootstrap(change: np.ndarray, words: np.ndarray, rule: PromotionRule) -> np.ndarray:
    """The difference of the rates over resampled speakers: (resamples,)."""
    sums = statistics.resampled(np.stack([change, words], axis=1), resamples=rule.resamples, seed=rule.seed)
    return sums[:, 0] / sums[:, 1]


def _decide_simply(measured: _Measured, rule: PromotionRule) -> tuple[Decision, str]:
    if measured.rate_candidate == measured.rate_champion:
        return Decision.NOT_ENOUGH_EVIDENCE, f"Both make {_percent(measured.rate_champion)} errors"
    lower = measured.rate_candidate < measured.rate_champion
    return Decision.BETTER if lower else Decision.WORSE, (
        f"{_rates(measured)}, by the rule {rule.rule}, which looks at nothing else"
    )


def _decide(measured: _Measured, rule: PromotionRule) -> tuple[Decision, str]:
    if not _enough(measured, rule):
        return Decision.NOT_ENOUGH_EVIDENCE, _too_little(measured, rule)
    if _passes(measured.p_student_worse, measured.bootstrap <= 0, rule.alpha):
        return Decision.WORSE, f"{_rates(measured)}: worse beyond chance"
    hurt = [part for part in measured.slices if part.state is SliceState.WORSE]
    if hurt:
        return Decision.WORSE, f"{_rates(measured)}, but worse on {_named(hurt)}"
    if not _passes(measured.p_student, measured.bootstrap >= 0, measured.alpha):
        return Decision.NOT_ENOUGH_EVIDENCE, _not_shown(measured)
    doubtful = [part for part in measured.slices if part.state is SliceState.DOUBTFUL]
    if doubtful:
        return Decision.NOT_ENOUGH_EVIDENCE, (
            f"{_rates(measured)}, but measured worse than the rule allows on {_named(doubtful)}; "
            "that may be chance, and more words there would tell"
        )
    return Decision.BETTER, f"{_rates(measured)}: better beyond chance (p {_p_value(measured):.2g})"


def _enough(measured: _Measured, rule: PromotionRule) -> bool:
    return measured.words >= rule.min_words and measured.speakers >= rule.min_speakers


def _passes(p_student: float, against: np.ndarray, alpha: float) -> bool:
    """Whether both tests speak at this level. Where alpha is below what so many resamples can
    show, not one of them may speak against it, and Student's t decides."""
    share = _bootstrap_p(against)
    resolution = 1.0 / (len(against) + 1)
    return p_student <= alpha and share <= max(alpha, resolution)


def _bootstrap_p(against: np.ndarray) -> float:
    return (1 + int(against.sum())) / (len(against) + 1)


def _p_value(measured: _Measured) -> float:
    return max(measured.p_student, _bootstrap_p(measured.bootstrap >= 0))


def _too_little(measured: _Measured, rule: PromotionRule) -> str:
    lacking = {
        "words": rule.min_words - measured.words,
        "speakers": rule.min_speakers - measured.speakers,
    }
    missing = " and ".join(f"{count} {what}" for what, count in lacking.items() if count > 0)
    return (
        f"{measured.words} words from {measured.speakers} speakers are too few to judge on: "
        f"{missing} more are needed"
    )


def _not_shown(measured: _Measured) -> str:
    need = measured.needed
    if need.for_difference is None:
        return f"{_rates(measured)}: one speaker cannot show a difference"
    about = f"about {need.words:,} words from {need.speakers:,} speakers"
    if measured.difference.value < 0:
        return f"{_rates(measured)}: not beyond chance; such a difference takes {about} to show"
    return (
        f"{_rates(measured)}: not better; a difference of {_points(need.for_difference)} would take "
        f"{about} to show"
    )


def _rates(measured: _Measured) -> str:
    return (
        f"{_percent(measured.rate_candidate)} errors against the champion's "
        f"{_percent(measured.rate_champion)} on {measured.words:,} words from {measured.speakers} speakers"
        f"{_of_speech(measured.synthetic)}"
    )


def _of_speech(synthetic: float) -> str:
    if synthetic in (0.0, 1.0):
        return " of synthetic speech" if synthetic else ""
    return f", {100 * synthetic:.0f} % of it synthetic"


def _named(parts: Sequence[Slice]) -> str:
    return ", ".join(f"{part.name}={part.value} (+{_points(part.difference)})" for part in parts)


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:.2f} points"


def _evidence(measured: _Measured, rule: PromotionRule, tests_before: int) -> dict[str, Any]:
    z, p_mapsswe = measured.mapsswe
    percentiles = statistics.percentile_interval(measured.bootstrap, confidence=rule.confidence)
    interval = statistics.t_interval(measured.difference, confidence=rule.confidence)
    return {
        "words": measured.words,
        "speakers": measured.speakers,
        "utterances": measured.utterances,
        "rate_champion": measured.rate_champion,
        "rate_candidate": measured.rate_candidate,
        "difference": measured.difference.value,
        "difference_interval": list(interval) if interval else None,
        "difference_interval_bootstrap": list(percentiles),
        "confidence": rule.confidence,
        "p_bootstrap": _bootstrap_p(measured.bootstrap >= 0),
        "p_student": measured.p_student,
        "p_student_worse": measured.p_student_worse,
        "chance_of_improvement": float(np.mean(measured.bootstrap < 0)),
        "mapsswe_z": z,
        "p_mapsswe": p_mapsswe,
        "synthetic_share": measured.synthetic,
        "tested": _enough(measured, rule),
        "alpha": measured.alpha,
        "tests_before": tests_before,
        "slices": [part.to_dict() for part in measured.slices],
        "needed": measured.needed.to_dict(),
        "rule": rule.to_dict(),
    }
