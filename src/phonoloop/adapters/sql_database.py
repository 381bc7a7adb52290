"""One database, SQLite or PostgreSQL: connections, units of work, settings."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from phonoloop.adapters import refusals
from phonoloop.adapters.sql_errors import lost_race, translated
from phonoloop.adapters.sql_prepared import run_in_driver
from phonoloop.core.errors import ConfigError, UnavailableError

BUSY_TIMEOUT_S = 30.0


class Database:
    """An engine, and the ways to begin a unit of work on it.

    Args:
        url: `sqlite:////data/phonoloop.db` or `postgresql://user@host/name`.
        busy_timeout_s: how long to wait for somebody else's unit of work.

    Raises:
        ConfigError: `config.records_url`, where it is neither.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._busy_timeout_s = busy_timeout_s
        self._local = threading.local()
        # SQLite lets one writer in and makes the others sleep and poll: inside a process, queue instead
        self._writer = threading.Lock()
        self._closed = False
        make = _sqlite_engine if self.is_sqlite else _postgresql_engine
        self.engine: Engine = make(parsed, busy_timeout_s)

    @contextmanager
    def write(self, isolation: str = "") -> Iterator[Connection]:
        """A unit of work, serialisable unless PostgreSQL is asked for another isolation level.

        Raises:
            ConflictError: `records.nested`, inside another one of this thread.
            UnavailableError: `records.conflict`, where another one came first; `records.unreachable`.
            ResourceError: `disk.full`.
        """
        options = {"isolation_level": isolation} if isolation and not self.is_sqlite else {}
        with self._alone_in_thread(), self._queue(), translated(), self._begun(options) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A look at what is recorded that keeps nobody waiting."""
        options = {"sqlite_begin": "BEGIN"} if self.is_sqlite else {"isolation_level": "READ COMMITTED"}
        with self._alone_in_thread(), translated(), self._begun(options) as connection:
            yield connection

    def close(self) -> None:
        self._closed = True
        self.engine.dispose()

    @contextmanager
    def _begun(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            if options:
                connection.execution_options(**options)
            with connection.begin():
                yield connection

    @contextmanager
    def _alone_in_thread(self) -> Iterator[None]:
        if self._closed:
            raise UnavailableError("the records are closed", code="records.closed")
        if getattr(self._local, "busy", False):
            raise refusals.nested()
        self._local.busy = True
        try:
            yield
        finally:
            self._local.busy = False

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=self._busy_timeout_s):
            raise lost_race()
        try:
            yield
        finally:
            self._writer.release()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _bad_url(url, "it cannot be read") from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:":
            raise _bad_url(url, "it names no file, and several connections could not share it")
        return parsed
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise _bad_url(url.partition(":")[0], "only SQLite and PostgreSQL can hold the records")


def _bad_url(url: str, why: str) -> ConfigError:
    return ConfigError(
        f"this is not a records URL: {why}",
        code="config.records_url",
        subject=url,
        hint="Use sqlite:////folder/phonoloop.db or postgresql://user:password@host/name",
    )


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _sqlite_engine(url: URL, busy_timeout_s: float) -> Engine:
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        json_serializer=_dump_json,
        pool_size=16,
        max_overflow=-1,
        connect_args={"timeout": busy_timeout_s, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        _enter_wal(connection, busy_timeout_s)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run_in_driver(connection, connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))

    return engine


def _enter_wal(connection: sqlite3.Connection, busy_timeout_s: float) -> None:
    # the change to WAL does not wait for locks by itself, whatever busy_timeout says
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _postgresql_engine(url: URL, busy_timeout_s: float) -> Engine:
    try:
        return create_engine(
            url,
            json_serializer=_dump_json,
            isolation_level="SERIALIZABLE",
            pool_size=16,
            max_overflow=16,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={int(busy_timeout_s * 1000)}"},
        )
    except ImportError as error:
        raise ConfigError(
            "records in PostgreSQL need psycopg, which is not installed",
            code="config.missing_package",
            hint="pip install 'phonoloop[postgres]'",
        ) from error
