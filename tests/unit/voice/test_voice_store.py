"""Results by what they were made of: made once, whole or not there, pruned when nobody needs them."""

import errno
import os

import pytest

from phonoloop.core.errors import ConflictError, ResourceError
from phonoloop.voice.store import CACHE, opened


def write(text):
    return lambda folder: (folder / "a.txt").write_text(text)


def names(folder):
    return sorted(str(p.relative_to(folder / CACHE)) for p in (folder / CACHE).glob("*/*"))


def test_a_result_is_made_once_for_the_same_inputs(tmp_path):
    made = []
    with opened(tmp_path) as store:
        for inputs in ({"max_s": 12}, {"max_s": 12}, {"max_s": 10}):
            store.result("segment", inputs, made.append)
    assert len(made) == 2
    assert len(names(tmp_path)) == 2


def test_what_fails_leaves_nothing_and_is_made_again(tmp_path):
    def fail(folder):
        (folder / "half.txt").write_text("half")
        raise ValueError

    with opened(tmp_path) as store:
        with pytest.raises(ValueError):
            store.result("segment", {}, fail)
        assert names(tmp_path) == []
        assert (store.result("segment", {}, write("whole")) / "a.txt").read_text() == "whole"


def test_a_full_disk_is_said(tmp_path):
    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(tmp_path) as store, pytest.raises(ResourceError) as caught:
        store.result("segment", {}, full)
    assert caught.value.code == "resource.disk"
    assert caught.value.hint


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(tmp_path):
    def missing(folder):
        (folder / "none").read_text()

    with opened(tmp_path) as store, pytest.raises(FileNotFoundError):
        store.result("segment", {}, missing)


def test_only_one_process_works_in_a_folder(tmp_path):
    with opened(tmp_path), pytest.raises(ConflictError) as caught, opened(tmp_path):
        pass
    assert caught.value.code == "voice.busy"


def test_what_a_kill_left_unfinished_is_gone_at_the_next_start(tmp_path):
    with opened(tmp_path):
        (tmp_path / CACHE / ".partial" / "x").mkdir(parents=True)
        (tmp_path / f".metadata.csv.{'0a' * 16}").write_text("half")
        (tmp_path / ".mine").write_text("mine")
    with opened(tmp_path):
        assert not (tmp_path / CACHE / ".partial").exists()
        assert [p.name for p in tmp_path.glob(".*")] == [".mine"]


def run(folder, *settings):
    with opened(folder) as store:
        for one in settings:
            store.result("segment", {"max_s": one}, write(str(one)))
        return store.prune()


def test_the_results_of_the_last_two_runs_are_kept_and_older_ones_go(tmp_path):
    assert run(tmp_path, 12) == []
    assert run(tmp_path, 10) == []
    assert run(tmp_path, 10) == []
    assert len(run(tmp_path, 8)) == 1
    assert len(names(tmp_path)) == 2


def test_single_files_of_a_result_that_grows_are_pruned_too(tmp_path):
    def grow(*clips):
        with opened(tmp_path) as store:
            folder = store.root / "transcribe" / "key"
            folder.mkdir(parents=True, exist_ok=True)
            for clip in clips:
                (folder / clip).write_text(clip)
                store.use(folder / clip)
            return store.prune()

    assert grow("a", "b") == []
    assert grow("b", "c") == []
    assert grow("b", "d") == ["transcribe/key/a"]
    assert grow("b") == ["transcribe/key/c"]
