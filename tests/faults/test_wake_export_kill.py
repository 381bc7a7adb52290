"""A detector's folder is whole or not there, whenever its writer is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from phonoloop.testing.wake import beep_facts, export_beep_detector
from phonoloop.wakeword.export import conclude
from phonoloop.wakeword.infer import WakeModel

WRITER = """
import sys
from pathlib import Path
from phonoloop.testing.wake import beep_facts
from phonoloop.wakeword.export import conclude
for i in range(10_000):
    conclude(Path(sys.argv[1]), Path(sys.argv[2]), facts=beep_facts(f"beep-{i}"))
    print(i, flush=True)
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_writer_leaves_a_whole_detector_or_none(tmp_path, seed):
    draft, folder = tmp_path / "draft", tmp_path / "models" / "one"
    export_beep_detector(draft)
    _kill_a_writer(draft, folder, after_s=random.Random(seed).uniform(0, 0.1))
    if folder.exists():  # it does not between two renames
        assert WakeModel.load(folder).model_id.startswith("beep-")
    conclude(draft, folder, facts=beep_facts("after"))
    assert WakeModel.load(folder).model_id == "after"


def _kill_a_writer(draft, folder, *, after_s: float) -> None:
    """Once it has written a first one, at any moment of the following ones."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(draft), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "0\n"
    time.sleep(after_s)
    writer.kill()
    writer.communicate(timeout=60)
