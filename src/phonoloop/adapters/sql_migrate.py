"""Brings a database to the schema of this version. The migrations are part of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from phonoloop.adapters import migrations
from phonoloop.adapters.sql_database import Database
from phonoloop.core.errors import ConflictError

#: for PostgreSQL, so that processes that start together migrate one after another
_LOCK = 0x70686F6E6F


def alembic_config(connection: Connection | None = None) -> Any:
    """What Alembic needs to know, without a file of settings."""
    from alembic.config import Config  # heavy, and needed only by a database that is not up to date

    config = Config()
    # a path is a template to Alembic: a percent sign in it must be doubled
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def current_revision(connection: Connection) -> str:
    """The revision that the database is at; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def migrate(database: Database) -> None:
    """Brings it to the last revision, in one unit of work: a migration that is killed never was.

    Raises:
        ConflictError: `records.newer`, where the database is at a revision this version lacks.
    """
    with database.read() as connection:
        if current_revision(connection) == migrations.HEAD:
            return
    with database.write("READ COMMITTED") as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if current_revision(connection) != migrations.HEAD:
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    try:
        command.upgrade(alembic_config(connection), "head")
    except (CommandError, ResolutionError) as error:
        raise ConflictError(
            f"the records were made by a later version ({error})",
            code="records.newer",
            hint="Upgrade phonoloop, or restore the backup from before",
        ) from error
