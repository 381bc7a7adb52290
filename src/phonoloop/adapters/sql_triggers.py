"""The rules of the splits, kept by the database itself, in both dialects.

Every migration ends with `install_triggers`: Alembic's batch mode re-creates tables on SQLite and
drops their triggers without a word.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

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


def install_triggers(connection: Connection) -> None:
    """Makes every trigger anew."""
    render = _sqlite if connection.dialect.name == "sqlite" else _postgresql
    for name, rule in RULES.items():
        for statement in render(name, *rule):
            connection.exec_driver_sql(statement)


def installed_triggers(connection: Connection) -> set[str]:
    """The names of the triggers that are there."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    return set(connection.execute(text(query)).scalars())
