"""Files that are whole or not there."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phonoloop.core.errors import ConflictError, ResourceError


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that readers see the old one or the whole new one, also after a power cut.

    Raises:
        ResourceError: `resource.disk` where the disk is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # not by `tempfile`: its files are for their owner alone, and another user may have to read this
        with path.with_name(f".{path.name}.{uuid.uuid4().hex}").open("xb") as file:
            _write_synced(file, data, path)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def mark(path: Path) -> None:
    """An empty file, there also after a power cut. Nothing else is written on the way, which a kill could
    leave behind.

    Raises:
        ResourceError: `resource.disk` where the disk is full or refuses.
    """
    try:
        path.touch()
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def switch_link(link: Path, target: str) -> None:
    """Makes a link point at a folder; readers find the old one or the new one, at any moment."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    os.replace(temporary, link)
    sync_folder(link.parent)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """One process at a time reads the records and switches a link in the folder: or an older choice could
    come last. The others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_empty(folder: Path) -> None:
    """For what is exported into a folder of its own.

    Raises:
        ConflictError: `export.not_empty`, where there is a file or a folder with anything in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(
            "there is something already",
            code="export.not_empty",
            subject=str(folder),
            hint="Name a folder that is empty or does not exist",
        )


def disk_error(path: Path, error: OSError) -> ResourceError:
    """What a refused write is told as: `resource.disk`."""
    return ResourceError(
        f"cannot be written ({error.strerror})",
        code="resource.disk",
        subject=str(path),
        hint="Free disk space and start again: the run resumes",
    )


def _write_synced(file: Any, data: bytes, path: Path) -> None:
    try:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.replace(file.name, path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """A folder's list of names, or a file's content, survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
