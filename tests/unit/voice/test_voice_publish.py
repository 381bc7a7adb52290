"""A published folder holds what counts now and nothing else."""

import pytest

from phonoloop.voice.publish import publish_files


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(name)
    return folder


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_it_is_filled_changed_and_emptied(results, tmp_path):
    out = tmp_path / "clips"
    publish_files(out, {"a": results / "one", "b": results / "two"})
    assert content(out) == {"a": "one", "b": "two"}
    publish_files(out, {"a": results / "three"})
    assert content(out) == {"a": "three"}
    publish_files(out, {})
    assert content(out) == {}


def test_what_was_edited_is_put_right_and_the_result_is_not_touched(results, tmp_path):
    out = tmp_path / "clips"
    out.mkdir()
    (out / "a").write_text("edited")
    publish_files(out, {"a": results / "one"})
    assert content(out) == {"a": "one"}
    assert (results / "one").read_text() == "one"


def test_a_file_that_is_right_is_left_alone(results, tmp_path):
    out = tmp_path / "clips"
    publish_files(out, {"a": results / "one"})
    before = (out / "a").stat()
    publish_files(out, {"a": results / "one"})
    assert (out / "a").stat().st_ino == before.st_ino
