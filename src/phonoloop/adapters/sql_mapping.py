"""Entities as rows and back, and the statements for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, false, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from phonoloop.adapters.entities import (
    OPERATORS,
    TABLES,
    Criterion,
    fields_of,
    key_name,
    numeric,
    parse_criteria,
    searchable,
)
from phonoloop.adapters.sql_schema import schema

E = TypeVar("E")


def table_of(kind: type) -> Table:
    fields_of(kind)  # says so where it is not a recorded class
    return schema().tables[TABLES[kind]]


@cache
def _revivers(kind: type) -> tuple[tuple[int, Any], ...]:
    """Positions of the fields that a row does not hold as the entity does, and what makes them so."""
    found = []
    for position, field in enumerate(fields_of(kind).values()):
        if field.sort == "enum":
            found.append((position, field.enum))
        elif field.sort == "sequence":
            found.append((position, tuple))
    return tuple(found)


def to_entity(kind: type[E], row: Any) -> E:
    values = list(row)
    for position, revive in _revivers(kind):
        if values[position] is not None:
            values[position] = revive(values[position])
    return kind(**dict(zip(fields_of(kind), values, strict=True)))


@cache
def select_by_key(kind: type) -> Select:
    table = table_of(kind)
    return select(table).where(table.c[key_name(kind)] == bindparam("key"))


@cache
def delete_by_key(kind: type) -> Any:
    table = table_of(kind)
    return delete(table).where(table.c[key_name(kind)] == bindparam("key"))


def insert_into(table: Table, dialect: str) -> Any:
    """An INSERT that knows about conflicts."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def upsert(kind: type, dialect: str) -> Any:
    key = key_name(kind)
    statement = insert_into(table_of(kind), dialect)
    others = {name: statement.excluded[name] for name in fields_of(kind) if name != key}
    return statement.on_conflict_do_update(index_elements=[key], set_=others)


@cache
def insert_if_new(kind: type, dialect: str) -> Any:
    statement = insert_into(table_of(kind), dialect)
    return statement.on_conflict_do_nothing(index_elements=[key_name(kind)]).execution_options(
        preserve_rowcount=True
    )


def _clause(table: Table, criterion: Criterion) -> ColumnElement[bool]:
    column = table.c[criterion.field.name]
    if criterion.operation == "eq":
        return column.is_(None) if criterion.value is None else column == criterion.value
    if criterion.operation == "in":
        present = [value for value in criterion.value if value is not None]
        clause = column.in_(present)
        return or_(clause, column.is_(None)) if len(present) < len(criterion.value) else clause
    if criterion.value is None:
        return false()
    return OPERATORS[criterion.operation](column, criterion.value)


def _clauses(kind: type, criteria: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [_clause(table_of(kind), criterion) for criterion in parse_criteria(kind, criteria)]


def select_matching(
    kind: type, criteria: Mapping[str, Any], *, order_by: str, descending: bool, limit: int | None
) -> Select:
    table = table_of(kind)
    key = table.c[key_name(kind)]
    order = table.c[searchable(kind, order_by or key.name).name]
    ranks = [order] if order is key else [order, key]
    if descending:
        ranks = [rank.desc().nulls_last() if rank.nullable else rank.desc() for rank in ranks]
    else:
        ranks = [rank.asc().nulls_first() if rank.nullable else rank.asc() for rank in ranks]
    return select(table).where(*_clauses(kind, criteria)).order_by(*ranks).limit(limit)


def select_total(kind: type, field: str, criteria: Mapping[str, Any]) -> Select:
    table = table_of(kind)
    what = func.sum(table.c[numeric(kind, field).name]) if field else func.count()
    return select(what).select_from(table).where(*_clauses(kind, criteria))
