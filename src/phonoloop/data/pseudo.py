"""Whether a text that a machine wrote can be a label: what it may not be, and what it must be like.

Two recognisers that agree are a better sign than one that is sure of itself, so where there is a second
opinion it decides beside the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from phonoloop.core.ports import Transaction
from phonoloop.data.model import Clip, ClipStatus, Provenance
from phonoloop.text.error_rates import word_errors
from phonoloop.text.normalise import for_scoring

INVENTED = "text.invented"
REPEATS = "text.repeats"
UNLIKELY_RATE = "text.unlikely_rate"
DISAGREEMENT = "text.disagreement"
UNCONFIRMED = "text.unconfirmed"
LOW_CONFIDENCE = "text.low_confidence"

_LONGEST_LOOP_WORDS = 6
_LOOP_ROUNDS = 4
_LOOP_WORDS = 8

#: clips that the usual rate is taken from, and fewer than which say too little
_RATE_CLIPS = 400
_LEAST_RATE_CLIPS = 30
#: how much further than nearly all people's clips a machine's may be
_RATE_SLACK = 1.5


@dataclass(frozen=True, slots=True)
class SpeechRate:
    """Syllables a second, pauses included, between which a text fits its audio."""

    low: float = 0.1
    high: float = 9.0


def text_fault(text: str) -> str:
    """The code of what is wrong with a text in itself: a subtitle's farewell, or a loop; else empty."""
    scored = for_scoring(text)
    if scored.startswith(invented_beginnings()):
        return INVENTED
    return REPEATS if is_loop(scored.split()) else ""


@cache
def invented_beginnings() -> tuple[str, ...]:
    """The lines of `invented.txt`."""
    source = resources.files(__package__) / "invented.txt"
    lines = (line.strip() for line in source.read_text(encoding="utf-8").splitlines())
    return tuple(for_scoring(line) for line in lines if line and not line.startswith("#"))


def is_loop(words: Sequence[str]) -> bool:
    """Whether more than half of it is the same few words, over and over."""
    if len(words) < _LOOP_WORDS:
        return False
    return any(
        _longest_run(words, period) >= max(_LOOP_ROUNDS * period, _LOOP_WORDS, len(words) / 2)
        for period in range(1, _LONGEST_LOOP_WORDS + 1)
    )


def _longest_run(words: Sequence[str], period: int) -> int:
    """The length of the longest stretch that repeats itself every `period` words."""
    longest = run = period
    for before, after in zip(words, words[period:], strict=False):
        run = run + 1 if before == after else period
        longest = max(longest, run)
    return longest


def disagreement(one: str, other: str) -> float:
    """Word errors of the other opinion against the first, 0 and more; 0 for two that heard nothing."""
    return word_errors(for_scoring(one), for_scoring(other)).rate


def usual_rate(tx: Transaction) -> SpeechRate:
    """How fast people's clips are spoken here: nearly all of them, and half as much again on both sides.

    Clips are named by hashes, so the first ones by name are a sample that nobody chose. The defaults where
    there are too few.
    """
    clips = tx.find(
        Clip,
        status=ClipStatus.ACCEPTED,
        provenance__in=[Provenance.HUMAN, Provenance.SIDECAR],
        limit=_RATE_CLIPS,
    )
    if len(clips) < _LEAST_RATE_CLIPS:
        return SpeechRate()
    rates = [syllables_per_s(clip.text, clip.duration_s) for clip in clips]
    low, high = np.quantile(rates, [0.01, 0.99])
    return SpeechRate(float(low) / _RATE_SLACK, float(high) * _RATE_SLACK)


def syllables_per_s(text: str, duration_s: float) -> float:
    """Vietnamese writes a syllable between spaces or hyphens."""
    return len(text.replace("-", " ").split()) / duration_s


def rate_fault(text: str, duration_s: float, usual: SpeechRate) -> str:
    """The code for a text with too few or too many syllables for its audio; else empty."""
    rate = syllables_per_s(text, duration_s)
    return "" if usual.low <= rate <= usual.high else UNLIKELY_RATE


def trust_fault(
    confidence: float | None, disagreement: float | None, *, least: float, most_disagreement: float
) -> str:
    """The code of why a machine's text is not believed; else empty.

    Args:
        confidence: None where the recogniser gives none.
        disagreement: of a second opinion; None where nobody else was asked.
    """
    if disagreement is not None and disagreement > most_disagreement:
        return DISAGREEMENT
    if confidence is None:
        return UNCONFIRMED if disagreement is None else ""
    return "" if confidence >= least else LOW_CONFIDENCE
