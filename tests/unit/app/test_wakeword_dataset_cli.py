"""`phonoloop wakeword dataset …`, as somebody types it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from phonoloop.app.cli.doctor import doctor
from phonoloop.app.cli.wakeword_dataset import dataset
from phonoloop.core.errors import ConflictError, InputError, ManifestError, NotFoundError
from phonoloop.testing.sounds import utterance, write_media


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command; with `code`, it has to end so. JSON comes back as values."""
    monkeypatch.setenv("WAKEWORD_MIN_POSITIVES", "2")
    monkeypatch.setenv("WAKEWORD_MIN_NEGATIVES", "1")

    def invoke(*words, code=0):
        words = [str(word) for word in words]
        done = CliRunner().invoke(dataset, [*words, "--data", str(tmp_path / "data")], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words else done.output

    return invoke


@pytest.fixture
def recordings(tmp_path):
    """Two speakers' positives, negatives, one file that is none."""
    root = tmp_path / "recordings"
    for seed, place in enumerate(("positive/an", "positive/binh", "positive/binh", "negative/an")):
        (root / place).mkdir(parents=True, exist_ok=True)
        write_media(root / place / f"{seed}.flac", utterance(seed))
    (root / "negative" / "broken.wav").write_text("no sound")
    return root


@pytest.fixture
def filled(run, recordings):
    run("create", "Computer", "--language", "en")
    run("import", "computer", recordings, code=2)
    return run


def clips(run, *options):
    return run("show", "computer", "--clips", "--json", *options)["clips"]


def test_a_folder_with_labels_is_imported_and_what_is_no_audio_is_named(run, recordings):
    run("create", "Computer")
    found = run("import", "computer", recordings, "--json", code=2)
    assert found["counts"] == {"added": 4, "refused": 1}
    (refused,) = [one for one in found["outcomes"] if one["status"] == "refused"]
    assert (refused["name"], refused["code"]) == ("negative/broken.wav", "audio.not_audio")
    assert refused["hint"]
    assert sorted((c["label"], c["speaker"]) for c in clips(run)) == [
        ("negative", "an"),
        ("positive", "an"),
        ("positive", "binh"),
        ("positive", "binh"),
    ]
    assert run("import", "computer", recordings, "--json", code=2)["counts"] == {"known": 4, "refused": 1}


def test_a_folder_without_labels_is_not_guessed_at(run, recordings):
    run("create", "Computer")
    with pytest.raises(InputError) as refused:
        run("import", "computer", recordings / "positive")
    assert refused.value.code == "dataset.no_labels"
    (recordings / "labels.json").write_text("{")
    with pytest.raises(ManifestError):
        run("import", "computer", recordings)


def test_files_are_added_with_what_is_said_of_them(run, recordings):
    run("create", "Computer", "--id", "pc", "--licence", "CC0-1.0")
    out = run("add", "pc", recordings / "positive", "--label", "positive", "--device", "phone")
    assert "3 added." in out
    view = run("show", "pc", "--clips", "--json")
    assert {(c["speaker"], c["device"], c["licence"]) for c in view["clips"]} == {
        ("an", "phone", "CC0-1.0"),
        ("binh", "phone", "CC0-1.0"),
    }
    assert "Name files or folders" in run("add", "pc", "--label", "positive", code=2)


def test_showing_says_what_is_there_and_what_is_missing(run, filled):
    out = filled("show", "computer", "--clips")
    assert "Enough to train on." in out
    assert "an 2, binh 2" in out
    assert "computer  Computer  " in filled("list")
    run("create", "Jarvis")
    assert "Missing for a training: 2 positive, 1 negative clips." in run("show", "jarvis")
    with pytest.raises(NotFoundError):
        run("show", "none")


def test_clips_are_labelled_tagged_noted_deleted_and_restored(filled):
    (negative,) = clips(filled, "--label", "negative")
    name = negative["clip_id"]
    filled("label", "positive", name)
    filled("tag", "Chi", name)
    (clip,) = filled("note", "in the car", name, "--json")
    assert (clip["label"], clip["speaker"], clip["notes"]) == ("positive", "Chi", "in the car")
    assert clip["reviewed_by"]
    filled("delete", name)
    assert name not in {c["clip_id"] for c in clips(filled)}
    assert "1 clips restored." in filled("restore", name)
    filled("delete", name)
    assert "0 clips removed" in filled("purge", "computer", "--older-than", "30", "--yes")
    assert filled("purge", "computer", "--older-than", "0", "--yes", "--json")["purged"] == [name]


def test_false_alarms_come_back_as_negatives(filled, tmp_path):
    long = np.concatenate([utterance(seed) for seed in range(20, 26)])
    stream = write_media(tmp_path / "evening.ogg", long)
    lines = [
        {"file": str(stream), "at_s": 3.9, "score": 0.91, "model": "computer"},
        {"file": str(stream), "at_s": 7.8, "score": 0.8},
        {"hours": 0.01, "detections": 2},
    ]
    (tmp_path / "scan.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    added = filled(
        "add", "computer", "--label", "negative", "--from-detections", tmp_path / "scan.jsonl", "--json"
    )
    assert added["counts"] == {"added": 2}
    cut = next(c for c in clips(filled, "--label", "negative") if c["source_name"] == "evening.ogg@3.90s")
    assert cut["duration_s"] == pytest.approx(2.2, abs=0.01)
    assert "heard as computer at 3.90 s of evening.ogg, score 0.91" in cut["notes"]


def test_a_list_that_is_no_list_of_detections_is_refused(filled, tmp_path):
    (tmp_path / "scan.jsonl").write_text("file,at\n")
    with pytest.raises(InputError) as refused:
        filled("add", "computer", "--label", "negative", "--from-detections", tmp_path / "scan.jsonl")
    assert refused.value.code == "detections.invalid"


def test_an_export_can_be_imported_again(filled, run, tmp_path):
    deleted, noted = (clip["clip_id"] for clip in clips(filled)[:2])
    filled("delete", deleted)
    filled("note", "in the car", noted)
    filled("export", "computer", tmp_path / "out")
    with pytest.raises(ConflictError):
        filled("export", "computer", tmp_path / "out")
    run("create", "Computer", "--id", "again")
    assert run("import", "again", tmp_path / "out", "--json")["counts"] == {"added": 3}
    here = {(c["audio_id"], c["label"], c["speaker"], c["notes"]) for c in clips(filled)}
    there = {
        (c["audio_id"], c["label"], c["speaker"], c["notes"])
        for c in run("show", "again", "--clips", "--json")["clips"]
    }
    assert here == there


def test_copies_are_listed(filled, tmp_path):
    assert "No two clips" in filled("duplicates", "computer")
    path = write_media(tmp_path / "copy.mp3", 0.3 * utterance(1))
    assert "a copy of" in filled("add", "computer", path, "--label", "positive")
    assert "Copies:" in filled("duplicates", "computer")


def test_the_doctor_sees_a_clip_whose_audio_is_gone(filled, tmp_path):
    def says():
        done = CliRunner().invoke(doctor, ["--json", "--data", str(tmp_path / "data")])
        return {check["what"]: check for check in json.loads(done.stdout)["checks"]}

    assert says()["datasets of wake words"]["says"] == "1, with 4 clips"
    assert says()["wake-word detector"]["says"] == "none yet"
    next((tmp_path / "data" / "datasets" / "computer" / "clips").iterdir()).unlink()
    assert "dataset.audio_missing" in says()["datasets of wake words"]["says"]
