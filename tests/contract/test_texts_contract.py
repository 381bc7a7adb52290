from __future__ import annotations

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.adapters.texts_memory import MemoryTexts
from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.testing.contracts.texts import TextsContract


class TestMemoryTexts(TextsContract):
    @pytest.fixture
    def opened(self):
        records = MemoryRecords()
        return records, MemoryTexts(records)


class TestSqlTextsOnSqlite(TextsContract):
    @pytest.fixture
    def opened(self, open_sqlite):
        records = open_sqlite()
        return records, SqlTexts(records.database)


class TestSqlTextsOnPostgresql(TextsContract):
    @pytest.fixture
    def opened(self, open_postgres):
        records = open_postgres()
        return records, SqlTexts(records.database)
