"""Is a candidate worse for some speakers, places or dialects, while better on the whole?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from phonoloop.registry import statistics
from phonoloop.registry.rule import PromotionRule

#: the slice that tells synthesised speech from recorded speech
SPEECH = "speech"
SYNTHETIC = "synthetic"
RECORDED = "recorded"


class SliceState(StrEnum):
    """`too_small`: not judged. `fine`: measured no worse than the rule allows. `doubtful`: measured
    worse than that, which may be chance. `worse`: measured worse than that, and worse beyond chance."""

    TOO_SMALL = "too_small"
    FINE = "fine"
    DOUBTFUL = "doubtful"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Slice:
    """What was measured on the part of a golden set where `name` is `value`.

    Attributes:
        difference: candidate less champion, in errors per word.
        blocks: what was taken as independent: `speakers`, or `utterances` where a slice has fewer
            speakers than the rule's minimum; that speaks of these speakers, not of others.
        p_worse: one-sided, of a difference above zero.
    """

    name: str
    value: str
    words: int
    speakers: int
    difference: float
    blocks: str
    p_worse: float
    state: SliceState

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"state": self.state.value}


class HasSlices(Protocol):
    @property
    def slices(self) -> Mapping[str, str]: ...


def synthetic_share(parts: Sequence[HasSlices]) -> float:
    """Which share of utterances is said to be synthesised."""
    return sum(part.slices.get(SPEECH) == SYNTHETIC for part in parts) / max(1, len(parts))


def measure_slices(
    pairs: Sequence[HasSlices],
    speaker: np.ndarray,
    *,
    words: np.ndarray,
    change: np.ndarray,
    rule: PromotionRule,
) -> tuple[Slice, ...]:
    """Every slice of the pairs, in the order of names and values.

    Args:
        speaker, words, change: (utterances,): the number of the speaker, words in the reference,
            errors of the candidate less those of the champion.
    """
    parts = list(_parts(pairs))
    judged = sum(float(words[at].sum()) >= rule.min_slice_words for _, _, at in parts)
    # each slice gets its share of alpha: among twenty one would look worse by chance
    level = rule.alpha / max(1, judged)
    return tuple(
        _slice(name, value, speaker=speaker[at], words=words[at], change=change[at], rule=rule, level=level)
        for name, value, at in parts
    )


def _parts(pairs: Sequence[HasSlices]) -> Iterator[tuple[str, str, np.ndarray]]:
    members: dict[tuple[str, str], list[int]] = {}
    for i, pair in enumerate(pairs):
        for item in pair.slices.items():
            members.setdefault(item, []).append(i)
    for name, value in sorted(members):
        yield name, value, np.array(members[name, value])


def _slice(
    name: str,
    value: str,
    *,
    speaker: np.ndarray,
    words: np.ndarray,
    change: np.ndarray,
    rule: PromotionRule,
    level: float,
) -> Slice:
    size, speakers = float(words.sum()), len(np.unique(speaker[words > 0]))
    enough = speakers >= rule.min_speakers
    difference, p_worse = _worse(speaker if enough else np.arange(len(words)), words, change)
    state = _state(difference, p_worse, enough_words=size >= rule.min_slice_words, level=level, rule=rule)
    return Slice(
        name=name,
        value=value,
        words=int(size),
        speakers=speakers,
        difference=difference,
        blocks="speakers" if enough else "utterances",
        p_worse=p_worse,
        state=state,
    )


def _worse(block: np.ndarray, words: np.ndarray, change: np.ndarray) -> tuple[float, float]:
    block_words, block_change = np.bincount(block, words), np.bincount(block, change)
    block_words, block_change = block_words[block_words > 0], block_change[block_words > 0]
    if not len(block_words):
        return 0.0, 1.0
    fewer = statistics.ratio(-block_change, block_words)
    return -fewer.value, statistics.chance_below_zero(fewer, blocks=len(block_words))


def _state(
    difference: float, p_worse: float, *, enough_words: bool, level: float, rule: PromotionRule
) -> SliceState:
    if not enough_words:
        return SliceState.TOO_SMALL
    if difference <= rule.max_slice_regression:
        return SliceState.FINE
    return SliceState.WORSE if p_worse <= level else SliceState.DOUBTFUL
