"""The four storage ports. Each has one contract suite in `phonoloop.testing.contracts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from phonoloop.core.events import Event

E = TypeVar("E")


# ---------------------------------------------------------------- objects


@dataclass(frozen=True, slots=True)
class BlobInfo:
    key: str
    size_bytes: int


class BlobStore(Protocol):
    """Objects by key. Keys are relative POSIX paths without `.`, `..` or empty parts."""

    def put(self, key: str, source: bytes | Path) -> BlobInfo:
        """Stores bytes or a file's content; readers see the old object or the whole new one, also
        after a power cut. `InputError` `blob.key` for a key that is not one."""
        ...

    def get(self, key: str) -> bytes:
        """`NotFoundError` `blob.missing` where there is none."""
        ...

    def local_path(self, key: str) -> Path:
        """A file with the object's content, to be read only. `NotFoundError` where there is none."""
        ...

    def stat(self, key: str) -> BlobInfo | None: ...

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """In key order. A prefix is a whole folder (`audio/raw/`) or empty."""
        ...

    def delete(self, key: str) -> None:
        """Nothing happens where there is none."""
        ...


# ---------------------------------------------------------------- records


class Transaction(Protocol):
    """One unit of work: all of it is kept, with its events, or none.

    Entities are the frozen dataclasses of `phonoloop.data.model`, `phonoloop.jobs.model` and
    `phonoloop.registry.model`. The first field of each is its key, a string.

    Criteria are keyword arguments: `field=value` (None matches null), `field__in=[…]`,
    `field__lt=`, `field__lte=`, `field__gt=`, `field__gte=`.
    """

    def get(self, kind: type[E], key: str) -> E | None: ...

    def put(self, *entities: Any) -> None:
        """Inserts, or replaces what has the same key. `SplitConflictError` where a rule of the
        splits forbids it, `ConflictError` where a uniqueness rule does."""
        ...

    def add(self, entity: Any) -> bool:
        """Inserts unless the key is there already; says whether it did."""
        ...

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
        """In the order of a field, then of the key; by key alone where no field is named."""
        ...

    def total(self, kind: type, field: str = "", /, **criteria: Any) -> float:
        """The sum of a numeric field over what matches, or the number of matches without one."""
        ...

    def delete(self, kind: type, key: str) -> None: ...

    def emit(self, event: Event) -> None:
        """Puts an event in the outbox: it is told if, and only if, this unit of work is kept."""
        ...


class Records(Protocol):
    """The records. Units of work are serialisable; one that lost a race raises `UnavailableError`
    `records.conflict` and may be tried again."""

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def drain_outbox(self, bus: EventBus, *, limit: int = 500) -> int:
        """Publishes what is in the outbox in the order it was emitted, then forgets it; says how
        many. Killed in between, the same events are published again: the bus knows them by id."""
        ...

    def close(self) -> None: ...


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one consumer.

    Attributes:
        attempt: 1 on the first try.
        token: what the bus needs to settle it; a token of an expired lease settles nothing.
    """

    event: Event
    consumer: str
    attempt: int
    token: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a consumer gave up on."""

    letter_id: str
    consumer: str
    event: Event
    code: str
    reason: str
    attempts: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LogEntry:
    offset: int
    event: Event


class EventBus(Protocol):
    """At-least-once delivery to durable consumers, each of which sees every event of its types
    from the beginning of the log."""

    def publish(self, events: Sequence[Event]) -> None:
        """An event whose id is known is not published again."""
        ...

    def receive(
        self, consumer: str, types: Sequence[str], *, limit: int = 1, lease_s: float = 60.0
    ) -> list[Delivery]:
        """The oldest that are due, now leased to the caller; empty where there is none.
        Unsettled when the lease ends, they are delivered again."""
        ...

    def ack(self, delivery: Delivery) -> None: ...

    def retry(self, delivery: Delivery, *, delay_s: float, code: str, reason: str) -> None:
        """Delivers it again after a while; after the last attempt it becomes a dead letter."""
        ...

    def bury(self, delivery: Delivery, *, code: str, reason: str) -> None:
        """A dead letter at once: trying again cannot help."""
        ...

    def end_leases(self) -> int:
        """Ends every lease now and says how many: for a start at which whoever held them is known to be
        gone. The attempts they were count."""
        ...

    def dead(self, consumer: str | None = None) -> list[DeadLetter]: ...

    def replay(self, letter_id: str) -> None:
        """Delivers a dead letter anew. `NotFoundError` `event.no_dead_letter` where there is none."""
        ...

    def tail(self, *, after: int = 0, limit: int = 100) -> list[LogEntry]: ...


# ---------------------------------------------------------------- vectors


@dataclass(frozen=True, slots=True)
class VectorPoint:
    """`vector`: (d,) float32, not all zero. `payload`: JSON values."""

    point_id: str
    vector: np.ndarray
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorHit:
    point_id: str
    score: float
    payload: Mapping[str, Any]


#: from the first on, and below the second; None for no bound
Range = tuple[float | None, float | None]


class VectorIndex(Protocol):
    """Nearest neighbours by cosine."""

    def upsert(self, points: Sequence[VectorPoint]) -> None: ...

    def search(
        self,
        vector: np.ndarray,
        *,
        k: int,
        equals: Mapping[str, Any] | None = None,
        ranges: Mapping[str, Range] | None = None,
    ) -> list[VectorHit]:
        """At most k, best first, among those whose payload has these values, and numbers in these ranges.
        What the filter keeps out takes nobody's place."""
        ...

    def delete(self, point_ids: Sequence[str]) -> None: ...

    def count(self) -> int: ...

    def close(self) -> None: ...
