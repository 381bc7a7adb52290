"""What the teachers share: the look at a model directory before anything is loaded from it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from phonoloop.core.errors import ConfigError, UnavailableError


def installed(name: str) -> ModuleType:
    """The module of that name. `UnavailableError` `teacher.not_installed` where it is not there."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UnavailableError(
            f"the teacher needs the package {name}, which cannot be loaded ({error})",
            code="teacher.not_installed",
            subject=name,
            hint="Install it with: pip install 'phonoloop[teachers]'",
        ) from error


def existing_directory(path: Path) -> Path:
    """`ConfigError` `teacher.no_directory` where it is not one."""
    if not path.is_dir():
        raise ConfigError(
            "there is no such model directory",
            code="teacher.no_directory",
            subject=str(path),
            hint="Give the directory into which the model was unpacked",
        )
    return path


def incomplete(path: Path, missing: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the model directory lacks {', '.join(missing)}",
        code="teacher.incomplete",
        subject=str(path),
        hint="Download or convert the model again, with all of its files",
    )
