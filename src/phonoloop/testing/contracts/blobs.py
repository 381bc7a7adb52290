"""What every store of objects does.

A test class inherits from the suite and gives it a fixture `make`: a function that opens the store of
this test. Called again it opens the same one again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.core.ports import BlobInfo, BlobStore

Make = Callable[[], BlobStore]


class BlobsContract:
    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "one", "more"])
    def test_what_was_put_is_what_one_gets(self, make: Make, data: bytes):
        assert make().put("a/b.bin", data) == BlobInfo("a/b.bin", len(data))
        assert make().get("a/b.bin") == data
        assert make().stat("a/b.bin") == BlobInfo("a/b.bin", len(data))

    def test_a_file_is_stored_and_stays_where_it_is(self, make: Make, tmp_path: Path):
        source = tmp_path / "source.wav"
        source.write_bytes(b"first")
        assert make().put("a", source).size_bytes == 5
        assert source.read_bytes() == b"first"
        source.write_bytes(b"second")
        assert make().get("a") == b"first"

    def test_a_file_that_is_not_there_is_refused(self, make: Make, tmp_path: Path):
        with pytest.raises(InputError) as refusal:
            make().put("a", tmp_path / "nothing")
        assert refusal.value.code == "blob.source"
        assert make().stat("a") is None

    def test_putting_again_replaces(self, make: Make):
        store = make()
        store.put("a", b"a long object")
        store.put("a", b"short")
        assert store.get("a") == b"short"
        assert store.stat("a").size_bytes == 5

    def test_a_local_path_has_the_content_and_the_ending(self, make: Make):
        store = make()
        store.put("audio/raw/x.wav", b"RIFF")
        path = store.local_path("audio/raw/x.wav")
        assert path.read_bytes() == b"RIFF"
        assert path.suffix == ".wav"

    @pytest.mark.parametrize("ask", ["get", "local_path"])
    @pytest.mark.parametrize("key", ["nothing", "a", "a/b/c"])
    def test_what_is_not_there(self, make: Make, ask: str, key: str):
        store = make()
        store.put("a/b", b"x")
        with pytest.raises(NotFoundError) as refusal:
            getattr(store, ask)(key)
        assert refusal.value.code == "blob.missing"
        assert store.stat(key) is None

    def test_deleting_forgets_and_twice_is_once(self, make: Make):
        store = make()
        store.put("a/b", b"x")
        for key in ("a/b", "a/b", "a", "never/was"):
            store.delete(key)
        assert store.stat("a/b") is None
        assert list(store.list("")) == []

    def test_a_list_is_in_key_order_and_by_whole_folders(self, make: Make):
        store = make()
        keys = ["a/b", "a-b/c", "a/b.c", "a/B", "ab", "a/c/d", "đ/e", "z", "a.b"]
        for size, key in enumerate(keys):
            store.put(key, b"." * size)
        assert [info.key for info in store.list("")] == sorted(keys)
        assert [info.key for info in store.list("a/")] == ["a/B", "a/b", "a/b.c", "a/c/d"]
        assert [(info.key, info.size_bytes) for info in store.list("a/c/")] == [("a/c/d", 5)]
        assert list(store.list("none/")) == []

    @pytest.mark.parametrize(
        "key",
        [
            *("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "./a"),
            *("a\0b", "a\nb", "a\x7f", "a\\b", ".tmp-x", "a/.tmp-x/b", "x" * 256, "\ud800", "a/" * 600 + "a"),
        ],
        ids=ascii,
    )
    def test_what_is_not_a_key(self, make: Make, key: str):
        store = make()
        for ask in (store.get, store.stat, store.local_path, store.delete, lambda k: store.put(k, b"")):
            with pytest.raises(InputError) as refusal:
                ask(key)
            assert refusal.value.code == "blob.key"
        assert list(store.list("")) == []

    @pytest.mark.parametrize("prefix", ["a", "/", "../", "a/../", "a//"])
    def test_what_is_not_a_prefix(self, make: Make, prefix: str):
        with pytest.raises(InputError) as refusal:
            list(make().list(prefix))
        assert refusal.value.code == "blob.key"

    @pytest.mark.parametrize("key", ["...", ".hidden", "a b", "chữ Việt/ờ.wav", "a:b?*|<>", "x" * 255])
    def test_odd_keys_are_keys(self, make: Make, key: str):
        make().put(key, b"x")
        assert [info.key for info in make().list("")] == [key]

    def test_readers_see_whole_objects_while_they_are_replaced(self, make: Make):
        store = make()
        store.put("a", b"0" * 100_000)
        seen = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                data = store.get("a")
                seen.add((len(data), len(set(data))))

        reader = threading.Thread(target=read)
        reader.start()
        for i in range(40):
            store.put("a", str(i % 10).encode() * 100_000)
        done.set()
        reader.join()
        assert seen == {(100_000, 1)}
