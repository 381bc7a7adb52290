"""Pictures of a judgement: what is drawn, and that it is drawn without a screen."""

import subprocess
import sys

import numpy as np
import pytest

from phonoloop.core.errors import UnavailableError
from phonoloop.testing.wake_levels import LevelScorer, level_clip
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.evaluate import evaluate
from phonoloop.wakeword.figures import CONFUSION, DET, ROC, draw, error_shares
from phonoloop.wakeword.trigger import TriggerSettings

pytest.importorskip("matplotlib", reason="matplotlib is in the extra `train`")


def judged(levels, negatives):
    return evaluate(
        LevelScorer(),
        TriggerSettings(0.5),
        [level_clip(level, seed=i, duration_s=0.3) for i, level in enumerate(levels)],
        [level_clip(level, seed=900 + i, label=Label.NEGATIVE) for i, level in enumerate(negatives)],
    )


@pytest.mark.parametrize(
    ("levels", "negatives"),
    [
        ([0.9, 0.8, 0.3, 0.6], [0.1, 0.2, 0.7]),
        ([0.9] * 5, [0.1]),
        ([0.1] * 5, [0.9]),
        ([], [0.1]),
        ([0.9], []),
        ([], []),
    ],
    ids=["mixed", "faultless", "all wrong", "no phrase", "nothing else", "nothing"],
)
def test_three_pictures_are_drawn_of_any_judgement(tmp_path, levels, negatives):
    paths = draw(judged(levels, negatives), tmp_path / "deep" / "pictures")
    assert [path.name for path in paths] == [ROC, DET, CONFUSION]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5_000


def test_errors_by_threshold_start_at_no_miss_and_end_at_no_false_accept():
    thresholds, accepted, missed = error_shares(np.array([0.4, 0.9, 0.9]), np.array([0.1, 0.6]))
    assert thresholds.tolist() == [0.1, 0.4, 0.6, 0.9, np.inf]
    assert accepted.tolist() == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert missed.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 1])


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UnavailableError) as refused:
        draw(judged([0.9], [0.1]), tmp_path)
    assert refused.value.code == "wakeword.no_matplotlib"
    assert "pip install" in refused.value.hint


def test_judging_without_pictures_needs_no_matplotlib():
    modules = "phonoloop.wakeword.report, phonoloop.wakeword.figures"
    code = f"import sys, {modules}; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
