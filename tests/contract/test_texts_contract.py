from __future__ import annotations

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.adapters.texts_memory import MemoryTexts
from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.testing.contracts.texts import TextsContract, Watcher
from phonoloop.testing.entities import a_text


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

    def test_what_began_earlier_and_ended_later_is_not_missed(self, opened, open_postgres):
        slow, quick = open_postgres(), opened[0]
        watcher = Watcher(opened[1])
        with slow.transaction() as tx:
            tx.put(a_text("slow", text="chậm"))
            with quick.transaction() as other:
                other.put(a_text("quick", text="nhanh"))
            watcher.look()
            assert set(watcher.known) == {"quick"}
        watcher.look()
        assert set(watcher.known) == {"quick", "slow"}

    def test_what_a_restored_backup_says_of_the_future_is_seen_once(self, opened):
        records, texts = opened
        with records.transaction() as tx:
            tx.put(a_text("a", text="chào"))
        with records.database.write() as connection:
            connection.exec_driver_sql("UPDATE text_changes SET written_in = 1000000000000")
        watcher = Watcher(texts)
        watcher.look()
        assert set(watcher.known) == {"a"}
        watcher.told = 0
        watcher.look()
        assert watcher.told == 0
