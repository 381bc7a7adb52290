from __future__ import annotations

import pytest

from phonoloop.adapters.bus_memory import MemoryEventBus
from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.testing.contracts.bus import BusContract


class TestMemoryEventBus(BusContract):
    @pytest.fixture
    def make(self):
        opened = []

        def make(**options):
            if not opened:
                opened.append(MemoryEventBus(**options))
            return opened[0]

        return make


class TestSqlEventBusOnSqlite(BusContract):
    @pytest.fixture
    def make(self, open_sqlite):
        return lambda **options: SqlEventBus(open_sqlite(), **options)


class TestSqlEventBusOnPostgresql(BusContract):
    @pytest.fixture
    def make(self, open_postgres):
        return lambda **options: SqlEventBus(open_postgres(), **options)
