"""Misses by who speaks, how far away, how noisy it is and where the clips are from; worst group first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from phonoloop.audio.quality import measure
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.registry.slices import noise_band
from phonoloop.wakeword.clips import WakeClip
from phonoloop.wakeword.verdict import MissRate

_UNKNOWN = "unknown"
_DISTANCES_M = (1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Clips that have a value in common."""

    value: str
    misses: MissRate

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value} | self.misses.to_dict()


def groups_of(clips: Sequence[WakeClip], missed: Sequence[bool]) -> dict[str, tuple[Group, ...]]:
    """By `speaker`, `voice`, `snr`, `distance` and `source`.

    What no clip says is left out; clips that do not say it are `unknown`. The ratio of speech to noise
    is measured where nobody said it.

    Args:
        missed: (clips,) in the same order.
    """
    found = {}
    for name, value in _VALUES.items():
        values = [value(clip) for clip in clips]
        if any(one != _UNKNOWN for one in values):
            found[name] = _worst_first(values, missed)
    return found


def _worst_first(values: Sequence[str], missed: Sequence[bool]) -> tuple[Group, ...]:
    """By what is certain about each: one miss of one clip is no worse than ten of twenty."""
    counts: dict[str, list[int]] = {}
    for value, was_missed in zip(values, missed, strict=True):
        count = counts.setdefault(value, [0, 0])
        count[0] += was_missed
        count[1] += 1
    groups = [Group(value, MissRate(*count)) for value, count in counts.items()]
    return tuple(
        sorted(groups, key=lambda group: (-group.misses.interval.low, -group.misses.clips, group.value))
    )


def snr_band(clip: WakeClip) -> str:
    """As it was said, or as it is measured."""
    snr_db = clip.snr_db
    return noise_band(measure(clip.pcm, CANONICAL_RATE_HZ).snr_db if snr_db is None else snr_db)


def distance_band(clip: WakeClip) -> str:
    """Below 1 m, 1-2 m, 2-4 m, from 4 m."""
    if clip.distance_m is None:
        return _UNKNOWN
    reached = [edge for edge in _DISTANCES_M if clip.distance_m >= edge]
    above = [edge for edge in _DISTANCES_M if clip.distance_m < edge]
    if not reached:
        return f"below {above[0]:g} m"
    return f"{reached[-1]:g}-{above[0]:g} m" if above else f"from {reached[-1]:g} m"


_VALUES: dict[str, Callable[[WakeClip], str]] = {
    "speaker": lambda clip: clip.speaker or _UNKNOWN,
    "voice": lambda clip: clip.voice or _UNKNOWN,
    "snr": snr_band,
    "distance": distance_band,
    "source": lambda clip: clip.source or _UNKNOWN,
}
