"""What exported models of every kind share."""

import os
import stat

import numpy as np
import pytest

from phonoloop.core.errors import IntegrityError
from phonoloop.training.artefacts import check_same, file_hashes, largest_difference, written_whole


def test_a_folder_appears_whole_in_the_place_of_an_earlier_one(tmp_path):
    folder = tmp_path / "models" / "one"
    for name in ("first", "second"):
        with written_whole(folder) as staging:
            (staging / name).write_text(name)
            assert not (folder / name).exists()
        assert [path.name for path in folder.iterdir()] == [name]
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_after_an_error_the_earlier_folder_stays_and_nothing_else(tmp_path):
    with written_whole(tmp_path / "one") as staging:
        (staging / "a").write_text("kept")
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "one") as staging:
        (staging / "a").write_text(str(1 // 0))
    assert [(path.name, path.read_text()) for path in (tmp_path / "one").iterdir()] == [("a", "kept")]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_others_may_enter_it_where_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        with written_whole(tmp_path / "one"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o755


def test_description_and_card_are_not_hashed(tmp_path):
    for name in ("metadata.json", "card.md", "model.onnx"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    assert list(file_hashes(tmp_path)) == ["model.onnx"]


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [([0.5], [0.4], 0.1), ([-40.0], [-40.4], 0.01), ([1.0, 2.0], [1.0], np.inf), ([np.nan], [1.0], np.inf)],
)
def test_differences_are_relative_above_one(one, other, difference):
    assert largest_difference(np.array(one), np.array(other)) == pytest.approx(difference, rel=0.02)


def test_graphs_that_hear_something_else_are_refused(tmp_path):
    check_same(9e-5, subject=tmp_path)
    for worst in (2e-4, np.inf):
        with pytest.raises(IntegrityError) as caught:
            check_same(worst, subject=tmp_path)
        assert caught.value.code == "export.differs"
