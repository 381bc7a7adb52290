"""A training is what its epochs are: scored as they come, pruned, resumed, stopped, its failures explained.

Piper's place is taken by a program that writes epochs as the launcher does.
"""

import fcntl
import json
import math
import os
import textwrap
import threading

import numpy as np
import pytest

from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import (
    CancelledError,
    ConfigError,
    ConflictError,
    InputError,
    ResourceError,
    UnavailableError,
)
from phonoloop.core.speech import Transcription
from phonoloop.voice import train
from phonoloop.voice.datasets import DatasetSettings, Utterance, write_dataset
from phonoloop.voice.model import TrainSettings, piper_model
from phonoloop.voice.train import checkpoints, run_key, train_voice

RATE_HZ = 22_050
LAUNCHER = textwrap.dedent(
    """
    import json, os, pathlib, shutil, signal, sys, time
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    folder = pathlib.Path(job["epochs_folder"])
    cache = pathlib.Path(job["cache"])
    plan = json.loads(pathlib.Path(job["warm_start"]).read_text())
    def say(**line):
        print(json.dumps(line), flush=True)
    assert cache.is_dir() and pathlib.Path(os.environ["TMPDIR"]).is_dir()
    say(stage="prepare", progress=0.0)
    for row in range(plan["prepares"]):
        (cache / f"{row}.spec.pt").touch()
        time.sleep(0.05)
    done = [int(p.parent.name[6:]) for p in folder.glob("epoch-*/state.ckpt")]
    for epoch in range(max(done, default=0) + 1, job["epochs"] + 1):
        if str(epoch) in plan["ends"]:
            end = plan["ends"][str(epoch)]
            if end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if end == "hangs":
                time.sleep(60)
            say(error=end)
            sys.exit(1)
        made = folder / f"epoch-{epoch:04d}"
        (made / "previews").mkdir(parents=True)
        for name in ("state.ckpt", "voice.onnx", "voice.onnx.json", "golden.json"):
            (made / name).write_text(str(epoch))
        for at in range(len(job["sentences"])):
            spoken = plan["previews"][(epoch - 1) % len(plan["previews"])]
            shutil.copy(spoken, made / "previews" / f"{at:02d}.wav")
        told = {"epoch": epoch, "steps": 10 * epoch, "loss_g": plan["loss"]}
        (made / "epoch.json").write_text(json.dumps(told))
        say(stage="epoch", progress=epoch / job["epochs"], metrics=told)
    say(result={})
    """
)


def noise(seconds, level=0.1):
    white = np.random.default_rng(0).normal(size=round(seconds * RATE_HZ))
    return to_int16(level * white / np.abs(white).max())


@pytest.fixture
def dataset(tmp_path):
    used = []
    for at in range(6):
        path = tmp_path / f"c{at}.wav"
        path.write_bytes(wav_bytes(noise(1.0), RATE_HZ))
        used.append(Utterance(clip_id=path.stem, audio=path, text=f"xin chào bạn {at}", passage=f"p{at}"))
    settings = DatasetSettings(min_clips=2, val_pct=30)
    return write_dataset(used, tmp_path / "set", settings, name="thu", language="vi")


@pytest.fixture
def piper(tmp_path, monkeypatch, dataset):
    """Plans the epochs: how long each speaks, in seconds, and how it ends."""
    monkeypatch.setattr(train, "LAUNCHER", tmp_path / "launcher.py")
    monkeypatch.setattr(train, "require_piper", lambda: None)
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    plan = tmp_path / "plan.json"

    def planned(*seconds, ends=None, loss=1.5, prepares=0):
        previews = []
        for at, one in enumerate(seconds):
            path = tmp_path / f"preview{at}.wav"
            path.write_bytes(wav_bytes(noise(one), RATE_HZ))
            previews.append(str(path))
        plan.write_text(
            json.dumps({"previews": previews, "ends": ends or {}, "loss": loss, "prepares": prepares})
        )

    def go(epochs, out=tmp_path / "out", **options):
        settings = TrainSettings(
            quality="debug", epochs=epochs, warm_start=str(plan), **options.pop("with_", {})
        )
        return train_voice(dataset.folder, settings, out, **options)

    return planned, go


class Ears:
    model_version = "ears"

    def transcribe(self, samples):
        return Transcription("xin chào bạn")


def test_the_epoch_that_speaks_best_is_the_voice(piper):
    planned, go = piper
    planned(2.0, 1.0, 3.0)
    result = go(3, transcriber=Ears())
    assert (result.epoch, result.epochs) == (2, 3)
    assert (result.folder / "voice.onnx").read_text() == "2"
    assert result.score.heard_by == "ears"
    assert [one["steps"] for one in result.history] == [10, 20, 30]
    assert result.sentences == tuple(
        json.loads((result.folder.parents[1] / "job.json").read_text())["sentences"]
    )
    for one in result.history:
        assert one["loss_g"] == 1.5
        assert {"cer", "duration_ratio", "artefacts", "score"} <= one.keys()
        assert [said.keys() for said in one["sentences"]] == [
            {"cer", "duration_ratio", "artefacts"} for _ in result.sentences
        ]
    ratios = [one["sentences"][0]["duration_ratio"] for one in result.history]
    assert ratios == pytest.approx([2 * ratios[1], ratios[1], 3 * ratios[1]], rel=1e-3)
    assert result.figures()["best_epoch"] == 2


def test_without_a_recogniser_and_with_a_loss_that_is_no_number_the_figures_are_json(piper):
    planned, go = piper
    planned(1.0, loss=math.nan)
    (one,) = go(1).history
    assert one["loss_g"] is None
    assert "cer" not in one
    assert one["sentences"][0].keys() == {"duration_ratio", "artefacts"}
    json.dumps(one, allow_nan=False)


def test_progress_says_which_epoch_and_how_it_speaks(piper):
    planned, go = piper
    planned(1.0)
    told = []
    go(2, on_progress=told.append)
    ends = [one for one in told if one.epoch_done]
    assert [(one.epoch, one.epochs, one.step) for one in ends] == [(1, 2, 10), (2, 2, 20)]
    assert all({"loss_g", "score", "duration_ratio"} <= one.metrics.keys() for one in ends)
    assert told[-1].stage == "done"


def test_preparing_is_told_and_the_fraction_only_grows(piper, monkeypatch):
    monkeypatch.setattr(train, "_LOOK_EVERY_S", 0.0)
    planned, go = piper
    planned(1.0, prepares=6)
    told = []
    go(2, on_progress=told.append)
    preparing = [one for one in told if one.stage == "prepare"]
    assert 0.0 < max(one.metrics.get("prepared", 0.0) for one in preparing) <= 6.0
    assert {one.metrics["clips"] for one in preparing if one.metrics} == {6.0}
    assert 0.0 == preparing[0].fraction < preparing[-1].fraction < 0.05
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_disk_holds_the_last_and_the_best(piper, tmp_path):
    planned, go = piper
    planned(1.0, 5.0, 5.0, 5.0, 5.0)
    go(5, with_={"keep_last": 2, "keep_best": 1})
    out = tmp_path / "out"
    kept = {"epoch-0001", "epoch-0004", "epoch-0005"}
    assert {os.path.basename(os.path.dirname(path)) for path in checkpoints(out)} == kept
    assert {path.parent.name for path in out.glob("epochs/*/voice.onnx")} == kept
    assert len(list(out.glob("epochs/*/epoch.json"))) == len(list(out.glob("epochs/*/score.json"))) == 5
    assert not (out / "cache").exists()
    assert not (out / "tmp").exists()


def test_previews_of_long_trainings_are_thinned(piper, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_MOST_PREVIEWS", 3)
    planned, go = piper
    planned(1.0)
    go(9, with_={"keep_last": 1, "keep_best": 1})
    spoken = sorted(path.parent.name for path in (tmp_path / "out").glob("epochs/*/previews"))
    assert spoken == ["epoch-0004", "epoch-0008", "epoch-0009"]


def test_a_killed_training_goes_on_after_its_last_epoch(piper):
    planned, go = piper
    planned(1.0, ends={"3": "killed"})
    with pytest.raises(ResourceError) as caught:
        go(4)
    assert caught.value.code == "voice.training_died"
    planned(1.0)
    told = []
    assert go(4, on_progress=told.append).epochs == 4
    assert [one.epoch for one in told if one.epoch_done] == [3, 4]


def test_what_kills_left_half_written_goes(piper, tmp_path):
    planned, go = piper
    planned(1.0, ends={"2": "killed"})
    with pytest.raises(ResourceError):
        go(2)
    epochs = tmp_path / "out" / "epochs"
    (epochs / ".epoch-0002.making").mkdir()
    (epochs / ".epoch-0002.making" / "state.ckpt").touch()
    (epochs / "epoch-0001" / ".score.json.0123").touch()
    planned(1.0)
    go(2)
    assert list((tmp_path / "out").rglob(".*")) == []


def test_a_finished_training_is_not_done_again_and_can_be_made_longer(piper):
    planned, go = piper
    planned(1.0)
    go(2)
    planned(1.0, ends={"1": "killed", "2": "killed"})
    assert go(2).epochs == 2
    planned(1.0)
    assert go(3).epochs == 3


def test_a_recogniser_that_comes_later_hears_what_was_kept(piper):
    planned, go = piper
    planned(1.0)
    assert go(2).score.heard_by == ""
    assert go(2, transcriber=Ears()).score.heard_by == "ears"


def test_it_stops_when_asked(piper, monkeypatch):
    monkeypatch.setattr(train, "_PATIENCE_S", 0.5)
    planned, go = piper
    planned(1.0, ends={"2": "hangs"})
    told = []
    with pytest.raises(CancelledError):
        go(3, on_progress=told.append, should_stop=lambda: bool(told))
    planned(1.0)
    assert go(3).epochs == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("resource.disk", ResourceError),
        ("job.out_of_memory", ResourceError),
        ("voice.checkpoint", InputError),
        ("voice.diverged", InputError),
        ("voice.no_piper", UnavailableError),
        ("voice.training", UnavailableError),
    ],
)
def test_what_the_launcher_says_reaches_the_user(piper, code, kind):
    planned, go = piper
    planned(1.0, ends={"1": {"code": code, "message": "so it is", "hint": "do that"}})
    with pytest.raises(kind) as caught:
        go(1)
    assert (caught.value.code, caught.value.message, caught.value.hint) == (code, "so it is", "do that")


def test_a_piper_that_is_dying_is_waited_for(piper, tmp_path):
    planned, go = piper
    planned(1.0)
    (tmp_path / "out").mkdir()
    lock = (tmp_path / "out" / "log.txt.lock").open("ab")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(0.5, lock.close).start()
    assert go(1).epochs == 1


def test_two_trainings_in_one_folder_are_refused(piper, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_DYING_S", 0.0)
    planned, go = piper
    planned(1.0)
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / "log.txt.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError) as caught:
            go(1)
    assert caught.value.code == "job.still_running"


def test_a_folder_holds_one_run(piper):
    planned, go = piper
    planned(1.0)
    go(1)
    with pytest.raises(ConflictError) as caught:
        go(1, with_={"seed": 2})
    assert caught.value.code == "voice.other_run"


def test_the_cache_of_another_dataset_is_never_used(piper, tmp_path, dataset):
    planned, go = piper
    planned(1.0, ends={"2": "killed"})
    stale = tmp_path / "out" / "cache" / "other"
    stale.mkdir(parents=True)
    with pytest.raises(ResourceError):
        go(2)
    assert [path.name for path in (tmp_path / "out" / "cache").iterdir()] == [dataset.dataset_id]


def test_a_run_is_named_by_what_its_epochs_depend_on():
    first = TrainSettings()
    assert run_key("a", first) == run_key("a", TrainSettings(epochs=5, threads=2, keep_best=1))
    assert len({run_key("a", first), run_key("b", first), run_key("a", TrainSettings(batch=2))}) == 3


def test_a_missing_extra_is_said(monkeypatch, dataset, tmp_path):
    monkeypatch.setattr(train, "_NEEDED", ("no_such_module",))
    with pytest.raises(UnavailableError) as caught:
        train_voice(dataset.folder, TrainSettings(), tmp_path / "out")
    assert caught.value.code == "voice.no_piper"
    assert caught.value.hint == "pip install 'phonoloop[piper]'"


def test_a_checkpoint_that_is_not_there_is_said(monkeypatch, dataset, tmp_path):
    monkeypatch.setattr(train, "require_piper", lambda: None)
    with pytest.raises(ConfigError) as caught:
        train_voice(dataset.folder, TrainSettings(warm_start="no.ckpt"), tmp_path / "out")
    assert caught.value.code == "config.missing"


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"keep_last": 0}, {"learning_rate": 0.0}])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        TrainSettings(**wrong)


def test_the_published_sizes_are_pipers_own():
    medium, high = (piper_model(TrainSettings(quality=name), 1) for name in ("medium", "high"))
    assert "hidden_channels" not in medium
    assert (high["resblock"], np.prod(high["upsample_rates"])) == ("1", medium["hop_length"])
    assert piper_model(TrainSettings(quality="debug"), 3)["num_speakers"] == 3
