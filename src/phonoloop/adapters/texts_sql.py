"""The texts of records in SQLite (words in FTS5) or PostgreSQL (words in full text search).

Words come cut from the program, and are handed over so that neither database cuts or changes them: to
FTS5 as quoted phrases, to PostgreSQL as lexemes, which is what its `simple` configuration makes of words.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from phonoloop.adapters import sql_mapping as mapping
from phonoloop.adapters.entities import fields_of
from phonoloop.adapters.sql_database import Database
from phonoloop.adapters.sql_schema import schema
from phonoloop.data.model import IndexedText, Recording, SearchIndex, Speaker
from phonoloop.search.ports import COLLECTION, Changes, Filters, FoundText, Terms, WordHit

_BATCH = 2_000
_MOST_PARAMETERS = 500
_NOT_BEGUN = literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_FTS = table("texts_words", column("rowid"))


class SqlTexts:
    """Reads beside whoever writes: no look keeps a writer waiting, or is kept waiting by one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._words = _sqlite_words if database.is_sqlite else _postgresql_words

    def index(self) -> SearchIndex | None:
        with self._database.read() as connection:
            row = connection.execute(mapping.select_by_key(SearchIndex), {"key": COLLECTION}).first()
        return None if row is None else mapping.to_entity(SearchIndex, row)

    def changes(self, since: int, visit: Callable[[Changes], object]) -> int:
        with self._database.read() as connection:
            now = self._mark(connection)
            if self._database.is_sqlite and now == since:
                return now
            changed = self._changed(since if since <= now else 0)  # else the records are an older copy
            found = connection.execution_options(yield_per=_BATCH).execute(changed)
            for rows in found.partitions():
                visit(_changes(rows))
        return now

    def _mark(self, connection: Connection) -> int:
        """SQLite writes one unit of work after another, so numbers tell. On PostgreSQL those that are under
        way at this look may still bring lower ones: at the oldest of them the next look begins."""
        if self._database.is_sqlite:
            return connection.scalar(text("SELECT coalesce(max(number), 0) FROM text_changes"))
        return connection.scalar(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))

    def _changed(self, since: int) -> Select:
        """What is after `since`. What a restored backup says of units of work that this server has not begun
        yet is seen at the first look only."""
        tables = schema().tables
        changes, texts = tables["text_changes"], tables["texts"]
        fresh = [changes.c.number > since]
        if not self._database.is_sqlite:
            fresh = [changes.c.written_in >= since]
            fresh += [changes.c.written_in < _NOT_BEGUN] if since else []
        joined = changes.outerjoin(texts, changes.c.text_id == texts.c.text_id)
        return select(changes.c.text_id.label("changed_id"), texts).select_from(joined).where(*fresh)

    def find_words(self, terms: Terms, filters: Filters, *, limit: int) -> list[WordHit]:
        if not terms.columns():
            return []
        with self._database.read() as connection:
            found = connection.execute(self._words(terms, filters, limit))
            return [WordHit(*row) for row in found]

    def read(self, text_ids: Sequence[str]) -> list[FoundText]:
        with self._database.read() as connection:
            rows = [
                row
                for start in range(0, len(text_ids), _MOST_PARAMETERS)
                for row in _rows(connection, text_ids[start : start + _MOST_PARAMETERS])
            ]
        known = {found.text.text_id: found for found in map(_found, rows)}
        return [known[name] for name in text_ids if name in known]


def _changes(rows: Sequence[Row]) -> Changes:
    there = [mapping.to_entity(IndexedText, row[1:]) for row in rows if row[1] is not None]
    return Changes(there, [row[0] for row in rows if row[1] is None])


def _rows(connection: Connection, names: Sequence[str]) -> Sequence[Row]:
    return connection.execute(_with_what_is_around(), {"names": list(names)}).all()


@cache
def _with_what_is_around() -> Select:
    tables = schema().tables
    texts, audio, speakers = tables["texts"], tables["audio"], tables["speakers"]
    joined = texts.outerjoin(audio, texts.c.audio_id == audio.c.audio_id)
    joined = joined.outerjoin(speakers, texts.c.speaker_id == speakers.c.speaker_id)
    named = texts.c.text_id.in_(bindparam("names", expanding=True))
    return select(*texts.c, *audio.c, *speakers.c).select_from(joined).where(named)


def _found(row: Row) -> FoundText:
    values = list(row)
    parts = []
    for kind in (IndexedText, Recording, Speaker):
        names = list(fields_of(kind))
        part, values = values[: len(names)], values[len(names) :]
        parts.append(dict(zip(names, part, strict=True)) if part[0] is not None else {})
    entity = mapping.to_entity(IndexedText, list(parts[0].values()))
    return FoundText(entity, parts[1], parts[2])


def _clauses(filters: Filters) -> list[ColumnElement[bool]]:
    texts = schema().tables["texts"].c
    named = (
        (filters.split, operator.eq, texts.split),
        (filters.speaker_id, operator.eq, texts.speaker_id),
        (filters.provenance, operator.eq, texts.provenance),
        (filters.min_snr_db, operator.ge, texts.snr_db),
        (filters.date_from, operator.ge, texts.recorded_at),
        (filters.date_to, operator.lt, texts.recorded_at),
    )
    return [compare(column, value) for value, compare, column in named if value is not None]


def _sqlite_words(terms: Terms, filters: Filters, limit: int) -> Select:
    """First which texts, by what is filtered by alone: most that match are not wanted. Then these."""
    tables = schema().tables
    changes, texts = tables["text_changes"], tables["texts"]
    clauses = _clauses(filters)
    order = literal_column("texts_words.rank") if terms.ranked else -_FTS.c.rowid
    asked = text("texts_words MATCH :asked").bindparams(asked=_fts5_query(terms))
    matching = select(_FTS.c.rowid.label("number"), order.label("place")).where(asked, *clauses)
    if clauses:
        numbered = _FTS.join(changes, _FTS.c.rowid == changes.c.number)
        matching = matching.select_from(numbered.join(texts, texts.c.text_id == changes.c.text_id))
    best = matching.order_by(order).limit(limit).subquery()
    joined = best.join(changes, best.c.number == changes.c.number)
    joined = joined.join(texts, texts.c.text_id == changes.c.text_id)
    return select(*_judged_by(texts)).select_from(joined).order_by(best.c.place)


def _judged_by(texts: Table) -> list[Column]:
    return [texts.c[field.name] for field in fields(WordHit)]


def _fts5_query(terms: Terms) -> str:
    """Every term as a quoted phrase, in which nothing but a quote means anything."""
    return " OR ".join(
        f'{column} : "{term.replace(chr(34), chr(34) * 2)}"'
        for column, wanted in terms.columns().items()
        for term in wanted
    )


def _postgresql_words(terms: Terms, filters: Filters, limit: int) -> Select:
    texts = schema().tables["texts"]
    columns = terms.columns()
    asked = or_(*(_holds(column, list(wanted)) for column, wanted in columns.items()))
    said = [
        case((_holds(column, [term]), weight), else_=0.0)
        for column, wanted in columns.items()
        for term, weight in wanted.items()
    ]
    order = sum(said[1:], said[0]).desc() if terms.ranked else texts.c.recorded_at.desc()
    return (
        select(*_judged_by(texts))
        .where(asked, *_clauses(filters))
        .order_by(order, texts.c.text_id)
        .limit(limit)
    )


def _holds(column: str, terms: Sequence[str]) -> ColumnElement[bool]:
    """As the index has it, word by word."""
    there = func.array_to_tsvector(
        func.string_to_array(schema().tables["texts"].c[column], literal_column("' '"))
    )
    return there.bool_op("@@")(cast(" | ".join(map(_lexeme, terms)), TSQUERY))


def _lexeme(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"
