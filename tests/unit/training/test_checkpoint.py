"""A checkpoint is whole, or it is known not to be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import IntegrityError, NotFoundError, ResourceError
from phonoloop.training import checkpoint


def state(value: float) -> dict:
    return {"weights": {"w": torch.full((3, 4), value)}, "step": int(value), "names": ["a", None, True]}


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint.save(tmp_path / "x.ckpt", state(2))
    loaded = checkpoint.load(tmp_path / "x.ckpt")
    assert torch.equal(loaded["weights"]["w"], torch.full((3, 4), 2.0))
    assert (loaded["step"], loaded["names"]) == (2, ["a", None, True])


def test_the_newest_whole_one_is_found(tmp_path):
    for step in (1, 2, 10):
        checkpoint.save_step(tmp_path, step, state(step), keep=3)
    assert checkpoint.find_latest(tmp_path).state["step"] == 10


def test_only_the_newest_are_kept(tmp_path):
    for step in range(5):
        checkpoint.save_step(tmp_path, step, state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003.ckpt", "step-00000004.ckpt"]


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert checkpoint.find_latest(tmp_path) is None
    assert checkpoint.find_latest(tmp_path / "absent") is None


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_damage_is_noticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    older = checkpoint.save_step(folder, 1, state(1))
    newer = checkpoint.save_step(folder, 2, state(2))
    whole = newer.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]])
    )
    newer.write_bytes(damaged)
    found = checkpoint.find_latest(folder)
    assert (found.path, found.damaged) == (older, (newer,))


def test_it_is_said_when_none_is_whole(tmp_path):
    checkpoint.save_step(tmp_path, 1, state(1)).write_bytes(b"PHONOCK1")
    with pytest.raises(IntegrityError) as caught:
        checkpoint.find_latest(tmp_path)
    assert caught.value.code == "checkpoint.corrupt"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        checkpoint.load(tmp_path / "x.ckpt")
    assert caught.value.code == "checkpoint.missing"


def test_a_full_disk_is_a_resource_error_and_leaves_the_old_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "x.ckpt", state(1))

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError) as caught:
        checkpoint.save(tmp_path / "x.ckpt", state(2))
    assert caught.value.code == "resource.disk"
    assert checkpoint.load(tmp_path / "x.ckpt")["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def test_left_overs_of_a_killed_writer_are_cleared(tmp_path):
    (tmp_path / ".step-00000003.ckpt.abc").write_bytes(b"half")
    checkpoint.save_step(tmp_path, 3, state(3))
    checkpoint.clear_temporary(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.ckpt"]


def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"model": Evil()}, tmp_path / "model.pt")
    with pytest.raises(IntegrityError):
        checkpoint.load_weights(tmp_path / "model.pt")


def test_weights_are_read_by_plain_torch(tmp_path):
    checkpoint.save_weights(tmp_path / "model.pt", {"w": torch.ones(2)})
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=True)["model"]["w"], torch.ones(2))


def test_averaging():
    mean = checkpoint.average([{"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([1.0, 4.0])}])
    assert mean["w"].tolist() == [0.5, 3.0]
    assert mean["w"].dtype == torch.float32


def test_counters_are_taken_from_the_last():
    assert checkpoint.average([{"n": torch.tensor(3)}, {"n": torch.tensor(4)}])["n"].item() == 4
