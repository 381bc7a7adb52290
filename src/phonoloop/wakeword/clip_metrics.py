"""Clips as single decisions: accuracy, precision, recall and what goes with them (requirement B8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: the length a negative stands for as one decision; a longer one stands for several
NEGATIVE_CLIP_S = 3.0


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Decisions about clips: the phrase is in it, or it is not.

    Attributes:
        hits, missed: of clips of the phrase.
        false_accepts, rejected: of clips without it.
    """

    hits: int
    missed: int
    false_accepts: int
    rejected: int

    @property
    def accuracy(self) -> float | None:
        return _share(self.hits + self.rejected, self.hits + self.missed + self.false_accepts + self.rejected)

    @property
    def precision(self) -> float | None:
        return _share(self.hits, self.hits + self.false_accepts)

    @property
    def recall(self) -> float | None:
        return _share(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.hits, 2 * self.hits + self.missed + self.false_accepts)

    @property
    def far(self) -> float | None:
        """False accepts as a share of the clips without the phrase."""
        return _share(self.false_accepts, self.false_accepts + self.rejected)

    @property
    def frr(self) -> float | None:
        """Misses as a share of the clips of the phrase."""
        return _share(self.missed, self.hits + self.missed)

    def to_dict(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in self.__slots__}
        rates = ("accuracy", "precision", "recall", "f1", "far", "frr")
        return counts | {name: getattr(self, name) for name in rates} | {"negative_clip_s": NEGATIVE_CLIP_S}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def decisions(duration_s: float) -> int:
    """How many decisions a negative of this length stands for."""
    return max(1, round(duration_s / NEGATIVE_CLIP_S))
