"""Events in memory: for tests, and as the plainest statement of what the bus does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from phonoloop.adapters.bus_letters import ABANDONED, ABANDONED_REASON, letter_id, no_dead_letter
from phonoloop.core.clock import utc_now
from phonoloop.core.events import Event
from phonoloop.core.ports import DeadLetter, Delivery, LogEntry


@dataclass(frozen=True, slots=True)
class _InFlight:
    """One event that a consumer has begun with: leased until, or due again at, `due_at`."""

    attempt: int
    due_at: datetime
    token: str


class MemoryEventBus:
    """A log, and for each consumer the events it has begun with.

    Args:
        max_attempts: after so many an event is a dead letter.
        max_unanswered: the same where the last one had no answer; `max_attempts` if None.
        clock: what time it is; tests pass their own.
    """

    def __init__(
        self,
        *,
        max_attempts: int = 5,
        max_unanswered: int | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._max_attempts = max_attempts
        self._max_unanswered = max_unanswered or max_attempts
        self._clock = clock
        self._lock = threading.RLock()
        self._log: list[Event] = []
        self._known: set[str] = set()
        self._seen: dict[tuple[str, str], int] = {}
        self._in_flight: dict[str, dict[int, _InFlight]] = {}
        self._dead: dict[str, DeadLetter] = {}

    def publish(self, events: Sequence[Event]) -> None:
        with self._lock:
            for event in [Event.from_json(event.to_json()) for event in events]:
                if event.id not in self._known:
                    self._known.add(event.id)
                    self._log.append(event)

    def receive(
        self, consumer: str, types: Sequence[str], *, limit: int = 1, lease_s: float = 60.0
    ) -> list[Delivery]:
        with self._lock:
            self._bury_abandoned(consumer)
            found = sorted(self._again(consumer, types) + self._new(consumer, types, limit))[:limit]
            return [self._lease(consumer, offset, lease_s) for offset in found]

    def ack(self, delivery: Delivery) -> None:
        with self._lock:
            self._settle(delivery)

    def retry(self, delivery: Delivery, *, delay_s: float, code: str, reason: str) -> None:
        with self._lock:
            offset = self._settle(delivery)
            if offset is None:
                return
            if delivery.attempt >= self._max_attempts:
                self._add_letter(delivery, code, reason)
            else:
                due_at = self._clock() + timedelta(seconds=delay_s)
                self._flights(delivery.consumer)[offset] = _InFlight(delivery.attempt, due_at, "")

    def bury(self, delivery: Delivery, *, code: str, reason: str) -> None:
        with self._lock:
            if self._settle(delivery) is not None:
                self._add_letter(delivery, code, reason)

    def end_leases(self) -> int:
        with self._lock:
            now, ended = self._clock(), 0
            for flights in self._in_flight.values():
                for offset, flight in flights.items():
                    if flight.token and flight.due_at > now:
                        flights[offset] = _InFlight(flight.attempt, now, "")
                        ended += 1
            return ended

    def dead(self, consumer: str | None = None) -> list[DeadLetter]:
        with self._lock:
            return [d for d in self._dead.values() if consumer in (None, d.consumer)]

    def replay(self, letter_id: str) -> None:
        with self._lock:
            letter = self._dead.pop(letter_id, None)
            if letter is None:
                raise no_dead_letter(letter_id)
            offset = next(i for i, event in enumerate(self._log, 1) if event.id == letter.event.id)
            self._flights(letter.consumer)[offset] = _InFlight(0, self._clock(), "")

    def tail(self, *, after: int = 0, limit: int = 100) -> list[LogEntry]:
        with self._lock:
            start = max(after, 0)
            return [LogEntry(i, e) for i, e in enumerate(self._log[start : start + limit], start + 1)]

    def _flights(self, consumer: str) -> dict[int, _InFlight]:
        return self._in_flight.setdefault(consumer, {})

    def _again(self, consumer: str, types: Sequence[str]) -> list[int]:
        now = self._clock()
        flights = self._flights(consumer).items()
        return [i for i, flight in flights if flight.due_at <= now and self._log[i - 1].type in types]

    def _new(self, consumer: str, types: Sequence[str], limit: int) -> list[int]:
        starts = {kind: self._seen.get((consumer, kind), 0) for kind in types}
        found: list[int] = []
        for offset in range(min(starts.values(), default=len(self._log)) + 1, len(self._log) + 1):
            if len(found) == limit:
                break
            if offset > starts.get(self._log[offset - 1].type, offset):
                found.append(offset)
        return found

    def _lease(self, consumer: str, offset: int, lease_s: float) -> Delivery:
        event = self._log[offset - 1]
        known = self._flights(consumer).get(offset)
        if known is None:
            self._seen[(consumer, event.type)] = offset
        attempt = 1 if known is None else known.attempt + 1
        flight = _InFlight(attempt, self._clock() + timedelta(seconds=lease_s), uuid4().hex)
        self._flights(consumer)[offset] = flight
        return Delivery(event, consumer, attempt, f"{offset}:{flight.token}")

    def _settle(self, delivery: Delivery) -> int | None:
        """Forgets a delivery that is still leased under this token; its offset, or None."""
        offset, _, token = delivery.token.partition(":")
        flight = self._flights(delivery.consumer).get(int(offset))
        if flight is None or flight.token != token or flight.due_at <= self._clock():
            return None
        del self._flights(delivery.consumer)[int(offset)]
        return int(offset)

    def _bury_abandoned(self, consumer: str) -> None:
        now = self._clock()
        for offset, flight in list(self._flights(consumer).items()):
            if flight.attempt >= self._max_unanswered and flight.due_at <= now:
                del self._flights(consumer)[offset]
                delivery = Delivery(self._log[offset - 1], consumer, flight.attempt, "")
                self._add_letter(delivery, ABANDONED, ABANDONED_REASON)

    def _add_letter(self, delivery: Delivery, code: str, reason: str) -> None:
        letter = DeadLetter(
            letter_id=letter_id(delivery.consumer, delivery.event.id),
            consumer=delivery.consumer,
            event=delivery.event,
            code=code,
            reason=reason,
            attempts=delivery.attempt,
            at=self._clock(),
        )
        self._dead[letter.letter_id] = letter
