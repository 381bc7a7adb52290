from __future__ import annotations

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.testing.contracts.records import RecordsContract


class TestMemoryRecords(RecordsContract):
    @pytest.fixture
    def make(self):
        records = MemoryRecords()
        return lambda: records


class TestSqlRecordsOnSqlite(RecordsContract):
    @pytest.fixture
    def make(self, open_sqlite):
        return open_sqlite


class TestSqlRecordsOnPostgresql(RecordsContract):
    @pytest.fixture
    def make(self, open_postgres):
        return open_postgres
