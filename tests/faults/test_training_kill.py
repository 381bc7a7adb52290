"""SIGKILL at any moment of a training: started again, it ends at the weights of an undisturbed run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kills import killed_after

from phonoloop.testing.tones import make_corpus
from phonoloop.training.checkpoint import load_weights
from phonoloop.training.metrics import read_metrics

KILLS = [4, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]

CHILD = """
import sys
from pathlib import Path
import torch
from phonoloop.asr.train import train
from phonoloop.testing.tones import make_corpus, tiny_recipe
torch.set_num_threads(1)
corpus, out = Path(sys.argv[1]), Path(sys.argv[2])
rows = make_corpus(corpus, 24)
print("ready", flush=True)
train(
    tiny_recipe(epochs=4, keep={"checkpoint_steps": 1}),
    train_rows=rows.train, val_rows=rows.val, audio_roots=[corpus], out_dir=out,
)
"""


def start(corpus: Path, out: Path) -> subprocess.Popen:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(corpus), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    child.stdout.readline()  # imports take longer than the training: kill the training, not them
    return child


def finish(corpus: Path, out: Path) -> None:
    child = start(corpus, out)
    with child.stdout:
        assert child.wait(timeout=120) == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, Path, float]:
    folder = tmp_path_factory.mktemp("kill")
    make_corpus(folder, 24)
    child = start(folder, folder / "whole")
    began_s = time.monotonic()
    with child.stdout:
        assert child.wait(timeout=120) == 0
    return folder, folder / "whole", time.monotonic() - began_s


@pytest.mark.parametrize("kills", KILLS)
def test_killed_at_random_moments_it_ends_at_the_same_weights(undisturbed, tmp_path, kills):
    corpus, whole, duration_s = undisturbed
    chance = random.Random(20261120)
    struck = sum(
        killed_after(start(corpus, tmp_path), chance.uniform(0.02, 0.8) * duration_s) for _ in range(kills)
    )
    assert struck >= 1
    finish(corpus, tmp_path)
    expected, weights = load_weights(whole / "model.pt"), load_weights(tmp_path / "model.pt")
    assert all(torch.equal(expected[name], weights[name]) for name in expected)
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]
    assert not list((tmp_path / "checkpoints").glob(".*"))
