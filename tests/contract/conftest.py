"""Adapters on the real thing. PostgreSQL is started where it is installed."""

from __future__ import annotations

import shutil

import pytest

pytest.register_assert_rewrite("phonoloop.testing.contracts")

from phonoloop.adapters.records_sql import SqlRecords  # noqa: E402
from phonoloop.adapters.sql_schema import schema  # noqa: E402
from phonoloop.testing.servers import postgres_folder, postgres_server  # noqa: E402


@pytest.fixture(scope="session")
def postgres_url():
    if postgres_folder() is None:
        pytest.skip("PostgreSQL (initdb, postgres) is not installed")
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """An empty database at the last revision: migrating anew for each test would take most of the time."""
    path = tmp_path_factory.mktemp("sqlite") / "records.db"
    SqlRecords(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def open_sqlite(tmp_path, migrated_sqlite):
    """Opens this test's SQLite records, again and again the same."""
    shutil.copy(migrated_sqlite, tmp_path / "records.db")
    yield from _opener(f"sqlite:///{tmp_path}/records.db")


@pytest.fixture
def open_postgres(postgres_url):
    """Opens this test's PostgreSQL records, empty at first."""
    records = SqlRecords(postgres_url)
    empty = "; ".join(f"DELETE FROM {table}" for table in reversed(schema().sorted_tables))
    with records.database.write() as connection:
        connection.exec_driver_sql(empty)
    records.close()
    yield from _opener(postgres_url)


def _opener(url):
    opened = []

    def make() -> SqlRecords:
        opened.append(SqlRecords(url))
        return opened[-1]

    yield make
    for records in opened:
        records.close()
