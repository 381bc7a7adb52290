"""The texts of records in memory: for tests, and as the plainest statement of how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.ports import Transaction
from phonoloop.data.model import IndexedText, Recording, SearchIndex, Speaker
from phonoloop.search.ports import COLLECTION, Changes, Filters, FoundText, Terms, WordHit


class MemoryTexts:
    """Compares with what it saw at the last look."""

    def __init__(self, records: MemoryRecords) -> None:
        self._records = records
        self._numbers: dict[str, tuple[int, IndexedText | None]] = {}
        self._last = 0

    def index(self) -> SearchIndex | None:
        with self._records.transaction() as tx:
            return tx.get(SearchIndex, COLLECTION)

    def changes(self, since: int, visit: Callable[[Changes], object]) -> int:
        with self._records.transaction() as tx:
            self._number({text.text_id: text for text in tx.find(IndexedText)})
        fresh = {name: text for name, (number, text) in self._numbers.items() if number > since}
        if fresh:
            changed = [text for text in fresh.values() if text is not None]
            visit(Changes(changed, [name for name, text in fresh.items() if text is None]))
        return self._last

    def _number(self, now: Mapping[str, IndexedText]) -> None:
        for name in {*now, *self._numbers}:
            _, before = self._numbers.get(name, (0, None))
            if before != now.get(name):
                self._last += 1
                self._numbers[name] = (self._last, now.get(name))

    def find_words(self, terms: Terms, filters: Filters, *, limit: int) -> list[WordHit]:
        with self._records.transaction() as tx:
            found = [(text, _weight(text, terms)) for text in tx.find(IndexedText)]
        found = [(text, weight) for text, weight in found if weight > 0.0 and filters.lets_through(text)]
        found.sort(key=lambda pair: -pair[1] if terms.ranked else 0.0)
        return [WordHit(t.text_id, t.words, t.plain, t.embedder, t.vector) for t, _ in found[:limit]]

    def read(self, text_ids: Sequence[str]) -> list[FoundText]:
        with self._records.transaction() as tx:
            texts = [text for name in text_ids if (text := tx.get(IndexedText, name))]
            return [_found(tx, text) for text in texts]


def _weight(text: IndexedText, terms: Terms) -> float:
    """What the terms that it holds say together."""
    total = 0.0
    for column, wanted in terms.columns().items():
        there = set(getattr(text, column).split(" "))
        total += sum(weight for term, weight in wanted.items() if term in there)
    return total


def _found(tx: Transaction, text: IndexedText) -> FoundText:
    recording, speaker = tx.get(Recording, text.audio_id), tx.get(Speaker, text.speaker_id)
    return FoundText(text, asdict(recording) if recording else {}, asdict(speaker) if speaker else {})
