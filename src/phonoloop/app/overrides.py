"""Values of a recipe that somebody wants to be others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from phonoloop.core.errors import ConfigError


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


def refuse_paths(
    overrides: Mapping[str, Any], names: Collection[str], *, what: str, hint: str, where: str = ""
) -> None:
    """Values that are files, folders or downloads are for whoever runs the server to name, in a recipe.

    Args:
        names: of these values, in whatever section.
        what: they are, for the message.

    Raises:
        ConfigError: `train.no_paths`.
    """
    for name, value in overrides.items():
        if str(name).split(".")[-1] in names:
            raise ConfigError(
                f"{what} cannot be named over HTTP",
                code="train.no_paths",
                subject=f"{where}{name}",
                hint=hint,
            )
        if isinstance(value, Mapping):
            refuse_paths(value, names, what=what, hint=hint, where=f"{where}{name}.")
