"""The tables as the migrations make them, in both dialects."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from phonoloop.adapters import migrations
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_migrate import alembic_config, current_revision, migrate
from phonoloop.adapters.sql_schema import schema
from phonoloop.adapters.sql_triggers import FOLLOWERS, RULES, installed_triggers
from phonoloop.core.errors import ConflictError
from phonoloop.data.model import Split
from phonoloop.testing.entities import a_clip, a_recording, a_speaker


@pytest.fixture(params=["sqlite", "postgres"])
def records(request) -> SqlRecords:
    return request.getfixturevalue(f"open_{request.param}")()


def is_no_word_index(name: str, kind: str, parents: dict) -> bool:
    """What each dialect looks words up in is its own affair."""
    return not (name or "").startswith(("texts_words", "fts_texts"))


def test_the_migrations_make_what_the_program_expects(records: SqlRecords):
    with records.database.read() as connection:
        options = {"compare_type": True, "include_name": is_no_word_index}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema()) == []


def test_every_rule_has_its_trigger(records: SqlRecords):
    with records.database.read() as connection:
        assert installed_triggers(connection) == {*RULES, *FOLLOWERS}
    assert set(RULES) == {
        "speakers_keep_split",
        "audio_split_insert",
        "audio_split_update",
        "clips_split_insert",
        "clips_split_update",
        "clips_machine_text_insert",
        "clips_machine_text_update",
    }
    assert set(FOLLOWERS) == {"texts_changed_insert", "texts_changed_update", "texts_changed_delete"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE speakers SET split = 'train' WHERE speaker_id = 'mai'",
        "UPDATE audio SET split = 'train'",
        "UPDATE clips SET split = 'train'",
        "UPDATE clips SET status = 'accepted', provenance = 'machine'",
    ],
)
def test_the_database_itself_refuses_what_goes_around_the_program(records: SqlRecords, statement: str):
    with records.transaction() as tx:
        tx.put(a_speaker("mai", Split.TEST), a_recording("r", "mai", Split.TEST))
        tx.put(a_clip("r", speaker_id="mai", split=Split.TEST))
    with pytest.raises(DBAPIError), records.database.engine.begin() as connection:
        connection.execute(text(statement))


def test_the_last_revision_is_the_one_that_opening_checks_for(records: SqlRecords):
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [migrations.HEAD]
    with records.database.read() as connection:
        assert current_revision(connection) == migrations.HEAD


def test_every_revision_ends_with_the_triggers():
    scripts = sorted((Path(migrations.__file__).parent / "versions").glob("r*.py"))
    assert scripts
    for script in scripts:
        upgrade = script.read_text().partition("def upgrade")[2].partition("\n\n\n")[0]
        assert upgrade.rstrip().endswith("install_triggers(op.get_bind())"), script.name


def test_migrating_again_changes_nothing(records: SqlRecords):
    with records.transaction() as tx:
        tx.put(a_speaker())
    migrate(records.database)
    with records.transaction() as tx:
        assert tx.get(type(a_speaker()), "lan") is not None


def test_records_of_a_later_version_are_refused(open_sqlite):
    records = open_sqlite()
    with records.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError) as refusal:
        open_sqlite()
    assert refusal.value.code == "records.newer"


def test_openers_that_come_together_migrate_once(tmp_path):
    url = f"sqlite:///{tmp_path}/new/records.db"
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            records = SqlRecords(url)
            with records.transaction() as tx:
                tx.add(a_speaker())
            records.close()
        except BaseException as error:  # noqa: BLE001 (told to the test below)
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
