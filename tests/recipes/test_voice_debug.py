"""The debug recipe goes the whole way: from recordings to a voice that Piper's own player speaks with."""

from __future__ import annotations

import io
import json
import wave
from dataclasses import replace

import pytest

from phonoloop.testing.sounds import write_media
from phonoloop.testing.voice_material import RECIPE, request, run, talk
from phonoloop.training.recipes import recipe_names
from phonoloop.voice.build import Until
from phonoloop.voice.config import VoiceRecipe, load_recipe, recipe_from_dict, recipe_to_dict
from phonoloop.voice.jobfile import job_files, read_job

pytest.importorskip("piper.train", reason="the extra `piper` is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    samples = talk(6, 1)
    write_media(folder / "a.wav", samples)
    train = recipe_to_dict(load_recipe("debug"))["train"] | {"sentences": ["xin chào"]}
    wanted = request(folder, tmp_path_factory.mktemp("out") / "out", until=Until.TRAIN, recipe=RECIPE)
    wanted = replace(wanted, recipe=recipe_from_dict(recipe_to_dict(wanted.recipe) | {"train": train}))
    told = []
    return wanted.out_dir, run(wanted, on_progress=told.append).report, told, wanted


def test_the_default_recipe_says_what_the_defaults_are():
    assert recipe_names("voice") == ["debug", "default"]
    assert load_recipe("default") == VoiceRecipe()


@pytest.mark.timeout(900)
def test_every_epoch_is_told_and_the_job_file_knows_the_last_checkpoint(made):
    out, report, told, _ = made
    assert [progress.epoch for progress in told if progress.epoch_done] == [1, 2]
    state = read_job(job_files(out)[0])
    assert state.epoch == 2
    assert (out / state.last_checkpoint).is_file()
    assert report["training"]["epochs"] == 2
    assert report["training"]["heard_by"] == "parrot"
    assert [one["epoch"] for one in report["epochs"]] == [1, 2]
    assert all({"loss_g", "cer", "duration_ratio", "artefacts"} <= one.keys() for one in report["epochs"])
    assert all(len(one["sentences"]) == len(report["sentences"]) == 1 for one in report["epochs"])


@pytest.mark.timeout(900)
def test_something_moves_while_it_prepares(made):
    _, _, told, _ = made
    seen = list(dict.fromkeys(progress.stage for progress in told))
    assert seen[-2:] == ["train", "prepare"]
    assert any("prepared" in progress.metrics for progress in told if progress.stage == "prepare")
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)


@pytest.mark.timeout(900)
def test_piper_speaks_with_it(made):
    from piper import PiperVoice

    out, report, _, _ = made
    voice = PiperVoice.load(out / "voice" / "lan.onnx")
    heard = io.BytesIO()
    with wave.open(heard, "wb") as file:
        voice.synthesize_wav("xin chào các bạn", file)
    with wave.open(io.BytesIO(heard.getvalue())) as file:
        assert file.getframerate() == 22_050
        assert file.getnframes() > 1000
    assert {"lan.onnx", "lan.onnx.json"} <= set(report["files"])


@pytest.mark.timeout(900)
def test_the_same_again_trains_nothing(made):
    out, report, _, wanted = made
    before = (out / "voice" / "lan.onnx").stat().st_mtime_ns
    again = run(wanted).report
    assert (out / "voice" / "lan.onnx").stat().st_mtime_ns == before
    assert json.dumps(again, sort_keys=True) == json.dumps(report, sort_keys=True)
