"""What both kinds of records share: the recorded classes, their fields, and criteria over them."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from phonoloop.core.errors import InputError
from phonoloop.data.model import (
    AuditEntry,
    Clip,
    GoldenSet,
    IndexedText,
    IntakeOutcome,
    Processed,
    Recording,
    SearchIndex,
    Snapshot,
    Speaker,
    Transcript,
    TranscriptRevision,
)
from phonoloop.jobs.model import Job, TriggerFiring
from phonoloop.registry.model import Champion, EpochMetric, Model, Prediction, TrainingRun, Verdict

#: every recorded class and the table it lies in, in an order in which what is referred to comes first
TABLES: Mapping[type, str] = {
    Speaker: "speakers",
    Recording: "audio",
    Clip: "clips",
    Transcript: "transcripts",
    TranscriptRevision: "transcript_revisions",
    IndexedText: "texts",
    SearchIndex: "search_indexes",
    Snapshot: "snapshots",
    GoldenSet: "golden_sets",
    IntakeOutcome: "intake_outcomes",
    Processed: "processed",
    AuditEntry: "audit",
    Job: "jobs",
    TriggerFiring: "trigger_firings",
    TrainingRun: "training_runs",
    EpochMetric: "epoch_metrics",
    Model: "models",
    Champion: "champions",
    Verdict: "verdicts",
    Prediction: "predictions",
}

#: (class, field) → class whose key it holds; nothing may refer to what is not there
REFERENCES: Mapping[tuple[type, str], type] = {
    (Recording, "speaker_id"): Speaker,
    (Clip, "audio_id"): Recording,
    (Clip, "speaker_id"): Speaker,
}

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a recorded class.

    Attributes:
        sort: `text`, `int`, `float`, `bool`, `time`, `bytes`, `enum`, `mapping` or `sequence`.
        enum: the class of its values where `sort` is `enum`.
    """

    name: str
    sort: str
    nullable: bool = False
    enum: type[StrEnum] | None = None

    @property
    def is_json(self) -> bool:
        return self.sort in ("mapping", "sequence")

    @property
    def is_searchable(self) -> bool:
        return not self.is_json and self.sort != "bytes"


_SORTS = {str: "text", int: "int", float: "float", bool: "bool", datetime: "time", bytes: "bytes"}


def _field(name: str, hint: Any) -> Field:
    nullable = get_origin(hint) is UnionType
    if nullable:
        (hint,) = [part for part in get_args(hint) if part is not NoneType]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Field(name, "enum", nullable, hint)
    container = get_origin(hint)
    if container is not None:
        return Field(name, "mapping" if issubclass(container, Mapping) else "sequence", nullable)
    return Field(name, _SORTS[hint], nullable)


@cache
def fields_of(kind: type) -> Mapping[str, Field]:
    """The fields of a recorded class by name; the first is its key.

    Raises:
        InputError: `records.unknown_kind`, where the class is not a recorded one.
    """
    if kind not in TABLES:
        raise InputError(
            f"{kind.__name__} is not a class of things that are recorded",
            code="records.unknown_kind",
            hint="The recorded classes are listed in phonoloop.adapters.entities.TABLES",
        )
    hints = get_type_hints(kind)
    return {field.name: _field(field.name, hints[field.name]) for field in fields(kind)}


@cache
def key_name(kind: type) -> str:
    return next(iter(fields_of(kind)))


def key_of(entity: Any) -> str:
    return getattr(entity, key_name(type(entity)))


def _refuse(field: Field, why: str) -> InputError:
    return InputError(f"the field {field.name} {why}", code="records.value", subject=field.name)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _refuse(field, f"takes text, not {type(value).__name__}")
    if "\0" in value:
        raise _refuse(field, "holds a NUL character, which no database keeps")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _refuse(field, "holds half a surrogate pair, which is not text") from error
    return str(value)


def _float(field: Field, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _refuse(field, f"takes a number, not {value!r}") from error
    if math.isnan(number):
        raise _refuse(field, "is not a number (NaN)")
    return number


def _int(field: Field, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise _refuse(field, f"takes a whole number, not {value!r}") from error


def _time(field: Field, value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _refuse(field, "takes a time with its zone")
    return value.astimezone(UTC)


def _bytes(field: Field, value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise _refuse(field, f"takes bytes, not {type(value).__name__}")
    return value


def _enum(field: Field, value: Any) -> StrEnum:
    try:
        return field.enum(value)
    except ValueError as error:
        raise _refuse(field, f"cannot be {value!r}") from error


def _json(field: Field, value: Any) -> Any:
    try:
        copied = json.loads(json.dumps(value, allow_nan=False, default=_plain))
        json.dumps(copied, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise _refuse(field, f"holds what JSON cannot ({error})") from error
    wanted = dict if field.sort == "mapping" else list
    if not isinstance(copied, wanted):
        raise _refuse(field, f"takes a {field.sort}, not {type(value).__name__}")
    return copied if field.sort == "mapping" else tuple(copied)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_CHECKS: Mapping[str, Callable[[Field, Any], Any]] = {
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": lambda field, value: bool(value),
    "time": _time,
    "bytes": _bytes,
    "enum": _enum,
    "mapping": _json,
    "sequence": _json,
}


def checked(field: Field, value: Any) -> Any:
    """The value as the records keep it: times in UTC, enumerations as such, JSON copied, sequences
    as tuples.

    Raises:
        InputError: `records.value`, where the field cannot hold it.
    """
    if value is None:
        if field.nullable:
            return None
        raise _refuse(field, "cannot be empty")
    return _CHECKS[field.sort](field, value)


def values_of(entity: Any) -> dict[str, Any]:
    """Every field of an entity, checked."""
    known = fields_of(type(entity))
    return {name: checked(field, getattr(entity, name)) for name, field in known.items()}


@dataclass(frozen=True, slots=True)
class Criterion:
    """`operation`: `eq`, `in` or one of `OPERATORS`."""

    field: Field
    operation: str
    value: Any


def _unknown_field(kind: type, name: str) -> InputError:
    return InputError(
        f"{kind.__name__} has no field {name!r} to search by",
        code="records.unknown_field",
        subject=name,
        hint=f"It has {', '.join(name for name, field in fields_of(kind).items() if field.is_searchable)}",
    )


def searchable(kind: type, name: str) -> Field:
    """The field of that name, which must hold neither JSON nor bytes.

    Raises:
        InputError: `records.unknown_field`.
    """
    field = fields_of(kind).get(name)
    if field is None or not field.is_searchable:
        raise _unknown_field(kind, name)
    return field


def _criterion(kind: type, name: str, value: Any) -> Criterion:
    plain, _, operation = name.partition("__")
    operation = operation or "eq"
    if operation not in ("eq", "in", *OPERATORS):
        raise _unknown_field(kind, name)
    field = searchable(kind, plain)
    if operation == "in":
        return Criterion(field, "in", [None if v is None else checked(field, v) for v in value])
    return Criterion(field, operation, None if value is None else checked(field, value))


def parse_criteria(kind: type, criteria: Mapping[str, Any]) -> list[Criterion]:
    """Criteria as keyword arguments, checked against the class.

    Raises:
        InputError: `records.unknown_field` for a field or an operator that does not exist,
            `records.value` for a value that the field cannot hold.
    """
    return [_criterion(kind, name, value) for name, value in criteria.items()]


def numeric(kind: type, name: str) -> Field:
    """The field of that name, which must hold numbers.

    Raises:
        InputError: `records.unknown_field`.
    """
    field = searchable(kind, name)
    if field.sort not in ("int", "float"):
        raise _unknown_field(kind, name)
    return field
