"""Frozen dataclasses from YAML mappings: every key known, every value of its declared type."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from phonoloop.core.errors import ConfigError

T = TypeVar("T")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: `config.missing`, `config.not_yaml`.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError("there is no such recipe", code="config.missing", subject=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not YAML ({error})", code="config.not_yaml", subject=str(path)) from error
    if not isinstance(raw, dict):
        raise ConfigError(
            "this is not a mapping of names to values", code="config.not_yaml", subject=str(path)
        )
    return raw


def build(cls: type[T], raw: Mapping[str, Any], where: str = "") -> T:
    """An instance of a (nested) dataclass; what `raw` leaves out keeps its default.

    Args:
        where: what the keys lie under, for messages (`optimiser.`).

    Raises:
        ConfigError: `config.unknown_key` naming the nearest key there is, `config.wrong_type`,
            `config.missing_key`.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in raw:
        if key not in fields:
            _unknown(f"{where}{key}", str(key), fields)
    for name, field in fields.items():
        if name not in raw and _is_required(field):
            raise ConfigError(
                f"{where}{name} has to be given", code="config.missing_key", subject=f"{where}{name}"
            )
    return cls(**{name: _value(hints[name], value, f"{where}{name}") for name, value in raw.items()})


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _unknown(subject: str, key: str, known: Mapping[str, Any]) -> NoReturn:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}"
    raise ConfigError(f"there is no setting {key!r}", code="config.unknown_key", subject=subject, hint=hint)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _nested(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        return _union(hint, value, where)
    if origin in (tuple, list):
        return _sequence(hint, value, where)
    if origin is typing.Literal:
        return _literal(hint, value, where)
    return _scalar(hint, value, where)


def _nested(hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, hint):
        return value
    if not isinstance(value, Mapping):
        _wrong(where, value, "a mapping of names to values")
    return build(hint, value, f"{where}.")


def _union(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    for option in rest[:-1]:
        try:
            return _value(option, value, where)
        except ConfigError:
            continue
    return _value(rest[-1], value, where)


def _sequence(hint: Any, value: Any, where: str) -> tuple:
    if not isinstance(value, list | tuple):
        _wrong(where, value, "a list")
    options = typing.get_args(hint)
    variadic = typing.get_origin(hint) is list or options[-1] is Ellipsis
    kinds = [options[0]] * len(value) if variadic else list(options)
    if len(kinds) != len(value):
        _wrong(where, value, f"a list of {len(kinds)}")
    return tuple(
        _value(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _literal(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint)
    if value not in options:
        near = difflib.get_close_matches(str(value), [str(option) for option in options], n=1)
        raise ConfigError(
            f"{value!r} is none of {', '.join(map(repr, options))}",
            code="config.wrong_value",
            subject=where,
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )
    return value


_NUMBER_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 2e-3 as a text
        return _float_of(value, where)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        _wrong(where, value, _NUMBER_NAMES.get(hint, f"a {getattr(hint, '__name__', hint)}"))
    return value


def _float_of(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        _wrong(where, text, "a number")


def _wrong(where: str, value: Any, wanted: str) -> NoReturn:
    raise ConfigError(f"{value!r} is not {wanted}", code="config.wrong_type", subject=where)


def to_mapping(value: Any) -> Any:
    """A (nested) dataclass as plain YAML values; `build` reads it back."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_mapping(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    return value
