"""SIGKILL at any moment of a wake word's job: started again, it ends at the weights of an undisturbed one."""

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

from phonoloop.testing.wake_material import make_folders
from phonoloop.training.checkpoint import load_weights
from phonoloop.training.metrics import read_metrics

KILLS = [3, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
EPOCHS = 3

CHILD = """
import sys
from pathlib import Path
import torch
from phonoloop.audio.decode import Decoder
from phonoloop.testing.wake_material import PHRASE, ToneSynthesizer
from phonoloop.wakeword.build import BuildRequest, build
from phonoloop.wakeword.config import recipe_from_dict
from phonoloop.wakeword.inputs import Sources

class Learned(Exception):
    pass

def until_learned(progress):
    if progress.stage == "export":
        raise Learned

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
recipe = recipe_from_dict({
    "seed": 3, "threads": 1, "device": "cpu", "model": {"kind": "bcresnet", "width": 1.0},
    "synthesis": {"positives": 30, "negatives": 40},
    "material": {"train_pct": 60, "tune_pct": 20, "recorded_copies": 1, "recorded_strips": 64,
                 "held_out_copies": 1},
    "optim": {"epochs": int(sys.argv[3]), "steps": 4, "batch": 8, "precision": "fp32"},
    "mining": {"rounds": 1}, "gate": {"min_positives": 5, "min_negatives": 5},
})
sources = Sources((folder / "phrase",), (folder / "other",), (folder / "noise",))
tones = ToneSynthesizer()
torch.set_num_threads(1)
print("ready", flush=True)
with Decoder() as decoder:
    try:
        build(BuildRequest(PHRASE, "en", out, recipe, sources), synthesizers=[tones], phonemiser=tones,
              decoder=decoder, on_progress=until_learned)
    except Learned:
        pass
"""


def start(folder: Path, out: Path) -> subprocess.Popen:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(out), str(EPOCHS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    child.stdout.readline()  # imports take longer than the work: kill the work, not them
    return child


def finish(folder: Path, out: Path) -> float:
    began_s = time.monotonic()
    child = start(folder, out)
    with child.stdout:
        assert child.wait(timeout=240) == 0
    return time.monotonic() - began_s


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, Path, float]:
    folder = tmp_path_factory.mktemp("wake")
    make_folders(folder, positives=20, negatives=20)
    return folder, folder / "whole", finish(folder, folder / "whole")


@pytest.mark.parametrize("kills", KILLS)
def test_killed_at_random_moments_it_ends_at_the_same_weights(undisturbed, tmp_path, kills):
    folder, whole, duration_s = undisturbed
    chance = random.Random(20261121)
    struck = sum(
        killed_after(start(folder, tmp_path), chance.uniform(0.05, 0.7) * duration_s) for _ in range(kills)
    )
    assert struck >= 1
    finish(folder, tmp_path)
    expected, weights = load_weights(whole / "model.pt"), load_weights(tmp_path / "model.pt")
    assert all(torch.equal(expected[name], weights[name]) for name in expected)
    assert [line["epoch"] for line in read_metrics(tmp_path)] == list(range(1, EPOCHS + 1))
    assert not list((tmp_path / "checkpoints").glob(".*"))
