from __future__ import annotations

from collections.abc import Iterator

import pytest

from phonoloop.adapters.records_memory import MemoryRecords, MemoryTransaction


@pytest.fixture
def tx() -> Iterator[MemoryTransaction]:
    """One unit of work on empty records; `tx.events` are those that were emitted."""
    with MemoryRecords().transaction() as work:
        yield work
