from __future__ import annotations

import sqlite3
from contextlib import suppress

import pytest

from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_database import Database
from phonoloop.core.errors import (
    ConfigError,
    InputError,
    IntegrityError,
    ResourceError,
    UnavailableError,
)
from phonoloop.data.model import IntakeOutcome, Speaker
from phonoloop.testing.entities import a_speaker


@pytest.fixture
def records(tmp_path):
    opened = SqlRecords(f"sqlite:///{tmp_path}/records.db")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/x", "sqlite+aiosqlite:///x.db"]
)
def test_a_url_that_cannot_hold_records(url):
    with pytest.raises(ConfigError) as refusal:
        Database(url)
    assert refusal.value.code == "config.records_url"


def test_a_password_in_a_wrong_url_is_not_shown():
    with pytest.raises(ConfigError) as refusal:
        Database("mysql://user:secret@host/x")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000)],
)
def test_every_connection_is_set_to_keep_what_it_confirms(records, pragma, value):
    with records.database.read() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_waiting_for_another_process_ends_with_an_error_to_try_again(tmp_path):
    records = SqlRecords(Database(f"sqlite:///{tmp_path}/records.db", busy_timeout_s=0.05))
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError) as refusal, records.transaction():
        pytest.fail("it was begun")
    assert refusal.value.code == "records.conflict"
    assert refusal.value.retryable
    other.execute("ROLLBACK")
    other.close()
    with records.transaction() as tx:
        tx.put(a_speaker())
    records.close()


def test_reading_does_not_wait_for_a_writer(records, tmp_path):
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with records.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM speakers").scalar() == 0
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def on_a_full_disk(records):
    with records.transaction() as tx:
        tx.put(a_speaker())
    with records.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    return records


LARGE = IntakeOutcome(outcome_id="x", name="n" * 100_000, status="refused")


def test_a_full_disk_says_so_and_keeps_what_was_there(on_a_full_disk):
    with pytest.raises(ResourceError) as refusal, on_a_full_disk.transaction() as tx:
        tx.put(LARGE)
    assert refusal.value.code == "disk.full"
    with on_a_full_disk.transaction() as tx:
        assert tx.total(Speaker) == 1
        assert tx.total(IntakeOutcome) == 0


def test_who_goes_on_after_a_full_disk_writes_nothing_outside_the_unit_of_work(on_a_full_disk):
    def go_on() -> None:
        with on_a_full_disk.transaction() as tx:
            for entity in (a_speaker("mai"), LARGE, a_speaker("hoa")):
                with suppress(ResourceError):
                    tx.put(entity)

    with pytest.raises(ResourceError):
        go_on()
    with on_a_full_disk.transaction() as tx:
        assert [speaker.speaker_id for speaker in tx.find(Speaker)] == ["lan"]


def test_a_file_that_is_no_database_is_not_touched(tmp_path):
    path = tmp_path / "records.db"
    path.write_bytes(b"this is text, not a database\n" * 100)
    with pytest.raises(IntegrityError) as refusal:
        SqlRecords(f"sqlite:///{path}")
    assert refusal.value.code == "records.corrupt"
    assert path.read_bytes().startswith(b"this is text")


def test_a_server_that_does_not_answer():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(UnavailableError) as refusal:
        SqlRecords("postgresql://nobody@127.0.0.1:1/nothing")
    assert refusal.value.code == "records.unreachable"


def test_an_odd_folder_name_is_a_folder_name(tmp_path):
    records = SqlRecords(f"sqlite:///{tmp_path}/50% ờ/records.db")
    records.close()
    assert (tmp_path / "50% ờ" / "records.db").exists()


def test_the_message_names_the_fields_there_are(records):
    with records.transaction() as tx, pytest.raises(InputError) as refusal:
        tx.find(IntakeOutcome, stat="x")
    assert "status" in refusal.value.hint
