"""Error rates with their intervals, in all and by part of the Vietnamese syllable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phonoloop.registry.statistics import rate_interval
from phonoloop.text.alignment import Counts
from phonoloop.text.syllable_errors import PARTS, Confusion, SyllableParts, top_confusions


@dataclass(frozen=True, slots=True)
class Rate:
    """Errors over reference tokens, with their interval for speakers like these.

    Attributes:
        low, high: None with fewer than two speakers: one says nothing about others.
    """

    errors: int
    reference: int
    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PartRates:
    """Errors in tones, onsets and rimes, each as a share of the syllables that were said.

    Attributes:
        confusions: what was taken for what, the most frequent first within tone, onset, rime.
        misspelled: how many of the words that were heard in place of syllables are none.
    """

    tone: Rate
    onset: Rate
    rime: Rate
    confusions: tuple[Confusion, ...]
    misspelled: int


def rate_of(spoken: Iterable[tuple[str, Counts]], *, confidence: float = 0.95) -> Rate:
    """One kind of errors of utterances, each with its speaker."""
    blocks: dict[str, Counts] = {}
    for speaker, counts in spoken:
        blocks[speaker] = blocks.get(speaker, Counts()) + counts
    total = sum(blocks.values(), Counts())
    interval = rate_interval(
        [block.errors for block in blocks.values()],
        [block.reference for block in blocks.values()],
        confidence=confidence,
    )
    low, high = interval or (None, None)
    return Rate(total.errors, total.reference, total.rate, low, high)


def part_rates(
    spoken: Sequence[tuple[str, SyllableParts]], *, most: int = 10, confidence: float = 0.95
) -> PartRates | None:
    """By tone, onset and rime, of utterances, each with its speaker; None where the references are not
    Vietnamese.

    Args:
        most: how many confusions of each part.
    """
    total = sum((parts for _, parts in spoken), SyllableParts())
    if not total.vietnamese:
        return None
    rates = {
        part: rate_of(((speaker, getattr(parts, part)) for speaker, parts in spoken), confidence=confidence)
        for part in PARTS
    }
    confusions = tuple(one for part in PARTS for one in top_confusions(total, part, most))
    return PartRates(**rates, confusions=confusions, misspelled=total.misspelled)
