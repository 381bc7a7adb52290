"""PostgreSQL goes away in the middle of things."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from phonoloop.core.errors import UnavailableError
from phonoloop.data.model import Speaker
from phonoloop.testing.entities import a_speaker


def break_off(records) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with records.transaction() as tx:
        tx.put(a_speaker("lan"))
        with records.database.engine.connect() as other:
            other.execute(text(others))
        tx.put(a_speaker("mai"))


def test_a_connection_that_breaks_loses_its_unit_of_work_and_the_next_one_works(open_postgres):
    records = open_postgres()
    with pytest.raises(UnavailableError) as refusal:
        break_off(records)
    assert refusal.value.code == "records.unreachable"
    assert refusal.value.retryable
    with records.transaction() as tx:
        assert tx.total(Speaker) == 0
        tx.put(a_speaker("lan"))
