"""Records in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import DBAPIError

from phonoloop.adapters import sql_mapping as mapping
from phonoloop.adapters.entities import key_of, values_of
from phonoloop.adapters.sql_database import Database
from phonoloop.adapters.sql_errors import translate, translated
from phonoloop.adapters.sql_migrate import migrate
from phonoloop.adapters.sql_prepared import Prepared, PreparedStatements, run_in_driver
from phonoloop.adapters.sql_schema import schema
from phonoloop.core.errors import ConflictError
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
        self._statements = PreparedStatements(self.database.engine.dialect)

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        with self.database.write() as connection:
            work = SqlTransaction(connection, self._statements)
            yield work
            if work.lost is not None:  # somebody caught it and went on
                raise work.lost

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
    """A refused write leaves the unit of work as it was before that call. After any other error (a full
    disk, a lost race) the database has given the whole of it up, and nothing can be done in it any more.

    Attributes:
        lost: that error.
    """

    def __init__(self, connection: Connection, statements: PreparedStatements) -> None:
        self._connection = connection
        self._statements = statements
        self._dialect = connection.dialect.name
        self.lost: Exception | None = None

    def get(self, kind: type[E], key: str) -> E | None:
        statement = self._statements.by_key(kind)
        rows = self._run_prepared(statement, statement.parameters({"key": key})).fetchall()
        return mapping.to_entity(kind, statement.row(rows[0])) if rows else None

    def put(self, *entities: Any) -> None:
        batches = [(kind, list(group)) for kind, group in groupby(entities, type)]
        if not batches:
            return
        with self._step(", ".join(str(key_of(entity)) for entity in entities[:3])):
            for kind, group in batches:
                statement = self._statements.upsert(kind)
                rows = [statement.parameters(values_of(entity)) for entity in group]
                self._run_prepared(statement, rows if len(rows) > 1 else rows[0])

    def add(self, entity: Any) -> bool:
        # triggers judge a row before its key is found to be taken: look first
        if self.get(type(entity), key_of(entity)) is not None:
            return False
        with self._step(str(key_of(entity))):
            statement = mapping.insert_if_new(type(entity), self._dialect)
            return self._run(statement, values_of(entity)).rowcount == 1

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
        return [mapping.to_entity(kind, row) for row in self._run(query)]

    def total(self, kind: type, field: str = "", /, **criteria: Any) -> float:
        return float(self._run(mapping.select_total(kind, field, criteria)).scalar() or 0)

    def delete(self, kind: type, key: str) -> None:
        with self._step(key):
            self._run(mapping.delete_by_key(kind), {"key": key})

    def emit(self, event: Event) -> None:
        statement = self._statements.to_outbox()
        self._run_prepared(statement, statement.parameters({"body": event.to_json()}))

    def _run(self, statement: Any, parameters: Any = None) -> Any:
        return self._watched(lambda: self._connection.execute(statement, parameters))

    def _run_prepared(self, statement: Prepared, parameters: Any) -> Any:
        return self._watched(lambda: run_in_driver(self._connection, statement.sql, parameters))

    def _watched(self, work: Callable[[], Any]) -> Any:
        if self.lost is not None:
            raise self.lost
        try:
            return work()
        except DBAPIError as error:
            known = translate(error)
            if not isinstance(known, ConflictError):
                self.lost = known or error
            raise

    @contextmanager
    def _step(self, subject: str) -> Iterator[None]:
        if self.lost is not None:
            raise self.lost
        with translated(subject):
            run_in_driver(self._connection, "SAVEPOINT step")
            try:
                yield
            except BaseException:
                if self.lost is None:  # else there is nothing left to go back to
                    run_in_driver(self._connection, "ROLLBACK TO SAVEPOINT step")
                    run_in_driver(self._connection, "RELEASE SAVEPOINT step")
                raise
            run_in_driver(self._connection, "RELEASE SAVEPOINT step")
