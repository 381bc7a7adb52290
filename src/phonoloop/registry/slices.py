"""What speech can be sliced by, and: is a candidate worse for some speakers, places or dialects, while
better on the whole?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.data.manifest import ManifestRow
from phonoloop.registry import statistics
from phonoloop.registry.rule import PromotionRule

#: the slice that tells synthesised speech from recorded speech
SPEECH = "speech"
SYNTHETIC = "synthetic"
RECORDED = "recorded"
#: the slices that signal-to-noise ratio is cut into, and their borders
NOISE = "noise"
_NOISE_BANDS_DB = (5, 10, 20, 30)
#: says where a text is from, not what the speech is like
_NO_SLICES = frozenset({"provenance"})


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


def slices_of(row: ManifestRow) -> dict[str, str]:
    """What a manifest row belongs to: name → value (`{"dialect": "south", "noise": "10-20 dB"}`).

    Every extra that is a text, a whole number or a yes or no; `snr_db` by its band as `noise`,
    `synthetic` as `speech`.

    Raises:
        InputError: `golden.snr`, for a signal-to-noise ratio that is no number.
    """
    named = {name: _value(value) for name, value in row.extras.items() if _is_slice(name, value)}
    snr_db = row.extras.get("snr_db")
    if isinstance(snr_db, int | float) and not isinstance(snr_db, bool):
        named[NOISE] = noise_band(float(snr_db))
    if "synthetic" in row.extras:
        named[SPEECH] = SYNTHETIC if row.extras["synthetic"] else RECORDED
    return named


def _is_slice(name: str, value: Any) -> bool:
    spelled_apart = name in ("snr_db", "synthetic") or name in _NO_SLICES
    return not spelled_apart and isinstance(value, str | int) and value != ""


def _value(value: str | int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def noise_band(snr_db: float) -> str:
    """The band a signal-to-noise ratio lies in: below 5, 5-10, 10-20, 20-30, from 30 dB."""
    if math.isnan(snr_db):
        raise InputError("a signal-to-noise ratio is missing", code="golden.snr")
    reached = [edge for edge in _NOISE_BANDS_DB if snr_db >= edge]
    above = [edge for edge in _NOISE_BANDS_DB if snr_db < edge]
    if not reached:
        return f"below {above[0]} dB"
    return f"{reached[-1]}-{above[0]} dB" if above else f"from {reached[-1]} dB"


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
