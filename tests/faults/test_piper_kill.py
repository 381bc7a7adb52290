"""Piper itself: a small voice is trained, killed, resumed, exported, and heard by Piper's own player."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr
from piper_worker import settings

from phonoloop.audio.wav import read_wav, to_int16, wav_bytes
from phonoloop.core.errors import IntegrityError
from phonoloop.voice.datasets import DatasetSettings, Utterance, write_dataset
from phonoloop.voice.export import GOLDEN, check_hash, check_voice, voice_files
from phonoloop.voice.train import checkpoints, train_voice

piper = pytest.importorskip("piper", reason="the piper extra is not installed")
pytest.importorskip("lightning", reason="the piper extra is not installed")
pytestmark = [pytest.mark.xdist_group("piper"), pytest.mark.timeout(900)]

RATE_HZ = 22_050
TEXTS = (
    "xin chào các bạn",
    "hôm nay trời đẹp",
    "một hai ba bốn",
    "cà phê sữa đá",
    "tôi đi học về",
    "mở đèn giúp tôi",
    "ngày mai gặp lại",
    "sách này rất hay",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Eight sentences of espeak-ng."""
    from phonoloop.adapters.espeak import EspeakSynthesizer

    folder = tmp_path_factory.mktemp("spoken")
    used = []
    with EspeakSynthesizer() as espeak:
        voice = espeak.voices("vi")[0]
        for at, text in enumerate(TEXTS):
            spoken = soxr.resample(espeak.synthesize(text, voice=voice), 16_000, RATE_HZ)
            path = folder / f"c{at}.wav"
            path.write_bytes(wav_bytes(to_int16(spoken), RATE_HZ))
            used.append(Utterance(clip_id=path.stem, audio=path, text=text, passage=f"p{at // 2}"))
    rules = DatasetSettings(min_clips=2, val_pct=25)
    return write_dataset(used, folder / "set", rules, name="thu", language="vi")


def begin(dataset, out, epochs):
    """A training in a process of its own."""
    worker = Path(__file__).with_name("piper_worker.py")
    command = [sys.executable, str(worker), str(dataset.folder), str(out), str(epochs)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def killed_when(dataset, out, epochs, ready, delay_s=0.0):
    process = begin(dataset, out, epochs)
    while not ready():
        assert process.poll() is None, "it came to its end before it could be killed"
        time.sleep(0.05)
    time.sleep(delay_s)
    kill(process)


def launchers(out):
    """Processes of the launcher that are still there."""
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in lines.splitlines() if "piper_launcher.py" in line and str(out) in line]


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """Two epochs with a kill in the second: the run's folder, and the result after it was taken up again."""
    out = tmp_path_factory.mktemp("run")
    killed_when(dataset, out, 2, (out / "epochs" / "epoch-0001").exists)
    told = []
    result = train_voice(dataset.folder, settings(2), out, on_progress=told.append)
    yield out, result, told
    shutil.rmtree(out)


def test_it_resumes_at_the_last_epoch(trained):
    out, result, told = trained
    assert [one.epoch for one in told if one.epoch_done] == [2]
    assert [one["epoch"] for one in result.history] == [1, 2]
    assert result.history[1]["steps"] == 2 * result.history[0]["steps"]
    assert len(checkpoints(out)) == 2


def test_nothing_is_left_behind(trained):
    out, _, _ = trained
    assert launchers(out) == []
    assert {path.name for path in out.iterdir()} == {
        "epochs",
        "job.json",
        "log.txt",
        "log.txt.lock",
        "run.json",
    }
    assert {path.name for path in (out / "epochs").iterdir()} == {"epoch-0001", "epoch-0002"}


def test_pipers_own_player_is_heard(trained, tmp_path):
    _, result, _ = trained
    voice = piper.PiperVoice.load(result.folder / "voice.onnx")
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        voice.synthesize_wav("Xin chào, hôm nay trời đẹp.", file)
    said = read_wav(tmp_path / "said.wav")
    assert 0.5 < said.size / RATE_HZ < 20
    assert np.sqrt(np.mean(said**2)) > 1e-3


def test_it_says_what_torch_said(trained, tmp_path):
    _, result, _ = trained
    for name, path in voice_files(result.folder, "thu").items():
        (tmp_path / name).write_bytes(path.read_bytes())
    assert check_voice(tmp_path / "thu.onnx") < 2e-3
    golden = json.loads((tmp_path / GOLDEN).read_text())
    golden["samples"][100] += 0.1
    (tmp_path / GOLDEN).write_text(json.dumps(golden))
    with pytest.raises(IntegrityError) as other:
        check_voice(tmp_path / "thu.onnx")
    assert other.value.code == "voice.golden"
    with (tmp_path / "thu.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(IntegrityError) as changed:
        check_hash(tmp_path / "thu.onnx")
    assert changed.value.code == "voice.changed"


def test_each_epoch_was_listened_to(trained):
    _, result, _ = trained
    assert all({"score", "duration_ratio", "artefacts", "val_mel"} <= one.keys() for one in result.history)
    assert len(list((result.folder / "previews").glob("*.wav"))) == len(result.score.sentences) > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_kills_come_to_the_undisturbed_end(dataset, tmp_path):
    """Once in every epoch, at any moment of it; no epoch is lost, and the weights are those of a run that
    nobody disturbed, but for rounding (which Adam takes further where a gradient is nothing but rounding)."""
    torch = pytest.importorskip("torch")
    out, rng = tmp_path / "killed", random.Random(5)
    for epoch in range(1, 6):
        killed_when(dataset, out, 6, (out / "epochs" / f"epoch-{epoch:04d}").exists, rng.uniform(0.0, 15.0))
        assert len(list(out.glob("epochs/epoch-*/epoch.json"))) >= epoch
    result = train_voice(dataset.folder, settings(6), out)
    whole = train_voice(dataset.folder, settings(6), tmp_path / "whole")
    assert [one["epoch"] for one in result.history] == [one["epoch"] for one in whole.history]
    assert [one["steps"] for one in result.history] == [one["steps"] for one in whole.history]
    assert launchers(out) == []
    assert whole.history[-1]["loss_g"] == pytest.approx(result.history[-1]["loss_g"], rel=1e-2)
    states = [
        torch.load(run / "epochs" / "epoch-0006" / "state.ckpt", weights_only=True)["state_dict"]
        for run in (tmp_path / "whole", out)
    ]
    far = [name for name in states[0] if not torch.allclose(states[0][name], states[1][name], atol=5e-3)]
    assert far == []
    for run in (tmp_path / "whole", out):
        shutil.rmtree(run)
