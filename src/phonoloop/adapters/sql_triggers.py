"""The rules of the splits, kept by the database itself, in both dialects; and what follows the texts that
are searched.

Every migration ends with `install_triggers`: Alembic's batch mode re-creates tables on SQLite and
drops their triggers without a word.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

_SPLIT = "split.conflict"
_MACHINE = "split.machine_text"

#: name → (table, INSERT or UPDATE, what must not be, code of the error)
RULES: dict[str, tuple[str, str, str, str]] = {
    "speakers_keep_split": (
        "speakers",
        "UPDATE",
        "NEW.split <> OLD.split AND EXISTS (SELECT 1 FROM audio WHERE speaker_id = NEW.speaker_id)",
        _SPLIT,
    ),
    **{
        f"audio_split_{when.lower()}": (
            "audio",
            when,
            "EXISTS (SELECT 1 FROM speakers WHERE speaker_id = NEW.speaker_id AND split <> NEW.split)"
            " OR EXISTS (SELECT 1 FROM clips WHERE audio_id = NEW.audio_id AND split <> NEW.split)",
            _SPLIT,
        )
        for when in ("INSERT", "UPDATE")
    },
    **{
        f"clips_split_{when.lower()}": (
            "clips",
            when,
            "EXISTS (SELECT 1 FROM speakers WHERE speaker_id = NEW.speaker_id AND split <> NEW.split)"
            " OR EXISTS (SELECT 1 FROM audio WHERE audio_id = NEW.audio_id AND split <> NEW.split)",
            _SPLIT,
        )
        for when in ("INSERT", "UPDATE")
    },
    **{
        f"clips_machine_text_{when.lower()}": (
            "clips",
            when,
            "NEW.split IN ('val', 'test') AND NEW.status = 'accepted' AND NEW.provenance = 'machine'",
            _MACHINE,
        )
        for when in ("INSERT", "UPDATE")
    },
}


def _sqlite(name: str, table: str, when: str, wrong: str, code: str) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW WHEN {wrong}"
        f" BEGIN SELECT RAISE(ABORT, '{code}'); END",
    ]


def _postgresql(name: str, table: str, when: str, wrong: str, code: str) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {wrong} THEN RAISE EXCEPTION '{code}' USING ERRCODE = 'check_violation'; END IF;"
        f" RETURN NEW; END $$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


#: name → INSERT, UPDATE or DELETE of a text that is searched
FOLLOWERS: dict[str, str] = {f"texts_changed_{when.lower()}": when for when in ("INSERT", "UPDATE", "DELETE")}
_WORDS = "words, plain, pairs"


def _number_anew(row: str) -> str:
    """The text's last change is this one."""
    return (
        f"DELETE FROM text_changes WHERE text_id = {row}.text_id;"
        f" INSERT INTO text_changes (text_id) VALUES ({row}.text_id);"
    )


def _sqlite_follower(name: str, when: str) -> list[str]:
    """The words go by that number, too. An index without contents is told what it has to forget."""
    forget = (
        f"INSERT INTO texts_words (texts_words, rowid, {_WORDS})"
        " SELECT 'delete', number, OLD.words, OLD.plain, OLD.pairs FROM text_changes"
        " WHERE text_id = OLD.text_id;"
    )
    learn = (
        f"INSERT INTO texts_words (rowid, {_WORDS})"
        " SELECT number, NEW.words, NEW.plain, NEW.pairs FROM text_changes WHERE text_id = NEW.text_id;"
    )
    steps = {
        "INSERT": _number_anew("NEW") + learn,
        "UPDATE": forget + _number_anew("NEW") + learn,
        "DELETE": forget + _number_anew("OLD"),
    }
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} AFTER {when} ON texts FOR EACH ROW BEGIN {steps[when]} END",
    ]


def _postgresql_follower(name: str, when: str) -> list[str]:
    row = "OLD" if when == "DELETE" else "NEW"
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" DELETE FROM text_changes WHERE text_id = {row}.text_id;"
        " INSERT INTO text_changes (text_id, written_in)"
        f" VALUES ({row}.text_id, pg_current_xact_id()::text::bigint);"
        " RETURN NULL; END $$",
        f"DROP TRIGGER IF EXISTS {name} ON texts",
        f"CREATE TRIGGER {name} AFTER {when} ON texts FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def install_triggers(connection: Connection) -> None:
    """Makes every trigger anew, of the tables that are there already."""
    is_sqlite = connection.dialect.name == "sqlite"
    for name, rule in RULES.items():
        _run_all(connection, (_sqlite if is_sqlite else _postgresql)(name, *rule))
    if inspect(connection).has_table("texts"):
        for name, when in FOLLOWERS.items():
            _run_all(connection, (_sqlite_follower if is_sqlite else _postgresql_follower)(name, when))


def _run_all(connection: Connection, statements: list[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def installed_triggers(connection: Connection) -> set[str]:
    """The names of the triggers that are there."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    return set(connection.execute(text(query)).scalars())
