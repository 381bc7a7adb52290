"""Recipes: where those that ship lie, and how any of them is found and checked."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable
from pathlib import Path

from phonoloop.core.errors import ConfigError

#: what a setting must hold: its name, whether it does, and what is said where it does not
Rule = tuple[str, bool, str]


def recipe_names(pillar: str) -> list[str]:
    """The recipes that ship for `asr`, `wakeword`, …"""
    return sorted(path.stem for path in _shipped(pillar).iterdir() if path.suffix == ".yaml")


def _shipped(pillar: str) -> Path:
    """`recipes/<pillar>` of a checkout, else the copy in the installed package."""
    checkout = Path(__file__).parents[3] / "recipes" / pillar
    if checkout.is_dir():
        return checkout
    return Path(str(importlib.resources.files("phonoloop"))) / "recipes" / pillar


def find_recipe(pillar: str, name_or_path: str | Path) -> Path:
    """The file of a recipe that ships, by its name; a path is given back as it is.

    Raises:
        ConfigError: `config.missing` where no recipe has this name.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.parent != Path("."):
        return path
    shipped = _shipped(pillar) / f"{name_or_path}.yaml"
    if not shipped.is_file():
        raise ConfigError(
            f"there is no recipe {str(name_or_path)!r}",
            code="config.missing",
            subject=str(name_or_path),
            hint=f"Take one of {', '.join(recipe_names(pillar))}, or give the path of a .yaml file",
        )
    return shipped


def enforce(rules: Iterable[Rule]) -> None:
    """Raises ConfigError `config.wrong_value` for the first rule that does not hold."""
    for subject, holds, message in rules:
        if not holds:
            raise ConfigError(message, code="config.wrong_value", subject=subject)
