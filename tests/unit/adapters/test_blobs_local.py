from __future__ import annotations

import errno
import os
import time

import pytest

from phonoloop.adapters import blobs_local
from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.core.errors import ConflictError, ResourceError, UnavailableError


@pytest.fixture
def store(tmp_path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "store")


def files(store: LocalBlobStore) -> list[str]:
    return sorted(str(p.relative_to(store.root)) for p in store.root.rglob("*") if p.is_file())


def test_an_object_is_flushed_before_it_takes_its_place_and_its_folder_after(store, monkeypatch):
    steps = []
    store.put("a/old", b"")
    fsync, replace = os.fsync, os.replace

    def note_flush(descriptor: int) -> None:
        steps.append("flush folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "flush file")
        fsync(descriptor)

    def note_rename(source, target) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "replace", note_rename)
    store.put("a/b", b"x")
    assert steps == ["flush file", "rename", "flush folder"]


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, ResourceError, "disk.full"),
        (errno.EDQUOT, ResourceError, "disk.full"),
        (errno.EROFS, UnavailableError, "blob.unwritable"),
    ],
)
def test_a_disk_that_takes_no_more(store, monkeypatch, tmp_path, as_file, number, kind, code):
    store.put("a", b"before")
    source = tmp_path / "source"
    source.write_bytes(b"after")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as refusal:
        store.put("a", source if as_file else b"after")
    assert refusal.value.code == code
    assert refusal.value.hint
    assert store.get("a") == b"before"
    assert files(store) == ["a"]


def test_left_overs_are_hidden_and_swept_when_they_are_old(store):
    store.put("a/b", b"x")
    young, old = store.root / "a/.tmp-young", store.root / "a/.tmp-old"
    young.write_bytes(b"half")
    old.write_bytes(b"half")
    day_before_yesterday = time.time() - 2 * 24 * 3600
    os.utime(old, (day_before_yesterday, day_before_yesterday))
    assert [info.key for info in store.list("")] == ["a/b"]
    assert store.sweep() == 1
    assert files(store) == ["a/.tmp-young", "a/b"]
    assert store.sweep(older_than_s=0) == 1


def test_a_key_is_an_object_or_a_folder(store):
    store.put("a", b"x")
    with pytest.raises(ConflictError) as refusal:
        store.put("a/b", b"y")
    assert refusal.value.code == "blob.is_folder"
    store.put("c/d", b"x")
    with pytest.raises(ConflictError):
        store.put("c", b"y")
    assert files(store) == ["a", "c/d"]


def test_a_short_write_is_continued(store, monkeypatch):
    write = os.write
    monkeypatch.setattr(blobs_local.os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    store.put("a", b"0123456789" * 5)
    assert store.get("a") == b"0123456789" * 5


def test_storing_ten_seconds_of_speech_costs_little(store):
    data = os.urandom(320_000)
    store.put("warm", data)
    start = time.process_time()
    for i in range(20):
        store.put(f"k{i}", data)
    assert (time.process_time() - start) / 20 < 0.005  # measured 0.0005; the margin is for a busy machine
