"""Objects as files of a folder."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from phonoloop.adapters.blob_keys import TEMPORARY_PREFIX, check_key, check_prefix, missing, no_source
from phonoloop.core.errors import ConflictError, ResourceError, UnavailableError
from phonoloop.core.ports import BlobInfo

#: a left-over younger than this may belong to a write that is still going on
SWEEP_AGE_S = 24 * 3600.0

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class LocalBlobStore:
    """A key is a file's path below the root.

    An object is written beside its place, flushed to the disk, and renamed into place; then the
    folder is flushed. After a power cut there is the old object or the whole new one.

    Raises (any method):
        InputError: `blob.key`, `blob.source`.
        ResourceError: `disk.full`.
        ConflictError: `blob.is_folder`, where a key would be both an object and a folder of objects.
        UnavailableError: `blob.unwritable`.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, source: bytes | Path) -> BlobInfo:
        path = self._path(key)
        if isinstance(source, Path) and not source.is_file():
            raise no_source(source)
        with _explained(key):
            return BlobInfo(key, self._write(path, source))

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise missing(key) from None

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise missing(key)
        return path

    def stat(self, key: str) -> BlobInfo | None:
        path = self._path(key)
        try:
            return BlobInfo(key, path.stat().st_size) if path.is_file() else None
        except FileNotFoundError:  # deleted in between
            return None

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        check_prefix(prefix)
        yield from _walk(self.root / prefix, prefix)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _explained(key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            except (IsADirectoryError, PermissionError):
                if path.is_dir():  # a folder is not an object
                    return
                raise
            _flush_folder(path.parent)

    def sweep(self, *, older_than_s: float = SWEEP_AGE_S) -> int:
        """Removes what killed writes left behind; says how many files."""
        latest = time.time() - older_than_s
        swept = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                if name.startswith(TEMPORARY_PREFIX) and path.stat().st_mtime <= latest:
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _make_folder(self, folder: Path) -> None:
        """With its parents, each made known to the disk."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)

    def _write(self, path: Path, source: bytes | Path) -> int:
        folder = os.path.dirname(path)
        temporary = f"{folder}/{TEMPORARY_PREFIX}{uuid4().hex}"
        target = self._create(temporary)
        try:
            size = _fill(target, source)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _flush_folder(folder)
        return size

    def _create(self, path: str) -> int:
        """A new file, open for writing; mostly its folder is there."""
        try:
            return os.open(path, _NEW_FILE, 0o666)
        except FileNotFoundError:
            self._make_folder(Path(path).parent)
            return os.open(path, _NEW_FILE, 0o666)


def _fill(target: int, source: bytes | Path) -> int:
    """Writes, flushes and closes it; says how many bytes it has."""
    try:
        if isinstance(source, Path):
            with source.open("rb", buffering=0) as origin:
                while part := origin.read(1 << 20):
                    _write_all(target, part)
        else:
            _write_all(target, source)
        os.fsync(target)
        return os.lseek(target, 0, os.SEEK_CUR)
    finally:
        os.close(target)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _flush_folder(folder: str | Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(folder: Path, prefix: str) -> Iterator[BlobInfo]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    # a folder's objects sort by its name and a slash: `a-b` comes before `a/c`
    entries.sort(key=lambda entry: entry.name + "/" if entry.is_dir() else entry.name)
    for entry in entries:
        if entry.name.startswith(TEMPORARY_PREFIX):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        elif (size := _size(entry)) is not None:
            yield BlobInfo(prefix + entry.name, size)


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # deleted while we list
        return None


@contextmanager
def _explained(key: str) -> Iterator[None]:
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise ConflictError(
            "a key cannot be an object and a folder of objects",
            code="blob.is_folder",
            subject=key,
            hint="Choose another key, or delete the one that is in the way",
        ) from error
    except OSError as error:
        raise _of_os_error(key, error) from error


def _of_os_error(key: str, error: OSError) -> ResourceError | UnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            "the disk is full, the object was not stored",
            code="disk.full",
            subject=key,
            hint="Free some space in the data folder, or move it to a larger disk, then try again",
        )
    return UnavailableError(
        f"the object could not be written ({error.strerror})",
        code="blob.unwritable",
        subject=key,
        hint="Check that the data folder is there and may be written to",
    )
