"""Files that are whole or not there."""

import os
import stat

import pytest

from phonoloop.core.errors import ResourceError
from phonoloop.core.files import mark, write_whole


def test_a_file_takes_the_place_of_an_earlier_one(tmp_path):
    path = tmp_path / "new" / "a.json"
    for data in (b"one", b"two"):
        write_whole(path, data)
        assert path.read_bytes() == data
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


def test_others_may_read_it_where_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_what_fails_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"one")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError) as caught:
        write_whole(path, b"two")
    assert caught.value.code == "resource.disk"
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"one")]


def test_a_mark_is_one_file_and_nothing_beside_it_at_any_moment(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("os.fsync", lambda _: seen.append([path.name for path in tmp_path.iterdir()]))
    mark(tmp_path / ".writing")
    mark(tmp_path / ".writing")
    assert seen == [[".writing"]] * 2


def test_a_mark_that_cannot_be_made_is_said(tmp_path):
    with pytest.raises(ResourceError) as refused:
        mark(tmp_path / "nowhere" / ".writing")
    assert refused.value.code == "resource.disk"
