"""Events in the records database: a log, and what each consumer has begun with.

Nothing is copied for a consumer before it asks. For each type a cursor says how far it has come;
a row in `event_deliveries` exists from the moment an event is leased until it is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, delete, func, insert, select, text, update

from phonoloop.adapters.bus_letters import ABANDONED, ABANDONED_REASON, letter_id, no_dead_letter
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_mapping import insert_into
from phonoloop.adapters.sql_schema import schema
from phonoloop.core.clock import utc_now
from phonoloop.core.events import Event
from phonoloop.core.ports import DeadLetter, Delivery, LogEntry

# each step takes what locks it needs by itself; see `_only_one`
_ISOLATION = "READ COMMITTED"


class SqlEventBus:
    """The bus on the database of these records.

    Args:
        max_attempts: after so many an event is a dead letter.
        max_unanswered: the same where the last one had no answer, because its consumer was killed;
            `max_attempts` if None.
        clock: what time it is. Machines that share a database need clocks that agree to within a
            fraction of the shortest lease.
    """

    def __init__(
        self,
        records: SqlRecords,
        *,
        max_attempts: int = 5,
        max_unanswered: int | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = records.database
        self._max_attempts = max_attempts
        self._max_unanswered = max_unanswered or max_attempts
        self._clock = clock
        tables = schema().tables
        self._log = tables["event_log"]
        self._cursors = tables["event_cursors"]
        self._deliveries = tables["event_deliveries"]
        self._letters = tables["dead_letters"]

    def publish(self, events: Sequence[Event]) -> None:
        rows = [{"event_id": event.id, "type": event.type, "body": event.to_json()} for event in events]
        if not rows:
            return
        with self._database.write(_ISOLATION) as connection:
            _only_one(connection, "publish")
            statement = insert_into(self._log, connection.dialect.name)
            connection.execute(statement.on_conflict_do_nothing(index_elements=["event_id"]), rows)

    def receive(
        self, consumer: str, types: Sequence[str], *, limit: int = 1, lease_s: float = 60.0
    ) -> list[Delivery]:
        # mostly there is nothing: look first, without keeping a writer waiting
        with self._database.read() as connection:
            if not self._oldest(connection, consumer, types, 1):
                return []
        with self._database.write(_ISOLATION) as connection:
            _only_one(connection, f"receive/{consumer}")
            self._bury_abandoned(connection, consumer)
            found = self._oldest(connection, consumer, types, limit)
            return self._lease(connection, consumer, found, lease_s) if found else []

    def ack(self, delivery: Delivery) -> None:
        with self._database.write(_ISOLATION) as connection:
            self._settle(connection, delivery)

    def retry(self, delivery: Delivery, *, delay_s: float, code: str, reason: str) -> None:
        if delivery.attempt >= self._max_attempts:
            self.bury(delivery, code=code, reason=reason)
            return
        due_at = self._clock() + timedelta(seconds=delay_s)
        with self._database.write(_ISOLATION) as connection:
            later = update(self._deliveries).values(due_at=due_at, token="")
            connection.execute(later.where(*self._leased(delivery)))

    def bury(self, delivery: Delivery, *, code: str, reason: str) -> None:
        with self._database.write(_ISOLATION) as connection:
            if self._settle(connection, delivery):
                letter = self._letter(delivery, code, reason)
                connection.execute(insert(self._letters), letter)

    def end_leases(self) -> int:
        table, now = self._deliveries, self._clock()
        leased = update(table).where(table.c.token != "", table.c.due_at > now)
        with self._database.write(_ISOLATION) as connection:
            return connection.execute(leased.values(due_at=now, token="")).rowcount

    def dead(self, consumer: str | None = None) -> list[DeadLetter]:
        letters, log = self._letters, self._log
        query = select(letters, log.c.body).join(log, log.c.position == letters.c.position)
        if consumer is not None:
            query = query.where(letters.c.consumer == consumer)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(letters.c.at, letters.c.position, letters.c.letter_id))
            return [_to_letter(row) for row in rows]

    def replay(self, letter_id: str) -> None:
        letters = self._letters
        with self._database.write(_ISOLATION) as connection:
            row = connection.execute(select(letters).where(letters.c.letter_id == letter_id)).first()
            gone = connection.execute(delete(letters).where(letters.c.letter_id == letter_id))
            if row is None or gone.rowcount == 0:
                raise no_dead_letter(letter_id)
            again = {"consumer": row.consumer, "position": row.position, "type": row.type}
            fresh = {"attempt": 0, "due_at": self._clock(), "token": ""}
            connection.execute(insert(self._deliveries), again | fresh)

    def tail(self, *, after: int = 0, limit: int = 100) -> list[LogEntry]:
        log = self._log
        query = select(log).where(log.c.position > after).order_by(log.c.position).limit(limit)
        with self._database.read() as connection:
            return [LogEntry(row.position, Event.from_json(row.body)) for row in connection.execute(query)]

    # ------------------------------------------------------------ receiving

    def _oldest(self, connection: Connection, consumer: str, types: Sequence[str], limit: int) -> list[Any]:
        """Rows (position, type, attempt) of what is due, oldest first; attempt 0 is new."""
        found = self._due_again(connection, consumer, types, limit)
        for kind, seen in self._seen(connection, consumer, types).items():
            found += self._unseen(connection, kind, seen, limit)
        return sorted(found)[:limit]

    def _due_again(
        self, connection: Connection, consumer: str, types: Sequence[str], limit: int
    ) -> list[tuple[int, str, int]]:
        table = self._deliveries
        query = select(table.c.position, table.c.type, table.c.attempt).where(
            table.c.consumer == consumer, table.c.type.in_(types), table.c.due_at <= self._clock()
        )
        return [tuple(row) for row in connection.execute(query.order_by(table.c.position).limit(limit))]

    def _seen(self, connection: Connection, consumer: str, types: Sequence[str]) -> dict[str, int]:
        table = self._cursors
        query = select(table.c.type, table.c.position).where(
            table.c.consumer == consumer, table.c.type.in_(types)
        )
        known = {row.type: row.position for row in connection.execute(query)}
        return {kind: known.get(kind, 0) for kind in types}

    def _unseen(self, connection: Connection, kind: str, seen: int, limit: int) -> list[tuple[int, str, int]]:
        log = self._log
        query = select(log.c.position).where(log.c.type == kind, log.c.position > seen)
        positions = connection.execute(query.order_by(log.c.position).limit(limit)).scalars()
        return [(position, kind, 0) for position in positions]

    def _lease(
        self, connection: Connection, consumer: str, found: list[tuple[int, str, int]], lease_s: float
    ) -> list[Delivery]:
        due_at = self._clock() + timedelta(seconds=lease_s)
        leases = [
            {
                "consumer": consumer,
                "position": position,
                "type": kind,
                "attempt": attempt + 1,
                "due_at": due_at,
                "token": uuid4().hex,
            }
            for position, kind, attempt in found
        ]
        self._upsert(connection, self._deliveries, ["consumer", "position"], leases)
        self._advance(connection, consumer, found)
        bodies = self._bodies(connection, [position for position, _, _ in found])
        return [_to_delivery(lease, bodies[lease["position"]]) for lease in leases]

    def _advance(self, connection: Connection, consumer: str, found: list[tuple[int, str, int]]) -> None:
        # replayed events have attempt 0 too, and lie behind the cursor: it must not go back
        seen = self._seen(connection, consumer, sorted({kind for _, kind, _ in found}))
        reached = dict(seen)
        for position, kind, _ in found:
            reached[kind] = max(reached[kind], position)
        rows = [
            {"consumer": consumer, "type": kind, "position": position}
            for kind, position in reached.items()
            if position > seen[kind]
        ]
        self._upsert(connection, self._cursors, ["consumer", "type"], rows)

    def _upsert(self, connection: Connection, table: Any, key: list[str], rows: list[dict]) -> None:
        if not rows:
            return
        statement = insert_into(table, connection.dialect.name)
        others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in key}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=others), rows)

    def _bodies(self, connection: Connection, positions: list[int]) -> dict[int, str]:
        log = self._log
        query = select(log.c.position, log.c.body).where(log.c.position.in_(positions))
        return {row.position: row.body for row in connection.execute(query)}

    # ------------------------------------------------------------ settling

    def _leased(self, delivery: Delivery) -> list[Any]:
        position, _, token = delivery.token.partition(":")
        table = self._deliveries
        return [
            table.c.consumer == delivery.consumer,
            table.c.position == int(position),
            table.c.token == token,
            table.c.due_at > self._clock(),
        ]

    def _settle(self, connection: Connection, delivery: Delivery) -> bool:
        """Forgets a delivery that is still leased under this token; says whether it was."""
        gone = connection.execute(delete(self._deliveries).where(*self._leased(delivery)))
        return gone.rowcount == 1

    def _bury_abandoned(self, connection: Connection, consumer: str) -> None:
        table = self._deliveries
        lost = (
            table.c.consumer == consumer,
            table.c.attempt >= self._max_unanswered,
            table.c.due_at <= self._clock(),
        )
        rows = connection.execute(select(table).where(*lost)).all()
        if not rows:
            return
        bodies = self._bodies(connection, [row.position for row in rows])
        deliveries = [_to_delivery(row._mapping, bodies[row.position]) for row in rows]
        letters = [self._letter(delivery, ABANDONED, ABANDONED_REASON) for delivery in deliveries]
        connection.execute(insert(self._letters), letters)
        connection.execute(delete(table).where(*lost, table.c.position.in_(bodies)))

    def _letter(self, delivery: Delivery, code: str, reason: str) -> dict[str, Any]:
        return {
            "letter_id": letter_id(delivery.consumer, delivery.event.id),
            "consumer": delivery.consumer,
            "position": int(delivery.token.partition(":")[0]),
            "type": delivery.event.type,
            "code": code,
            "reason": reason.replace("\0", " "),
            "attempts": delivery.attempt,
            "at": self._clock(),
        }


def _only_one(connection: Connection, what: str) -> None:
    """Until the unit of work ends nobody else does this. Publishing one after another makes the log's
    positions visible in their order, so that no cursor passes one that is still to come."""
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock(func.hashtextextended(what, text("42")))
        connection.execute(select(lock))


def _to_delivery(lease: Any, body: str) -> Delivery:
    token = f"{lease['position']}:{lease['token']}"
    return Delivery(Event.from_json(body), lease["consumer"], lease["attempt"], token)


def _to_letter(row: Any) -> DeadLetter:
    return DeadLetter(
        letter_id=row.letter_id,
        consumer=row.consumer,
        event=Event.from_json(row.body),
        code=row.code,
        reason=row.reason,
        attempts=row.attempts,
        at=row.at,
    )
