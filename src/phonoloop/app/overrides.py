"""Values of a recipe that somebody wants to be others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`{"optim.epochs": 3}` → `{"optim": {"epochs": 3}}`."""
    found: dict[str, Any] = {}
    for name, value in overrides.items():
        first, _, rest = str(name).partition(".")
        inner = {rest: value} if rest else value
        inner = nested(inner) if isinstance(inner, Mapping) else inner
        found = merged(found, {first: inner})
    return found


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, section by section."""
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = merged(old, value) if both else value
    return result
