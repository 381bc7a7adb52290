"""Searching, put together: the texts of the records, an index of their vectors, an embedder."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.app.settings import Settings
from phonoloop.core.errors import ConfigError, InputError
from phonoloop.core.ports import VectorIndex
from phonoloop.data.model import Provenance, SearchIndex, Split
from phonoloop.data.split import speaker_id_of
from phonoloop.data.stores import Stores
from phonoloop.search import index
from phonoloop.search.embedder import Embedder
from phonoloop.search.own import SoundEmbedder
from phonoloop.search.ports import Filters
from phonoloop.search.rarity import Rarity
from phonoloop.search.searcher import FILTERABLE, FileMark, Hit, Query, Searcher
from phonoloop.search.source import EmbedderSource

E = TypeVar("E", bound=StrEnum)
Progress = Callable[[float], None]
#: counting the texts after each new one would cost more than indexing it
MAINTAIN_S = 5.0


class Searching:
    """What the commands, HTTP and the loop search and index with. Nothing is opened before it is needed.

    Raises (any method):
        ConfigError: `config.bad_value`, `config.missing_package`, for an index or embedder that is not there.
    """

    def __init__(self, settings: Settings, stores: Stores, texts: SqlTexts) -> None:
        self._settings, self._stores, self._texts = settings, stores, texts
        self._lock = threading.Lock()
        self._searcher: Searcher | None = None
        self._maintained_s = float("-inf")
        self._vectors: VectorIndex | None = None
        self.source = EmbedderSource(stores, texts, lambda rarity: _embedder(settings.embedder, rarity))

    def search(self, query: Query) -> list[Hit]:
        with self._lock:
            if self._searcher is None:
                self._vectors, mark = self._open_vectors()
                self._searcher = Searcher(self._texts, self._vectors, self.source, mark)
        return self._searcher.search(query)

    def index(self, audio_id: str) -> None:
        """The index stage, and what follows from there being more texts."""
        index.index_transcript(self._stores, audio_id, self.source.for_indexing)
        if clock.monotonic() - self._maintained_s > MAINTAIN_S:
            self.maintain()

    def maintain(self) -> None:
        """Learns anew where there are twice as many texts as last time; embeds anew what is out of date."""
        with self._stores.records.transaction() as tx:
            due = index.wants_training(tx)
        if due:
            index.train(self._stores, self.source.make)
        index.refresh(self._stores, self.source.for_indexing)
        self._maintained_s = clock.monotonic()

    def rebuild(self, on_progress: Progress) -> int:
        return index.rebuild(self._stores, self.source.for_indexing, on_progress=on_progress)

    def retrain(self, on_progress: Progress) -> SearchIndex:
        learnt = index.train(self._stores, self.source.make)
        index.refresh(self._stores, self.source.for_indexing, on_progress=on_progress)
        return learnt

    def close(self) -> None:
        if self._vectors is not None:
            self._vectors.close()

    def _open_vectors(self) -> tuple[VectorIndex, FileMark | None]:
        if self._settings.vector_index == "memory":
            return CodedVectorIndex(filterable=FILTERABLE), None
        if self._settings.vector_index != "qdrant-edge":
            raise ConfigError(
                f"there is no vector index {self._settings.vector_index!r}",
                code="config.bad_value",
                subject="VECTOR_INDEX",
                hint="Say memory or qdrant-edge",
            )
        from phonoloop.adapters.vectors_qdrant import QdrantEdgeIndex

        folder = self._settings.data_dir / "index" / "texts"
        return QdrantEdgeIndex(folder), FileMark(folder / "followed-to")


def _embedder(name: str, rarity: Rarity) -> Embedder:
    if not name:
        return SoundEmbedder(rarity)
    from phonoloop.search.transformer import TransformerEmbedder  # torch, where it is asked for

    return TransformerEmbedder.load(name)


# ---------------------------------------------------------------- what people ask


def query_of(
    text: str,
    *,
    k: int = 20,
    min_score: float | None = None,
    split: str | None = None,
    speaker: str | None = None,
    min_snr_db: float | None = None,
    date_from: str | None = None,
    date_to: str | None = None,
    provenance: str | None = None,
) -> Query:
    """A query from what a person typed; empty means that it was not asked for.

    Raises:
        InputError: `search.query`, `search.filter`, `speaker.name`.
    """
    filters = Filters(
        split=_one_of(Split, "split", split),
        speaker_id=speaker_id_of(speaker) if speaker else None,
        provenance=_one_of(Provenance, "provenance", provenance),
        min_snr_db=min_snr_db,
        date_from=_moment("date_from", date_from, end=False),
        date_to=_moment("date_to", date_to, end=True),
    )
    return Query(text=text, k=k, min_score=min_score, filters=filters)


def _one_of(kind: type[E], name: str, given: str | None) -> E | None:
    if not given:
        return None
    if given not in list(kind):
        raise _no_filter(name, given, f"Say {', '.join(kind)}")
    return kind(given)


def _moment(name: str, given: str | None, *, end: bool) -> datetime | None:
    """A day, from its first moment or to its last, or a moment; in UTC where it names no zone."""
    if not given:
        return None
    try:
        if len(given) <= len("2026-11-20"):
            day = date.fromisoformat(given) + timedelta(days=1 if end else 0)
            return datetime.combine(day, time(), UTC)
        moment = datetime.fromisoformat(given)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _no_filter(name, given, "Give 2026-11-20, or 2026-11-20T08:30:00+07:00") from error


def _no_filter(name: str, given: str, hint: str) -> InputError:
    return InputError(
        f"one cannot filter by {name} = {given[:40]!r}", code="search.filter", subject=name, hint=hint
    )


def hit_view(hit: Hit) -> dict[str, Any]:
    """A hit as JSON values: the same for the command line and for HTTP."""
    text, recording, speaker = hit.found.text, hit.found.recording, hit.found.speaker
    return {
        "score": hit.score,
        "exact": hit.exact,
        "held": hit.held,
        "audio_id": text.audio_id,
        "clip_id": text.clip_id,
        "start_ms": hit.start_ms,
        "end_ms": hit.end_ms,
        "text_clean": text.text,
        "snippet": hit.snippet.text,
        "matches": [list(span) for span in hit.snippet.matches],
        "speaker": speaker.get("name", text.speaker_id),
        "speaker_id": text.speaker_id,
        "split": text.split.value,
        "provenance": text.provenance.value,
        "revision": text.revision,
        "snr_db": text.snr_db,
        "recorded_at": text.recorded_at.isoformat(),
        "original_name": recording.get("original_name", ""),
        "path": recording.get("path", ""),
    }
