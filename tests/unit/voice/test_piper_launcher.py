"""What the launcher brings into Piper: the search for the alignment, the order of batches, its cache."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import phonoloop.voice

torch = pytest.importorskip("torch", reason="the train extra is not installed")
PATH = Path(phonoloop.voice.__file__).with_name("piper_launcher.py")


@pytest.fixture(scope="module")
def launcher():
    """Loaded as a file: it is a program, nothing imports it."""
    spec = importlib.util.spec_from_file_location("piper_launcher", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def best_by_trying(scores):
    """The sum of every monotonic way, and the best of them."""
    frames, phonemes = scores.shape
    ways = []
    for cuts in itertools.combinations(range(1, frames), phonemes - 1):
        at = np.zeros(frames, int)
        for cut in cuts:
            at[cut:] += 1
        ways.append((scores[np.arange(frames), at].sum(), at))
    return max(ways, key=lambda way: way[0])


@pytest.mark.parametrize("seed", range(8))
def test_the_alignment_is_the_best_of_all(launcher, seed):
    rng = np.random.default_rng(seed)
    frames, phonemes = int(rng.integers(4, 9)), int(rng.integers(1, 5))
    scores = rng.normal(size=(1, frames, phonemes)).astype(np.float32)
    path = launcher.monotonic_paths(scores, [frames], [phonemes])[0]
    best, at = best_by_trying(scores[0])
    assert path.argmax(axis=1).tolist() == at.tolist()
    assert (path * scores[0]).sum() == pytest.approx(best, abs=1e-5)


def test_padding_changes_nothing(launcher):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 9, 5)).astype(np.float32)
    both = launcher.monotonic_paths(scores, [9, 6], [5, 3])
    alone = launcher.monotonic_paths(scores[1:, :6, :3], [6], [3])
    assert both[1, :6, :3].tolist() == alone[0].tolist()
    assert both[1].sum() == 6
    assert both[0].sum(axis=1).tolist() == [1] * 9


def test_every_phoneme_has_a_frame(launcher):
    path = launcher.monotonic_paths(np.zeros((1, 4, 4), np.float32), [4], [4])[0]
    assert path.tolist() == np.eye(4, dtype=int).tolist()


def test_piper_finds_the_search_where_its_wheel_lacks_it(launcher, monkeypatch):
    names = [f"piper.train.vits.monotonic_align.monotonic_align{end}" for end in ("", ".core")]
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
    launcher.put_alignment_in_place()
    path = np.zeros((1, 3, 2), np.int32)
    sys.modules[names[1]].maximum_path_c(path, np.zeros((1, 3, 2), np.float32), [3], [2])
    assert path.sum() == 3


# ---------------------------------------------------------------- batches


def test_an_epoch_holds_every_clip_once(launcher):
    batches = list(launcher.Batches(range(100), 8, seed=1))
    assert sorted(itertools.chain(*batches)) == list(range(100))
    assert len(batches) == len(launcher.Batches(range(100), 8, seed=1)) == 13


def test_the_order_is_the_epochs_own(launcher):
    def order(seed, epoch):
        return list(launcher.Batches(range(40), 4, seed, epoch))

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4)
    assert order(1, 3) != order(2, 3)
    told = launcher.Batches(range(40), 4, 1)
    told.set_epoch(3)
    assert list(told) == order(1, 3)


def test_clips_of_a_batch_are_of_like_length(launcher):
    lengths = np.random.default_rng(0).integers(10, 1000, 128)
    spread = [np.ptp(lengths[batch]) for batch in launcher.Batches(lengths, 8, seed=1)]
    assert np.mean(spread) < 150


# ---------------------------------------------------------------- warm start


class Small(torch.nn.Module):
    def __init__(self, width=3, extra=0):
        super().__init__()
        self.model_g = torch.nn.Sequential(*(torch.nn.Linear(2, width, bias=False) for _ in range(2 + extra)))


def saved(model, path):
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def test_weights_that_fit_are_copied(launcher, tmp_path):
    base, model = Small(), Small(extra=1)
    launcher.warm_start(model, saved(base, tmp_path / "base.ckpt"))
    assert torch.equal(model.model_g[0].weight, base.model_g[0].weight)
    assert model.model_g[2].weight.shape == (3, 2)


def test_a_checkpoint_of_another_size_is_refused(launcher, tmp_path):
    with pytest.raises(launcher.Refused) as caught:
        launcher.warm_start(Small(), saved(Small(width=4), tmp_path / "base.ckpt"))
    assert caught.value.code == "voice.checkpoint"


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/phonoloop-was-here"),)


@pytest.mark.parametrize("content", [Harmful(), {"no": "state"}, [1, 2]])
def test_a_checkpoint_runs_no_code(launcher, tmp_path, content):
    torch.save(content, tmp_path / "base.ckpt")
    with pytest.raises(launcher.Refused):
        launcher.warm_start(Small(), tmp_path / "base.ckpt")
    assert not Path("/tmp/phonoloop-was-here").exists()


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImportError("no piper"), "voice.no_piper"),
        (OSError(28, "No space left on device"), "resource.disk"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), "resource.disk"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "job.out_of_memory"),
        (ValueError("something else"), "voice.training"),
    ],
)
def test_errors_say_what_to_do(launcher, error, code):
    told = launcher.failure(error)
    assert told["code"] == code
    assert told["hint"]


# ---------------------------------------------------------------- what a kill leaves


def test_what_was_cut_is_made_again(launcher, tmp_path):
    torch.save(torch.arange(1000), tmp_path / "1_whole.audio.pt")
    torch.save(torch.arange(1000), tmp_path / "2_cut.audio.pt")
    whole = (tmp_path / "2_cut.audio.pt").read_bytes()
    (tmp_path / "2_cut.audio.pt").write_bytes(whole[:-100])
    (tmp_path / "2_cut.txt").write_text("")
    launcher.drop_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1_whole.audio.pt"]


def test_an_epoch_that_is_not_whole_is_no_epoch(launcher, tmp_path):
    assert launcher.last_state(tmp_path) == (None, 0)
    for name in ("epoch-0001", "epoch-0002", ".epoch-0003.making"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.ckpt").touch()
    assert launcher.last_state(tmp_path) == (str(tmp_path / "epoch-0002" / "state.ckpt"), 2)


def test_the_licence_stands_in_the_file_and_beside_it():
    assert PATH.read_text("utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")
    root = Path(__file__).resolve().parents[3]
    assert "piper_launcher.py" in (root / "NOTICE").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in (root / "LICENSES" / "GPL-3.0-or-later.txt").read_text("utf-8")


def test_nothing_imports_it():
    source = PATH.parents[1]
    importing = [
        path
        for path in source.rglob("*.py")
        if any(
            "piper_launcher" in line and "import" in line.split("#")[0]
            for line in path.read_text("utf-8").splitlines()
        )
    ]
    assert importing == []
