"""The commands, run as a user runs them, on a few synthetic voices."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from end_to_end import PINS, SENTENCES, files_in, phonoloop

pytestmark = pytest.mark.xdist_group("e2e")


def test_recordings_become_a_dataset_with_every_speaker_in_their_split(world):
    status = phonoloop("status", "--json", data=world).json
    assert status["recordings"] == len(PINS) * len(SENTENCES)
    assert status["clips"]["accepted"] == status["recordings"]
    assert status["speakers"] == {"train": 3, "val": 1, "test": 3}
    speakers = phonoloop("speakers", "list", "--json", data=world).json
    assert {s["name"]: s["split"] for s in speakers} == PINS


def test_the_first_model_serves_and_says_that_it_is_unproven(world):
    (model,) = phonoloop("models", "list", "--json", data=world).json
    assert (model["status"], model["unproven"]) == ("champion", True)
    assert model["metrics"]["golden"]["speakers"] == 3
    assert model["metrics"]["golden"]["parts"]["tone"]["reference"] > 0
    card = phonoloop("models", "show", "champion", data=world).out
    assert model["model_id"] in card
    assert "unproven" in card.lower()
    assert "| | tone | onset | rime |" in card
    assert "unproven" in phonoloop("status", data=world).out


def test_a_recording_that_was_never_ingested_is_transcribed(world, recordings):
    heard = phonoloop("transcribe", recordings / "lan" / "lan-0.wav", "--json", data=world).json
    assert heard["model_version"].startswith("asr-")
    assert "text" in heard


def test_an_exported_model_hears_the_same_elsewhere(world, recordings, tmp_path):
    phonoloop("models", "export", "champion", tmp_path / "model", data=world)
    assert {"model.onnx", "metadata.json", "tokenizer.json"} <= set(files_in(tmp_path / "model"))
    file = recordings / "lan" / "lan-2.wav"
    there = phonoloop(
        "transcribe", file, "--json", "--model", tmp_path / "model", data=tmp_path / "none"
    ).json
    here = phonoloop("transcribe", file, "--json", data=world).json
    assert there == here


def test_a_damaged_model_is_refused(world, recordings, tmp_path):
    phonoloop("models", "export", "champion", tmp_path / "model", data=world)
    with (tmp_path / "model" / "model.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    refused = phonoloop(
        "transcribe",
        recordings / "lan" / "lan-2.wav",
        "--model",
        tmp_path / "model",
        data=tmp_path / "x",
        code=5,
    )
    assert "model.damaged" in refused.err


def row_of(path):
    return {
        "audio_filepath": str(path),
        "text": path.with_suffix(".txt").read_text(encoding="utf-8"),
        "duration": soundfile.info(path).duration,
        "speaker": path.parent.name,
    }


def test_any_manifest_can_be_evaluated_on(world, recordings, tmp_path):
    rows = [row_of(path) for path in sorted(recordings.glob("*/*-1.wav"))]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    options = ["--manifest", manifest, "--predictions", tmp_path / "p.jsonl", "--json"]
    report = phonoloop("evaluate", "asr", "champion", *options, data=world).json
    assert (report["clips"], report["speakers"]) == (len(PINS), len(PINS))
    assert 0 <= report["wer"]["low"] <= report["wer"]["rate"] <= report["wer"]["high"]
    assert report["normaliser_version"]
    assert {"tone", "onset", "rime", "confusions"} <= set(report["parts"])
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == len(PINS)


def test_a_manifest_line_that_is_not_json_is_named(world, tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav", "text": "a", "duration": 1}\nnonsense\n')
    refused = phonoloop("evaluate", "asr", "champion", "--manifest", manifest, data=world, code=2)
    assert "manifest.not_json" in refused.err
    assert "2" in refused.err


def champion_of(data):
    return phonoloop("models", "show", "champion", "--json", data=data).json["model_id"]


def test_training_again_judges_against_the_champion_and_roll_back_goes_back(own_world):
    first = phonoloop("models", "list", "--json", data=own_world).json[0]["model_id"]
    result = phonoloop("train", "asr", "--recipe", "debug", "--seed", 5, "--json", data=own_world).json[
        "result"
    ]
    assert result["decision"] in ("better", "worse", "not_enough_evidence")
    assert result["promoted"] == (result["decision"] == "better")
    phonoloop("models", "promote", result["model_id"], data=own_world)
    assert champion_of(own_world) == result["model_id"]
    phonoloop("models", "rollback", data=own_world)
    assert champion_of(own_world) == first
    assert "model.no_previous" in phonoloop("models", "rollback", data=own_world, code=3).err


def test_a_manifest_of_held_out_speakers_cannot_be_trained_on(own_world, tmp_path):
    phonoloop("data", "export", tmp_path / "out", data=own_world)
    manifest = tmp_path / "out" / "test.jsonl"
    refused = phonoloop("train", "asr", "--recipe", "debug", "--manifest", manifest, data=own_world, code=4)
    assert "split.conflict" in refused.err


def test_a_speaker_with_recordings_cannot_change_split(world):
    assert "split.speaker_has_audio" in phonoloop("speakers", "pin", "an", "test", data=world, code=4).err


def test_the_same_files_again_are_duplicates_and_change_nothing(own_world, recordings):
    before = (own_world / "datasets" / "manifests" / "train.jsonl").read_bytes()
    counts = phonoloop("ingest", recordings, "--json", data=own_world).json["counts"]
    assert counts == {"duplicate": len(PINS) * len(SENTENCES)}
    phonoloop("data", "snapshot", data=own_world)
    assert (own_world / "datasets" / "manifests" / "train.jsonl").read_bytes() == before


def test_the_same_audio_in_another_container_is_the_same_recording(own_world, recordings, tmp_path):
    samples, rate = soundfile.read(recordings / "an" / "an-0.wav", dtype="int16")
    soundfile.write(tmp_path / "other.flac", samples, rate)
    outcome = phonoloop("ingest", tmp_path / "other.flac", "--json", data=own_world).json["outcomes"][0]
    assert outcome["status"] == "duplicate"
    assert "an-0.wav" in outcome["message"]


def bad_files(folder):
    """name → the code that is expected."""
    good = np.sin(np.arange(16_000) / 20).astype(np.float32) * 0.3
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no sound")
    soundfile.write(folder / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    soundfile.write(folder / "zero.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(folder / "blip.wav", good[:800], 16_000)
    soundfile.write(folder / "badside.wav", good, 16_000)
    (folder / "badside.json").write_text("{not json")
    return {
        "empty.wav": "audio.empty",
        "text.wav": "audio.not_audio",
        "silent.wav": "audio.silent",
        "zero.wav": "audio.too_short",
        "blip.wav": "audio.too_short",
        "badside.wav": "sidecar.not_json",
    }


def test_bad_input_is_counted_explained_and_kept(own_world, tmp_path):
    folder = tmp_path / "offered"
    folder.mkdir()
    expected = bad_files(folder)
    soundfile.write(folder / "good.wav", np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    ran = phonoloop("ingest", folder, "--json", data=own_world, code=2).json
    refused = {o["name"]: o["code"] for o in ran["outcomes"] if o["status"] == "refused"}
    assert refused == expected
    assert ran["counts"] == {"refused": len(expected), "ingested": 1}
    assert all(o["message"] and o["hint"] for o in ran["outcomes"] if o["status"] == "refused")
    assert all((folder / name).exists() for name in expected)


def test_what_is_not_there_is_said(tmp_path):
    assert "input.missing" in phonoloop("ingest", tmp_path / "nothing", data=tmp_path / "d", code=3).err
    assert "model.no_champion" in phonoloop("transcribe", tmp_path / "x.wav", data=tmp_path / "d", code=3).err
    refused = phonoloop("train", "asr", "--recipe", "smal", data=tmp_path / "d", code=2)
    assert "small" in refused.err
    failed = phonoloop("train", "asr", "--recipe", "debug", "--json", data=tmp_path / "d", code=1)
    assert failed.json["error"]["code"] == "training.no_data"


def test_an_unknown_recipe_key_names_the_nearest(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\nepoch: 3\n")
    refused = phonoloop("train", "asr", "--recipe", recipe, data=tmp_path / "d", code=2)
    assert "config.unknown_key" in refused.err
    assert "epochs" in refused.err


def test_events_can_be_read_and_dead_letters_replayed(own_world):
    from phonoloop.app.bootstrap import open_app
    from phonoloop.app.settings import load_settings
    from phonoloop.core.events import RECORDING_INGESTED, Event

    assert "recording.ingested" in phonoloop("events", "tail", data=own_world).out
    with open_app(load_settings({"data_dir": own_world})) as app:
        app.bus.publish([Event(RECORDING_INGESTED, "no-such-recording", {"audio_id": "no-such-recording"})])
    phonoloop("ingest", own_world / "processed", data=own_world, code=3)
    (own_world / "processed").mkdir()
    phonoloop("ingest", own_world / "processed", data=own_world)
    (letter,) = phonoloop("events", "dead", "--json", data=own_world).json
    assert (letter["consumer"], letter["code"]) == ("asr", "recording.missing")
    phonoloop("events", "replay", letter["letter_id"], data=own_world)
    assert phonoloop("events", "dead", "--json", data=own_world).json == []


def test_doctor_finds_nothing_wrong_and_a_broken_champion_is_found(own_world):
    assert "PROBLEM" not in phonoloop("doctor", data=own_world).out
    shutil.rmtree(next((own_world / "models" / "asr").iterdir()))
    assert "PROBLEM  champion" in phonoloop("doctor", data=own_world, code=1).out


def test_the_demo_runs_on_somebodys_recordings(recordings, tmp_path):
    out = tmp_path / "demo"
    shown = phonoloop("demo", "--recordings", recordings, "--recipe", "debug", "--out", out)
    report = json.loads((out / "report.json").read_text())
    assert {"wer_first", "wer_final", "refused", "rolled_back", "hours", "seconds"} <= set(report)
    assert report["synthetic"] is False
    assert report["refused"] is True
    assert (out / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    assert all((out / clip["file"]).exists() for clip in report["held_out"])
    assert "rollback" in shown.out
    assert phonoloop("status", "--json", data=out / "data").json["champion"]
