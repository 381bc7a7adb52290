"""`phonoloop voice build`, `list`, `show` and `export`, as somebody types them."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner
from voice_trainer import stand_in

from phonoloop.app import voice_tools
from phonoloop.app.cli.voice import voice
from phonoloop.core.errors import ConfigError, InputError, NotFoundError, UnavailableError
from phonoloop.testing.sounds import silence, write_media
from phonoloop.testing.voice_material import RECIPE, Parrot, talk


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(voice_tools, "recognisers", lambda settings, language, app: [Parrot()])
    monkeypatch.setenv("PHONOLOOP_THREADS", "1")
    (tmp_path / "in").mkdir()
    write_media(tmp_path / "in" / "talk.wav", talk(3, 1))
    write_media(tmp_path / "in" / "silent.wav", silence(2.0))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def run(folder, *words):
    done = CliRunner().invoke(
        voice, [*map(str, words), "--data", str(folder / "data")], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


def build(folder, *words):
    places = ("--out", folder / "out", "--recipe", folder / "recipe.yaml")
    return run(folder, "build", folder / "in", "--name", "lan", "--language", "vi", *places, *words)


def test_until_segment_needs_no_data_folder_and_counts_what_is_refused(folder):
    report = build(folder, "--until", "segment", "--json")
    assert report["clips"] >= 2
    assert report["refused_recordings"]["silent.wav"]["code"] == "audio.silent"
    assert not (folder / "data").exists()


def test_it_is_said_in_words_too(folder):
    said = build(folder, "--until", "dataset")
    assert "2 recordings" not in said
    assert "Not used: silent.wav" in said
    assert "Warning: no consent is recorded for 1 of 1 recordings." in said


def test_a_trained_voice_is_installed_listed_shown_and_exported(folder, monkeypatch):
    stand_in(monkeypatch)
    monkeypatch.setattr("phonoloop.voice.train.require_piper", lambda: None)
    consent = ("--consent-who", "Lan", "--consent-purpose", "reading", "--consent-date", "2026-11-20")
    report = build(folder, "--speaker", "Lan", "--licence", "CC0-1.0", *consent, "--json")
    (listed,) = run(folder, "list", "--json")
    assert listed["model_id"] == report["model_id"]
    assert "Lan agreed on 2026-11-20 to: reading" in run(folder, "show", "lan")
    files = run(folder, "export", "lan", folder / "exported", "--json")["files"]
    assert (folder / "exported" / "lan.onnx").is_file()
    assert len(files) >= 3


def test_another_training_on_the_same_clips_leaves_the_files_of_the_first_as_they_are(folder, monkeypatch):
    monkeypatch.setattr("phonoloop.voice.train.require_piper", lambda: None)
    stand_in(monkeypatch, sound=b"first")
    first = build(folder, "--json")
    stand_in(monkeypatch, sound=b"second")
    second = build(folder, "--set", "train.seed=2", "--json")
    assert first["manifest_id"] == second["manifest_id"]
    installed = {one["model_id"]: one for one in run(folder, "list", "--json")}
    for report, sound in ((first, b"first"), (second, b"second")):
        path = folder / "data" / installed[report["model_id"]]["artefacts"] / "lan.onnx"
        assert path.read_bytes() == sound


def test_settings_of_the_recipe_can_be_set(folder):
    build(folder, "--until", "segment", "--set", "segment.max_s=3.5")
    (cut,) = json.loads((folder / "out" / "segments.json").read_text("utf-8"))
    assert all(one["end"] - one["start"] <= 3.5 * 22_050 for one in cut["segments"])


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (("--set", "segment.mx_s=3"), ConfigError, "config.unknown_key"),
        (("--recipe", "none"), ConfigError, "config.missing"),
        (("--name", "../x"), InputError, "voice.name"),
        (("--consent-who", "Lan"), InputError, "voice.consent"),
        (("--set", "separate=demucs"), ConfigError, "voice.separator"),
    ],
)
def test_what_cannot_be_used_is_said(folder, words, error, code):
    with pytest.raises(error) as caught:
        build(folder, "--until", "segment", *words)
    assert caught.value.code == code


def test_a_missing_extra_is_said_before_anything_is_done(folder, monkeypatch):
    monkeypatch.setattr("phonoloop.voice.train._NEEDED", ("no_such_package",))
    with pytest.raises(UnavailableError) as caught:
        build(folder)
    assert caught.value.code == "voice.no_piper"
    assert "pip install 'phonoloop[piper]'" in caught.value.hint
    assert not (folder / "out").exists()


def test_a_file_that_is_not_there_is_said(folder):
    with pytest.raises(NotFoundError) as caught:
        build(folder, folder / "none.mp4", "--until", "segment")
    assert caught.value.code == "input.missing"
