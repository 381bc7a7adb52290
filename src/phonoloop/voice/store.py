"""Results of stages by what they were made of: whole or not there, made once, found again.

    cache/<stage>/<key>/      a result; `key` is the hash of its inputs, settings and algorithm version
    cache/.partial/           what is being made; a kill leaves it behind, the next run removes it
    cache/kept.json           what the last two different runs used; the rest is pruned

Nothing in a result's folder is changed once it is there, so other settings repeat only what they change, and
a recording that was replaced by another of the same name is another source.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phonoloop.core.errors import ConflictError
from phonoloop.core.files import disk_error, sync_folder, write_whole
from phonoloop.core.ids import content_id

CACHE = "cache"
_PARTIAL, _KEPT = ".partial", "kept.json"
_LOCK, _TEXTS_LOCK = ".lock", ".texts.lock"
_POLL_S = 0.05
#: a person's word on a text takes so long at most to be written
_PATIENCE_S = 10.0
#: as `write_whole` calls what it has not finished
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class Store:
    """The results below one folder, for one process at a time (see `opened`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._used: set[str] = set()

    def result(self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of a result, made by `make` in an empty folder where it is not there yet.

        Args:
            inputs: JSON values that decide it, the version of the algorithm among them.

        Raises:
            ResourceError: `resource.disk`; nothing half-made is left.
        """
        folder = self.root / stage / content_id(inputs)
        self.use(folder)
        if not folder.is_dir():
            self._make(folder, make)
        return folder

    def use(self, path: Path) -> None:
        """A result, or a file among results that grow one by one, that this run needs."""
        self._used.add(path.relative_to(self.root).as_posix())

    def _make(self, folder: Path, make: Callable[[Path], None]) -> None:
        partial = self.root / _PARTIAL / folder.name
        try:
            partial.mkdir(parents=True)
            make(partial)
            sync_tree(partial)
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.rename(partial, folder)
            sync_folder(folder.parent)
        except OSError as error:
            _remove(partial)
            if error.errno not in _NO_ROOM:
                raise
            raise disk_error(folder, error) from error
        except BaseException:
            _remove(partial)
            raise

    def prune(self) -> list[str]:
        """Removes what neither this run nor the one before it (with other results) used; says what went.

        To be called at the end of a run that came to its end.
        """
        path = self.root / _KEPT
        last, before = json.loads(path.read_text("utf-8")) if path.is_file() else ([], [])
        used = sorted(self._used)
        if used != last:
            last, before = used, last
            write_whole(path, json.dumps([last, before], indent=0).encode())
        kept = {*last, *before}
        gone = [name for name in self._entries() if not _is_kept(name, kept)]
        for name in gone:
            self._drop(self.root / name)
        return gone

    def _entries(self) -> list[str]:
        """Results, and single files where a run used single files of a result."""
        folders = [f for s in self._stages() for f in s.iterdir()]
        inside = {name.rsplit("/", 1)[0] for name in self._used if name.count("/") == 2}
        found = [f for f in folders if f.relative_to(self.root).as_posix() not in inside]
        found += [p for f in folders if f not in found for p in f.iterdir()]
        return sorted(p.relative_to(self.root).as_posix() for p in found)

    def _stages(self) -> list[Path]:
        return [p for p in self.root.iterdir() if p.is_dir() and p.name != _PARTIAL]

    def _drop(self, path: Path) -> None:
        """In one step out of sight, so that no kill leaves half a result."""
        if path.is_dir():
            aside = self.root / _PARTIAL / f"gone-{path.name}"
            aside.parent.mkdir(exist_ok=True)
            os.rename(path, aside)
            _remove(aside)
        else:
            path.unlink()

    def tidy(self) -> None:
        """Removes what a killed run left unfinished."""
        _remove(self.root / _PARTIAL)


def _is_kept(name: str, kept: set[str]) -> bool:
    return name in kept or any(one.startswith(f"{name}/") for one in kept)


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The store of a voice's folder, for this process alone; what a kill left unfinished is gone.

    Raises:
        ConflictError: `voice.busy`, another process works there.
        ResourceError: `resource.disk`.
    """
    root = folder / CACHE
    with _alone(root / _LOCK, _building(folder)):
        store = Store(root)
        with texts_alone(folder):
            store.tidy()
            _remove_unfinished(folder)
        yield store


@contextmanager
def texts_alone(folder: Path) -> Iterator[None]:
    """The texts of a voice's folder, for this process alone: for the stages of a build up to its dataset, and
    for what people say of the clips. A training needs no text any more, so they can be reviewed meanwhile.

    Raises:
        ConflictError: `voice.busy`, they are not free within ten seconds. ResourceError: `resource.disk`.
    """
    with _alone(folder / CACHE / _TEXTS_LOCK, _writing(folder), _PATIENCE_S):
        yield


@contextmanager
def _alone(path: Path, busy: ConflictError, patience_s: float = 0.0) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")
    except OSError as error:
        raise disk_error(path, error) from error
    until_s = time.monotonic() + patience_s
    with lock:
        while not _taken(lock.fileno()):
            if time.monotonic() >= until_s:
                raise busy
            time.sleep(_POLL_S)
        yield


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _building(folder: Path) -> ConflictError:
    return ConflictError(
        "another process is building this voice",
        code="voice.busy",
        subject=str(folder),
        hint="Wait for it to end, or take another folder",
    )


def _writing(folder: Path) -> ConflictError:
    return ConflictError(
        "another process is writing the texts of this voice",
        code="voice.busy",
        subject=str(folder),
        hint="Say it again once its build has a dataset; during the training it can be said",
    )


def _remove_unfinished(folder: Path) -> None:
    for path in folder.rglob(".*"):
        if _UNFINISHED.fullmatch(path.name) and path.is_file():
            path.unlink()


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def sync_tree(folder: Path) -> None:
    """Everything below, and the folder itself, survives a power cut."""
    for path in folder.rglob("*"):
        sync_folder(path)
    sync_folder(folder)
