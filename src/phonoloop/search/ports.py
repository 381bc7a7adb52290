"""What searching asks of the records: a look at the texts that keeps nobody waiting.

Texts are written like everything else that is recorded, in a unit of work of the records
(`phonoloop.data.model.IndexedText`). This is how they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from phonoloop.data.model import IndexedText, Provenance, SearchIndex, Split

#: the name of the one collection
COLLECTION = "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which texts may be found; None lets everything through.

    Attributes:
        speaker_id: the name as the records have it.
        min_snr_db: of the clip.
        date_from, date_to: when the recording was taken in; from this moment on, and before that one.
    """

    split: Split | None = None
    speaker_id: str | None = None
    provenance: Provenance | None = None
    min_snr_db: float | None = None
    date_from: datetime | None = None
    date_to: datetime | None = None

    def lets_through(self, text: IndexedText) -> bool:
        return (
            self.split in (None, text.split)
            and self.speaker_id in (None, text.speaker_id)
            and self.provenance in (None, text.provenance)
            and (self.min_snr_db is None or text.snr_db >= self.min_snr_db)
            and (self.date_from is None or text.recorded_at >= self.date_from)
            and (self.date_to is None or text.recorded_at < self.date_to)
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """Words to look up, each with how much it says; a text is found by any of them.

    Attributes:
        words: as written, in scoring form. plain: without marks. pairs: neighbours without marks.
        ranked: whether the best come first; else the newest do, which is all one can ask of words that
            stand in most texts.
    """

    words: Mapping[str, float] = field(default_factory=dict)
    plain: Mapping[str, float] = field(default_factory=dict)
    pairs: Mapping[str, float] = field(default_factory=dict)
    ranked: bool = True

    def columns(self) -> dict[str, Mapping[str, float]]:
        """Those of the three that ask for anything."""
        named = {"words": self.words, "plain": self.plain, "pairs": self.pairs}
        return {name: terms for name, terms in named.items() if terms}


@dataclass(frozen=True, slots=True)
class WordHit:
    """A text that holds a term, with what it is judged by; see `IndexedText`."""

    text_id: str
    words: str
    plain: str
    embedder: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of some texts since an earlier look."""

    changed: Sequence[IndexedText]
    gone: Sequence[str]


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text with what is recorded around it.

    Attributes:
        recording, speaker: fields of theirs; empty where it has been forgotten in the meantime.
    """

    text: IndexedText
    recording: Mapping[str, Any]
    speaker: Mapping[str, Any]


class Texts(Protocol):
    """The texts of the records, read only.

    Raises (any method):
        UnavailableError: the records cannot be reached.
    """

    def index(self) -> SearchIndex | None:
        """What the texts are embedded with now."""
        ...

    def changes(self, since: int, visit: Callable[[Changes], object]) -> int:
        """Hands over every text that changed after `since` (0: every text), in batches, in no order; says
        what to ask with the next time. What changed meanwhile may be handed over again then."""
        ...

    def find_words(self, terms: Terms, filters: Filters, *, limit: int) -> list[WordHit]:
        """Texts that hold any of the terms, best first."""
        ...

    def read(self, text_ids: Sequence[str]) -> list[FoundText]:
        """Those of them that are there, in that order."""
        ...
