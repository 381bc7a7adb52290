"""The tables: one for each recorded class, and those of the outbox and the event log."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

from phonoloop.adapters.entities import REFERENCES, TABLES, Field, fields_of, key_name


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC, in a database that keeps none of it (SQLite) as in one that does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def text_type() -> Any:
    """Text that sorts by code point in both dialects, as it does in Python."""
    return Text().with_variant(Text(collation="C"), "postgresql")


def counter_type() -> Any:
    # SQLite counts by itself only in a column called INTEGER
    return BigInteger().with_variant(Integer(), "sqlite")


_TYPES = {
    "text": text_type,
    "enum": text_type,
    "int": BigInteger,
    "float": Double,
    "bool": Boolean,
    "time": UtcDateTime,
    "bytes": LargeBinary,
    "mapping": JSON,
    "sequence": JSON,
}

#: what is asked for often: table → the columns of each index
INDEXES = {
    "audio": [("speaker_id",), ("split",), ("original_sha256",), ("created_at",)],
    "clips": [
        ("audio_id",),
        ("speaker_id",),
        ("split", "status", "provenance", "duration_s"),  # hours are summed from the index alone
        ("status", "reason"),
        ("created_at",),
    ],
    "transcripts": [("provenance",), ("updated_at",)],
    "transcript_revisions": [("audio_id", "revision")],
    "intake_outcomes": [("status", "code"), ("created_at",), ("audio_id",)],
    "audit": [("created_at",), ("subject",)],
    "jobs": [("state", "kind"), ("created_at",)],
    "training_runs": [("kind", "state"), ("snapshot_id",)],
    "epoch_metrics": [("run_id", "epoch")],
    "models": [("kind", "status"), ("run_id",), ("snapshot_id",)],
    "verdicts": [("kind", "created_at"), ("candidate_id",)],
    "predictions": [("model_id",), ("clip_id",)],
    "snapshots": [("created_at",)],
    "texts": [("audio_id",), ("embedder",)],
}


def _column(kind: type, field: Field) -> Column:
    target = REFERENCES.get((kind, field.name))
    foreign = [ForeignKey(f"{TABLES[target]}.{key_name(target)}")] if target else []
    return Column(
        field.name,
        _TYPES[field.sort](),
        *foreign,
        primary_key=field.name == key_name(kind),
        nullable=field.nullable,
    )


def _entity_table(metadata: MetaData, kind: type) -> Table:
    name = TABLES[kind]
    table = Table(name, metadata, *(_column(kind, field) for field in fields_of(kind).values()))
    for columns in INDEXES.get(name, []):
        Index(f"ix_{name}_{'_'.join(columns)}", *(table.c[column] for column in columns))
    return table


def _add_running_job_index(jobs: Table) -> None:
    running = text("state = 'running'")
    Index("uq_jobs_running_slot", jobs.c.slot, unique=True, sqlite_where=running, postgresql_where=running)


def _counter(name: str = "position") -> Column:
    return Column(name, counter_type(), primary_key=True, autoincrement=True)


def _event_tables(metadata: MetaData) -> None:
    Table("outbox", metadata, _counter(), Column("body", Text, nullable=False), sqlite_autoincrement=True)
    log = Table(
        "event_log",
        metadata,
        _counter(),
        Column("event_id", text_type(), nullable=False, unique=True),
        Column("type", text_type(), nullable=False),
        Column("body", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    Index("ix_event_log_type_position", log.c.type, log.c.position)
    Table(
        "event_cursors",
        metadata,
        Column("consumer", text_type(), primary_key=True),
        Column("type", text_type(), primary_key=True),
        Column("position", BigInteger, nullable=False),
    )
    _delivery_tables(metadata)


def _delivery_tables(metadata: MetaData) -> None:
    Table(
        "event_deliveries",
        metadata,
        Column("consumer", text_type(), primary_key=True),
        Column("position", BigInteger, primary_key=True),
        Column("type", text_type(), nullable=False),
        Column("attempt", BigInteger, nullable=False),
        Column("due_at", UtcDateTime, nullable=False),
        Column("token", text_type(), nullable=False),
    )
    Table(
        "dead_letters",
        metadata,
        Column("letter_id", text_type(), primary_key=True),
        Column("consumer", text_type(), nullable=False, index=True),
        Column("position", BigInteger, nullable=False),
        Column("type", text_type(), nullable=False),
        Column("code", text_type(), nullable=False),
        Column("reason", Text, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("at", UtcDateTime, nullable=False),
    )


def _text_changes(metadata: MetaData) -> None:
    """For each text that is or was there, the number of its last change; kept by triggers.

    Numbers rise, but one may be seen before a lower one whose unit of work lasts longer: on PostgreSQL
    readers go by the id of that (`written_in`).
    """
    columns = [_counter("number"), Column("text_id", text_type(), nullable=False, unique=True)]
    columns.append(Column("written_in", BigInteger, nullable=False, server_default=text("0")))
    table = Table("text_changes", metadata, *columns, sqlite_autoincrement=True)
    Index("ix_text_changes_written_in", table.c.written_in)


@cache
def schema() -> MetaData:
    """Every table. The migrations make the same; a test compares them."""
    metadata = MetaData()
    for kind in TABLES:
        _entity_table(metadata, kind)
    _add_running_job_index(metadata.tables["jobs"])
    _event_tables(metadata)
    _text_changes(metadata)
    return metadata
