"""Consumers of events: a name, the types it wants, and a function that handles one.

Delivery is at least once, effects happen once. A handler writes its rows, emits its events and marks
the event as processed in one unit of work:

    def handle(event: Event, once: Once) -> None:
        ...                                   # slow work, outside the unit of work
        with records.transaction() as tx:
            if once(tx):                      # False: another delivery was faster
                tx.put(...)
                tx.emit(...)

A handler whose writes are idempotent by themselves (ids from content) may leave `once` alone.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.core.events import Event
from phonoloop.core.ports import Delivery, EventBus, Records, Transaction

_logger = logging.getLogger(__name__)

#: marks the event as processed by this consumer in a unit of work; False where it was already
Once = Callable[[Transaction], bool]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt: doubling from `first_s` to `most_s`, each time
    between half and all of it at random, so that what failed together does not come back together."""

    first_s: float = 1.0
    most_s: float = 300.0

    def delay_s(self, attempt: int, chance: float) -> float:
        """`attempt`: the one that failed, from 1. `chance`: 0 to 1."""
        full = min(self.most_s, self.first_s * 2.0 ** min(attempt - 1, 60))
        return full * (0.5 + 0.5 * chance)


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who handles what.

    Attributes:
        name: durable; the bus remembers by it what was delivered.
        types: the events it wants.
        handle: raises to say that it could not.
        processed: the entity that marks an event as done, made with `key=` (`Processed`).
        batch: how many events are taken at a time: fewer round trips, and a longer lease needed.
        lease_s: longer than handling a batch ever takes; else it is handled a second time beside it.
    """

    name: str
    types: Sequence[str]
    handle: Callable[[Event, Once], None]
    processed: Callable[..., Any]
    batch: int = 16
    lease_s: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)

    def once(self, tx: Transaction, event: Event) -> bool:
        """Marks the event as processed, in this unit of work; False where it was already."""
        return tx.add(self.processed(key=self._key(event)))

    def done(self, records: Records, event: Event) -> bool:
        with records.transaction() as tx:
            return tx.get(self.processed, self._key(event)) is not None

    def _key(self, event: Event) -> str:
        return f"{self.name}/{event.id}"


def run_once(records: Records, bus: EventBus, consumer: Consumer, *, limit: int | None = None) -> int:
    """Handles what is due for a consumer, at most `limit` events (its batch if None); says how many
    were delivered.

    Each is settled: acknowledged, delivered again later (an error that may pass), or a dead letter
    (an error that trying again cannot help). An error that nobody foresaw counts as one that may
    pass, has the code `internal`, and is logged with its traceback.
    """
    limit = limit or consumer.batch
    deliveries = bus.receive(consumer.name, list(consumer.types), limit=limit, lease_s=consumer.lease_s)
    for delivery in deliveries:
        _deliver(records, bus, consumer, delivery)
    return len(deliveries)


def run_until_idle(records: Records, bus: EventBus, consumers: Sequence[Consumer]) -> int:
    """Publishes and handles until nothing is due; says how many events were delivered. What waits
    for a later attempt is left waiting."""
    total = 0
    while True:
        published = records.drain_outbox(bus)
        handled = sum(run_once(records, bus, consumer) for consumer in consumers)
        total += handled
        if not published and not handled:
            return total


def _deliver(records: Records, bus: EventBus, consumer: Consumer, delivery: Delivery) -> None:
    event = delivery.event
    try:
        if not consumer.done(records, event):
            consumer.handle(event, lambda tx: consumer.once(tx, event))
    except CancelledError as error:
        bus.retry(delivery, delay_s=0.0, code=error.code, reason=str(error))
    except PhonoloopError as error:
        _settle_error(bus, consumer, delivery, error)
    except Exception as error:
        _logger.exception("%s: %s of %s went wrong", consumer.name, event.type, event.subject)
        _retry(bus, consumer, delivery, code="internal", reason=_last_line(error))
    else:
        bus.ack(delivery)


def _settle_error(bus: EventBus, consumer: Consumer, delivery: Delivery, error: PhonoloopError) -> None:
    if error.retryable:
        _retry(bus, consumer, delivery, code=error.code, reason=str(error))
    else:
        bus.bury(delivery, code=error.code, reason=str(error))


def _retry(bus: EventBus, consumer: Consumer, delivery: Delivery, *, code: str, reason: str) -> None:
    delay_s = consumer.backoff.delay_s(delivery.attempt, random.random())
    _logger.warning(
        "%s: attempt %d at %s of %s failed (%s), again in %.1f s",
        consumer.name,
        delivery.attempt,
        delivery.event.type,
        delivery.event.subject,
        code,
        delay_s,
    )
    bus.retry(delivery, delay_s=delay_s, code=code, reason=reason)


def _last_line(error: Exception) -> str:
    return traceback.format_exception_only(error)[-1].strip()


class ConsumerThreads:
    """One thread a consumer and one that publishes the outbox, each waiting quietly when idle.

    Whoever commits something may call `wake`; without it, it is noticed within `idle_s`.

    Attributes:
        errors: thread name → the last error of its loop (not of a handler), for the health page;
            an entry goes when the loop works again.
    """

    def __init__(
        self, records: Records, bus: EventBus, consumers: Sequence[Consumer], *, idle_s: float = 1.0
    ) -> None:
        self.errors: dict[str, str] = {}
        self._idle_s = idle_s
        self._stop = threading.Event()
        self._relay = _Loop("outbox-relay", lambda: records.drain_outbox(bus))
        self._loops = [_consumer_loop(records, bus, consumer) for consumer in consumers]
        everything = [self._relay, *self._loops]
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=loop.name, daemon=True)
            for loop in everything
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something was committed: look now."""
        self._relay.awake.set()
        for loop in self._loops:
            loop.awake.set()

    def stop(self, timeout_s: float = 30.0) -> list[str]:
        """Ends the threads after what they are handling; the names of those that did not in time."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(timeout_s)
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _run(self, loop: _Loop) -> None:
        failures = 0
        while not self._stop.is_set():
            loop.awake.clear()
            try:
                busy = loop.step() > 0
                failures = 0
                self.errors.pop(loop.name, None)
            except Exception as error:
                _logger.exception("%s: its loop went wrong, going on", loop.name)
                self.errors[loop.name] = _last_line(error)
                failures += 1
                self._stop.wait(Backoff(self._idle_s, 30.0).delay_s(failures, random.random()))
                continue
            self._after(loop, busy=busy)

    def _after(self, loop: _Loop, *, busy: bool) -> None:
        """What was published may be for any consumer; what was handled may have left events."""
        if not busy:
            loop.awake.wait(self._idle_s)
        elif loop is self._relay:
            self.wake()
        else:
            self._relay.awake.set()


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    step: Callable[[], int]
    awake: threading.Event = field(default_factory=threading.Event)


def _consumer_loop(records: Records, bus: EventBus, consumer: Consumer) -> _Loop:
    return _Loop(f"consumer-{consumer.name}", lambda: run_once(records, bus, consumer))
