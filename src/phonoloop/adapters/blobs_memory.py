"""Objects in memory, for tests."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from phonoloop.adapters.blob_keys import check_key, check_prefix, missing, no_source
from phonoloop.core.ports import BlobInfo


class MemoryBlobStore:
    """Objects in a dictionary. Files asked for by path are written to a temporary folder, which goes
    when the store does."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def put(self, key: str, source: bytes | Path) -> BlobInfo:
        check_key(key)
        if isinstance(source, Path) and not source.is_file():
            raise no_source(source)
        data = source.read_bytes() if isinstance(source, Path) else bytes(source)
        with self._lock:
            self._objects[key] = data
        return BlobInfo(key, len(data))

    def get(self, key: str) -> bytes:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise missing(key) from None

    def local_path(self, key: str) -> Path:
        data = self.get(key)
        name = f"{hashlib.sha256(data).hexdigest()[:16]}/{key.rpartition('/')[2]}"
        path = self._files() / name
        with self._lock:
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        return path

    def stat(self, key: str) -> BlobInfo | None:
        data = self._objects.get(check_key(key))
        return None if data is None else BlobInfo(key, len(data))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        check_prefix(prefix)
        with self._lock:
            found = [(key, len(data)) for key, data in self._objects.items() if key.startswith(prefix)]
        yield from (BlobInfo(key, size) for key, size in sorted(found))

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def _files(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="phonoloop-blobs-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            return self._folder
