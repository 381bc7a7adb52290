"""Records in memory: for tests, and as the plainest statement of what records do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from phonoloop.adapters import refusals
from phonoloop.adapters.entities import (
    OPERATORS,
    REFERENCES,
    TABLES,
    Criterion,
    fields_of,
    key_name,
    key_of,
    numeric,
    parse_criteria,
    searchable,
    values_of,
)
from phonoloop.core.errors import UnavailableError
from phonoloop.core.events import Event
from phonoloop.core.ports import EventBus
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Speaker, Split
from phonoloop.jobs.model import Job, JobState

E = TypeVar("E")
_ABSENT = object()


class MemoryRecords:
    """Units of work run one at a time, so they are serialisable; a failed one is undone."""

    def __init__(self) -> None:
        self._tables: dict[type, dict[str, Any]] = {kind: {} for kind in TABLES}
        self._outbox: list[Event] = []
        self._lock = threading.RLock()
        self._drain_lock = threading.Lock()
        self._busy = False
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self._lock:
            self._begin()
            work = MemoryTransaction(self._tables)
            try:
                yield work
            except BaseException:
                work.undo()
                raise
            else:
                self._outbox.extend(work.events)
            finally:
                self._busy = False

    def _begin(self) -> None:
        if self._closed:
            raise UnavailableError("the records are closed", code="records.closed")
        if self._busy:
            raise refusals.nested()
        self._busy = True

    def drain_outbox(self, bus: EventBus, *, limit: int = 500) -> int:
        with self._drain_lock:
            with self._lock:
                if self._busy:
                    raise refusals.nested()
                events = self._outbox[:limit]
            if events:
                bus.publish(events)
            with self._lock:
                del self._outbox[: len(events)]
        return len(events)

    def close(self) -> None:
        self._closed = True


class MemoryTransaction:
    """Writes at once and remembers how to take it back."""

    def __init__(self, tables: dict[type, dict[str, Any]]) -> None:
        self._tables = tables
        self._undo: list[tuple[type, str, Any]] = []
        self.events: list[Event] = []

    def get(self, kind: type[E], key: str) -> E | None:
        return self._table(kind).get(key)

    def put(self, *entities: Any) -> None:
        mark = len(self._undo)
        try:
            for entity in entities:
                self._put(entity)
        except BaseException:
            self.undo(mark)
            raise

    def add(self, entity: Any) -> bool:
        if key_of(entity) in self._table(type(entity)):
            return False
        self.put(entity)
        return True

    def find(
        self,
        kind: type[E],
        /,
        *,
        order_by: str = "",
        descending: bool = False,
        limit: int | None = None,
        **criteria: Any,
    ) -> list[E]:
        order = searchable(kind, order_by or key_name(kind)).name

        def rank(entity: E) -> tuple:
            value = getattr(entity, order)
            return (value is not None, value if value is not None else "", key_of(entity))

        found = sorted(self._matching(kind, criteria), key=rank, reverse=descending)
        return found[:limit]

    def total(self, kind: type, field: str = "", /, **criteria: Any) -> float:
        found = self._matching(kind, criteria)
        if not field:
            return float(len(found))
        name = numeric(kind, field).name
        return float(sum(getattr(entity, name) or 0 for entity in found))

    def delete(self, kind: type, key: str) -> None:
        table = self._table(kind)
        for (holder, name), target in REFERENCES.items():
            if target is kind and any(getattr(e, name) == key for e in self._tables[holder].values()):
                raise refusals.missing_reference(key)
        if key in table:
            self._undo.append((kind, key, table.pop(key)))

    def emit(self, event: Event) -> None:
        self.events.append(Event.from_json(event.to_json()))

    def undo(self, mark: int = 0) -> None:
        """Takes back every write after the mark."""
        while len(self._undo) > mark:
            kind, key, before = self._undo.pop()
            if before is _ABSENT:
                del self._tables[kind][key]
            else:
                self._tables[kind][key] = before

    def _table(self, kind: type) -> dict[str, Any]:
        fields_of(kind)  # says so where it is not a recorded class
        return self._tables[kind]

    def _matching(self, kind: type[E], criteria: dict[str, Any]) -> list[E]:
        parsed = parse_criteria(kind, criteria)
        return [e for e in self._table(kind).values() if all(_holds(c, e) for c in parsed)]

    def _put(self, entity: Any) -> None:
        kind = type(entity)
        kept = kind(**values_of(entity))
        key = key_of(kept)
        before = self._tables[kind].get(key, _ABSENT)
        # the rules, then the references: the order in which a database looks
        rule = _RULES.get(kind)
        if rule is not None:
            rule(self._tables, kept)
        self._check_references(kept)
        self._tables[kind][key] = kept
        self._undo.append((kind, key, before))

    def _check_references(self, entity: Any) -> None:
        for (holder, name), target in REFERENCES.items():
            if isinstance(entity, holder) and getattr(entity, name) not in self._tables[target]:
                raise refusals.missing_reference(key_of(entity))


def _holds(criterion: Criterion, entity: Any) -> bool:
    value = getattr(entity, criterion.field.name)
    if criterion.operation == "eq":
        return value == criterion.value
    if criterion.operation == "in":
        return value in criterion.value
    if value is None or criterion.value is None:
        return False
    return OPERATORS[criterion.operation](value, criterion.value)


def _speaker_rule(tables: dict[type, dict[str, Any]], speaker: Speaker) -> None:
    before = tables[Speaker].get(speaker.speaker_id)
    if before is None or before.split == speaker.split:
        return
    if any(r.speaker_id == speaker.speaker_id for r in tables[Recording].values()):
        raise refusals.split_conflict(speaker.speaker_id)


def _split_of(tables: dict[type, dict[str, Any]], kind: type, key: str) -> set[Split]:
    entity = tables[kind].get(key)
    return set() if entity is None else {entity.split}


def _recording_rule(tables: dict[type, dict[str, Any]], recording: Recording) -> None:
    clips = {clip.split for clip in tables[Clip].values() if clip.audio_id == recording.audio_id}
    if (clips | _split_of(tables, Speaker, recording.speaker_id)) - {recording.split}:
        raise refusals.split_conflict(recording.audio_id)


def _clip_rule(tables: dict[type, dict[str, Any]], clip: Clip) -> None:
    tested = clip.split in (Split.VAL, Split.TEST) and clip.status == ClipStatus.ACCEPTED
    if tested and clip.provenance == Provenance.MACHINE:
        raise refusals.machine_text(clip.clip_id)
    others = _split_of(tables, Speaker, clip.speaker_id) | _split_of(tables, Recording, clip.audio_id)
    if others - {clip.split}:
        raise refusals.split_conflict(clip.clip_id)


def _job_rule(tables: dict[type, dict[str, Any]], job: Job) -> None:
    if job.state != JobState.RUNNING:
        return
    others = (o for o in tables[Job].values() if o.slot == job.slot and o.job_id != job.job_id)
    if any(other.state == JobState.RUNNING for other in others):
        raise refusals.slot_taken(job.job_id)


_RULES: dict[type, Callable[[dict[type, dict[str, Any]], Any], None]] = {
    Speaker: _speaker_rule,
    Recording: _recording_rule,
    Clip: _clip_rule,
    Job: _job_rule,
}
