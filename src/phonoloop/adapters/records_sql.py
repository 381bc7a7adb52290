"""Records in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, insert, select

from phonoloop.adapters import sql_mapping as mapping
from phonoloop.adapters.entities import key_of, values_of
from phonoloop.adapters.sql_database import Database
from phonoloop.adapters.sql_errors import translated
from phonoloop.adapters.sql_migrate import migrate
from phonoloop.adapters.sql_schema import schema
from phonoloop.core.events import Event
from phonoloop.core.ports import EventBus

E = TypeVar("E")


class SqlRecords:
    """Records in a database, whose tables are made or brought up to date when it is opened.

    Many threads may share one; any number of processes may open the same database.

    Args:
        source: a URL (see `Database`), or a database that is open already.

    Raises:
        ConfigError: `config.records_url`.
        ConflictError: `records.newer`, where a later version of this program has migrated it.
        UnavailableError: `records.unreachable`.
    """

    def __init__(self, source: str | Database) -> None:
        self.database = Database(source) if isinstance(source, str) else source
        migrate(self.database)

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        with self.database.write() as connection:
            yield SqlTransaction(connection)

    def drain_outbox(self, bus: EventBus, *, limit: int = 500) -> int:
        outbox = schema().tables["outbox"]
        with self.database.read() as connection:
            rows = connection.execute(select(outbox).order_by(outbox.c.position).limit(limit)).all()
        if not rows:
            return 0
        bus.publish([Event.from_json(row.body) for row in rows])
        told = delete(outbox).where(outbox.c.position.in_([row.position for row in rows]))
        with self.database.write("READ COMMITTED") as connection:
            connection.execute(told)
        return len(rows)

    def close(self) -> None:
        self.database.close()


class SqlTransaction:
    """A refused write leaves the unit of work as it was before that call."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def get(self, kind: type[E], key: str) -> E | None:
        row = self._connection.execute(mapping.select_by_key(kind), {"key": key}).first()
        return None if row is None else mapping.to_entity(kind, row)

    def put(self, *entities: Any) -> None:
        batches = [(kind, list(group)) for kind, group in groupby(entities, type)]
        if not batches:
            return
        with self._step(", ".join(str(key_of(entity)) for entity in entities[:3])):
            for kind, group in batches:
                rows = [values_of(entity) for entity in group]
                self._connection.execute(mapping.upsert(kind, self._dialect), rows)

    def add(self, entity: Any) -> bool:
        with self._step(str(key_of(entity))):
            statement = mapping.insert_if_new(type(entity), self._dialect)
            return self._connection.execute(statement, values_of(entity)).rowcount == 1

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
        query = mapping.select_matching(kind, criteria, order_by=order_by, descending=descending, limit=limit)
        return [mapping.to_entity(kind, row) for row in self._connection.execute(query)]

    def total(self, kind: type, field: str = "", /, **criteria: Any) -> float:
        return float(self._connection.execute(mapping.select_total(kind, field, criteria)).scalar() or 0)

    def delete(self, kind: type, key: str) -> None:
        with self._step(key):
            self._connection.execute(mapping.delete_by_key(kind), {"key": key})

    def emit(self, event: Event) -> None:
        self._connection.execute(insert(schema().tables["outbox"]), {"body": event.to_json()})

    @contextmanager
    def _step(self, subject: str) -> Iterator[None]:
        with translated(subject), self._connection.begin_nested():
            yield
