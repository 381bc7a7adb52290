"""The Python in the guide runs, and finds what the detector finds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from phonoloop.testing.wake import export_beep_detector, with_beeps

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "wakeword-detecting.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_beep_detector(tmp_path_factory.mktemp("models") / "beep").folder


def test_the_examples_of_the_guide_run(folder, capsys):
    audio = with_beeps(2.56, [1.0])
    given = {"FOLDER": str(folder), "microphone": np.array_split(audio, 7)}
    in_phonoloop, alone = BLOCKS
    exec(in_phonoloop, given)
    assert capsys.readouterr().out.startswith("beep-1 1.52 ")
    heard = []
    watched = alone + "    told(heard)\n"
    exec(watched, given | {"steps": audio.reshape(-1, 1, 1_280), "told": heard.append})
    assert np.flatnonzero(heard).size >= 1
