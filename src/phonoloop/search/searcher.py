"""Searching by likeness and by exact words at once.

Two lists of candidates are made under the same filters: the nearest texts by the cosine of their vectors, and
those that hold the query's rarest words. Both lists are then judged alike, which leaves nothing to the ranks
that a text happens to have in them: by the cosine, plus a bonus for the share of the query's words that the
text holds, with or without marks, and one for the share that it holds as they were written. The cosine alone
would put a short text with half of the words before a long one with all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.core.ports import Range, VectorIndex, VectorPoint
from phonoloop.core.units import samples_to_ms
from phonoloop.data.model import IndexedText
from phonoloop.search.features import word_hash
from phonoloop.search.index import as_vector
from phonoloop.search.ports import Changes, Filters, FoundText, Texts, WordHit
from phonoloop.search.rarity import Rarity
from phonoloop.search.snippets import Snippet, snippet
from phonoloop.search.source import EmbedderSource
from phonoloop.search.terms import terms_of
from phonoloop.search.words import plain, query_words

MOST_HITS = 1_000
#: what a text gains that holds every word of the query as written; chosen on sentences nothing is measured on
_EXACT_BONUS = 0.2
#: the same, with or without its marks
_HELD_BONUS = 0.3
#: a hit has at least this cosine, or holds this share of what the query says: below both, two texts have no
#: more in common than any two
_LEAST_SCORE = 0.3
_LEAST_HELD = 0.3
_FEWEST_CANDIDATES = 60
#: payload values that the vectors are filtered by
FILTERABLE = ("embedder", "split", "speaker_id", "provenance", "snr_db", "recorded_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for.

    Attributes:
        k: how many hits at most.
        min_score: least cosine of a hit, -1 to 1. Where it is None, a hit has a cosine of at least 0.3, or
            holds as much of what the query says: rare words say more.
    """

    text: str
    k: int = 20
    min_score: float | None = None
    filters: Filters = field(default_factory=Filters)

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MOST_HITS:
            raise _bad(f"{self.k} hits cannot be asked for", "top_k", f"Ask for 1 to {MOST_HITS}")
        if self.min_score is not None and not -1.0 <= self.min_score <= 1.0:
            raise _bad(f"{self.min_score} is no cosine", "min_score", "Give a number from -1 to 1")


def _bad(what: str, subject: str, hint: str) -> InputError:
    return InputError(what, code="search.query", subject=subject, hint=hint)


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found.

    Attributes:
        score: cosine of query and text.
        exact: share of the query's words that it holds as they were written, rare ones counting more.
        held: the same, with or without marks.
        found: with its recording and speaker.
    """

    score: float
    exact: float
    held: float
    found: FoundText
    snippet: Snippet

    @property
    def start_ms(self) -> int:
        return samples_to_ms(self.found.text.start_sample)

    @property
    def end_ms(self) -> int:
        return samples_to_ms(self.found.text.end_sample)


@dataclass(frozen=True, slots=True)
class _Candidate:
    text_id: str
    score: float
    exact: float
    held: float

    @property
    def rank(self) -> tuple[float, str]:
        return (-self.score - _EXACT_BONUS * self.exact - _HELD_BONUS * self.held, self.text_id)


class FileMark:
    """Up to where an index that outlives its process has followed the records. Written after the index: what
    was followed and not marked is followed again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """0 where nothing readable is there: then all is followed again."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def write(self, mark: int) -> None:
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(str(mark))
        unfinished.replace(self._path)


class Searcher:
    """Many threads may share one. It follows the records: what was indexed before a search began is found.

    Args:
        vectors: an index that nobody else writes to; filled from the records.
        mark: how far an index that is kept on disk has been filled.
    """

    def __init__(
        self, texts: Texts, vectors: VectorIndex, source: EmbedderSource, mark: FileMark | None = None
    ) -> None:
        self._texts, self._vectors, self._source = texts, vectors, source
        self._lock = threading.Lock()
        self._kept_mark = mark
        self._mark = mark.read() if mark and vectors.count() else 0

    def search(self, query: Query) -> list[Hit]:
        """Best first.

        Raises:
            InputError: `search.empty`, where the query holds no word.
            ConflictError: `search.embedder_changed`.
        """
        words = query_words(query.text)
        if not words:
            raise InputError(
                "there is no word in this query",
                code="search.empty",
                subject=query.text[:40],
                hint="Ask for letters or digits; emoji and punctuation are not indexed",
            )
        embedder = self._source.for_searching()
        if embedder is None:
            return []
        self._catch_up()
        (vector,) = embedder.embed([" ".join(words)])
        candidates = self._candidates(query, words, vector, embedder.version)
        return self._hits(_chosen(candidates, query), words)

    def _catch_up(self) -> None:
        with self._lock:
            before = self._mark
            self._mark = self._texts.changes(before, self._follow)
            if self._kept_mark and self._mark != before:
                self._kept_mark.write(self._mark)

    def _follow(self, changes: Changes) -> None:
        there = [text for text in changes.changed if text.vector]
        gone = [text.text_id for text in changes.changed if not text.vector]
        self._vectors.delete([*changes.gone, *gone])
        self._vectors.upsert([VectorPoint(t.text_id, as_vector(t.vector), _payload(t)) for t in there])

    def _candidates(
        self, query: Query, words: Sequence[str], vector: np.ndarray, version: str
    ) -> list[_Candidate]:
        most = max(_FEWEST_CANDIDATES, 3 * query.k)
        says = _Says(words, self._source.rarity)
        found = {
            hit.point_id: says.judge(hit.point_id, hit.score, hit.payload["words"], hit.payload["plain"])
            for hit in self._near(query.filters, vector, version, most)
        }
        for hit in self._texts.find_words(terms_of(words, self._source.rarity), query.filters, limit=most):
            if hit.text_id not in found:
                score = _cosine(hit, vector, version)
                found[hit.text_id] = says.judge(hit.text_id, score, hit.words, hit.plain)
        return list(found.values())

    def _near(self, filters: Filters, vector: np.ndarray, version: str, most: int) -> list[Any]:
        if not vector.any():
            return []
        equals = {"embedder": version, **_equals(filters)}
        if self._vectors.count() == 0:
            return []
        return self._vectors.search(vector, k=most, equals=equals, ranges=_ranges(filters))

    def _hits(self, chosen: Sequence[_Candidate], words: Sequence[str]) -> list[Hit]:
        found = {one.text.text_id: one for one in self._texts.read([c.text_id for c in chosen])}
        return [
            _hit(candidate, found[candidate.text_id], words)
            for candidate in chosen
            if candidate.text_id in found  # else it was forgotten just now
        ]


def _hit(candidate: _Candidate, found: FoundText, words: Sequence[str]) -> Hit:
    rounded = (round(value, 4) for value in (candidate.score, candidate.exact, candidate.held))
    return Hit(*rounded, found, snippet(found.text.text, words))


class _Says:
    """How much of what a query says is said by a text, word by word."""

    def __init__(self, words: Sequence[str], rarity: Rarity) -> None:
        self._words = _shares("word", words, rarity)
        self._plain = _shares("plain", plain(words), rarity)

    def judge(self, text_id: str, score: float, words: str, bare: str) -> _Candidate:
        exact = sum(self._words.get(word, 0.0) for word in set(words.split(" ")))
        held = sum(self._plain.get(word, 0.0) for word in set(bare.split(" ")))
        return _Candidate(text_id, score, exact, held)


def _shares(kind: str, words: Sequence[str], rarity: Rarity) -> dict[str, float]:
    """What each word says of all that is said: together 1."""
    each = list(dict.fromkeys(words))
    weights = rarity.of(np.array([word_hash(kind, word) for word in each], np.uint64)) + 1e-3
    return dict(zip(each, (weights / weights.sum()).tolist(), strict=True))


def _chosen(candidates: Sequence[_Candidate], query: Query) -> list[_Candidate]:
    def passes(one: _Candidate) -> bool:
        if query.min_score is not None:
            return one.score >= query.min_score
        return one.score >= _LEAST_SCORE or one.held >= _LEAST_HELD

    return sorted(filter(passes, candidates), key=lambda one: one.rank)[: query.k]


def _cosine(text: WordHit, vector: np.ndarray, version: str) -> float:
    """0 where the two are not to be compared."""
    if text.embedder != version or not text.vector:
        return 0.0
    return float(as_vector(text.vector) @ vector)


def _payload(text: IndexedText) -> dict[str, Any]:
    return {
        "audio_id": text.audio_id,
        "text_clean": text.text,
        "words": text.words,
        "plain": text.plain,
        "embedder": text.embedder,
        "split": str(text.split),
        "speaker_id": text.speaker_id,
        "provenance": str(text.provenance),
        "snr_db": text.snr_db,
        "recorded_at": text.recorded_at.timestamp(),
    }


def _equals(filters: Filters) -> dict[str, str]:
    asked = {
        "split": filters.split,
        "speaker_id": filters.speaker_id,
        "provenance": filters.provenance,
    }
    return {name: str(value) for name, value in asked.items() if value is not None}


def _ranges(filters: Filters) -> Mapping[str, Range]:
    start, end = (
        None if moment is None else moment.astimezone(UTC).timestamp()
        for moment in (filters.date_from, filters.date_to)
    )
    return {"snr_db": (filters.min_snr_db, None), "recorded_at": (start, end)}
