"""The statements that run for every recording, rendered once.

SQLAlchemy writes them, in either dialect, and converts the values; what it does each time it runs a
statement (looking it up in a cache, collecting parameters, describing the result) costs more CPU than
SQLite needs to run it, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import JSON, Boolean, Connection, Dialect, Table, insert
from sqlalchemy.exc import DBAPIError

from phonoloop.adapters import sql_mapping as mapping
from phonoloop.adapters.sql_schema import UtcDateTime, schema

E = TypeVar("E")
Convert = Callable[[Any], Any]
#: what a driver does not give back as Python has it; the other columns are numbers and text
_REVIVED = (JSON, Boolean, UtcDateTime)


@dataclass(frozen=True, slots=True)
class Prepared:
    """SQL for the driver.

    Attributes:
        names: of its parameters, in their order.
        positional: whether the driver takes a tuple; else a dict.
        binders: by name, what makes of a value the driver's.
        revivers: by position in the row, the way back.
    """

    sql: str
    names: tuple[str, ...]
    positional: bool
    binders: Mapping[str, Convert]
    revivers: Sequence[tuple[int, Convert]]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        bound = dict(values)
        for name, bind in self.binders.items():
            bound[name] = bind(bound[name])
        return tuple(bound[name] for name in self.names) if self.positional else bound

    def row(self, found: Sequence[Any]) -> list[Any]:
        values = list(found)
        for position, revive in self.revivers:
            values[position] = revive(values[position])
        return values


class PreparedStatements:
    """For one dialect; rendered when first asked for."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[tuple[str, type | None], Prepared] = {}

    def by_key(self, kind: type) -> Prepared:
        """Takes `key`."""
        return self._prepared("get", kind, mapping.select_by_key)

    def upsert(self, kind: type) -> Prepared:
        """Takes every field."""
        return self._prepared("put", kind, lambda kind: mapping.upsert(kind, self._dialect.name))

    def to_outbox(self) -> Prepared:
        """Takes `body`."""
        return self._prepared("emit", None, lambda _: insert(schema().tables["outbox"]).values(body=""))

    def _prepared(self, what: str, kind: type | None, statement: Callable[[Any], Any]) -> Prepared:
        found = self._known.get((what, kind))
        if found is None:
            table = schema().tables["outbox"] if kind is None else mapping.table_of(kind)
            found = self._known[what, kind] = self._render(statement(kind), table)
        return found

    def _render(self, statement: Any, table: Table) -> Prepared:
        compiled = statement.compile(dialect=self._dialect)
        names = tuple(compiled.positiontup or compiled.binds)
        converters = {name: self._bind(compiled.binds[name].type) for name in names}
        back = [self._revive(column.type) for column in table.columns]
        return Prepared(
            sql=str(compiled),
            names=names,
            positional=compiled.positional,
            binders={name: bind for name, bind in converters.items() if bind is not None},
            revivers=[(position, revive) for position, revive in enumerate(back) if revive is not None],
        )

    def _bind(self, kind: Any) -> Convert | None:
        return kind.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _revive(self, kind: Any) -> Convert | None:
        if not isinstance(kind, _REVIVED):
            return None
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, None)


def run_in_driver(connection: Connection, sql: str, parameters: Any = ()) -> Any:
    """Runs SQL in the unit of work of `connection`, many times for a list of parameters; the driver's cursor.

    Raises:
        DBAPIError: as SQLAlchemy does, after which a lost connection is not used again.
    """
    cursor = connection.connection.cursor()
    try:
        run = cursor.executemany if isinstance(parameters, list) else cursor.execute
        run(sql, parameters)
    except connection.dialect.dbapi.Error as error:
        raise _wrapped(connection, sql, error) from error
    return cursor


def _wrapped(connection: Connection, sql: str, error: Exception) -> Exception:
    dialect = connection.dialect
    gone = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    if gone:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql, None, error, dialect.dbapi.Error, connection_invalidated=gone, dialect=dialect
    )
