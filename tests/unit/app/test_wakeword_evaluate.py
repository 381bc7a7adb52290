"""`phonoloop wakeword evaluate`, on a detector of beeps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from phonoloop.app.cli.wakeword_evaluate import evaluate
from phonoloop.audio.decode import Decoder
from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.testing import sounds
from phonoloop.testing.wake import beep_facts, export_beep_detector, with_beeps
from phonoloop.wakeword.clips import Label, WakeClip, marks_of, read_clips
from phonoloop.wakeword.export import conclude
from phonoloop.wakeword.infer import Detector, WakeModel
from phonoloop.wakeword.streams import lay_out_positives, score

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job") / "export"
    export_beep_detector(folder)
    return folder.parent


@pytest.fixture
def folders(tmp_path):
    """Twelve beeps of two people, one of which is none; ten seconds of something else, with one beep."""
    beeps, others, hum = tmp_path / "beeps", tmp_path / "others", tmp_path / "hum"
    for folder in (beeps, others, hum):
        folder.mkdir()
    for i in range(12):
        at_s = [] if i == 5 else [0.1 + 0.013 * i]
        sounds.write_wav(
            beeps / f"{i:02}.wav", with_beeps(1.2, at_s) + sounds.noise(1.2, seed=i, level_dbfs=-70)
        )
        (beeps / f"{i:02}.json").write_text(
            json.dumps({"speaker": "an" if i < 4 else "bình"}), encoding="utf-8"
        )
    sounds.write_wav(others / "quiet.wav", sounds.noise(6.0, seed=50))
    sounds.write_wav(others / "beep.wav", with_beeps(4.0, [2.0]) + sounds.noise(4.0, seed=51, level_dbfs=-70))
    (others / "broken.wav").write_bytes(b"RIFF and nothing else")
    sounds.write_wav(hum / "hum.wav", sounds.noise(3.0, seed=52))
    return beeps, others, hum


def run(*words):
    done = CliRunner().invoke(evaluate, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_one_json_object_says_all(detector, folders, tmp_path):
    beeps, others, hum = folders
    words = ("--model", detector, "--positives", beeps, "--negatives", others, "--noise", hum, "--snr-db", 20)
    report = json.loads(run(*words, "--figures", tmp_path / "pictures", "--json"))
    assert (report["phrase"], report["misses"]["missed"], report["misses"]["clips"]) == ("beep", 1, 12)
    assert report["false_accepts"]["events"] == 1
    assert report["false_accepts"]["hours"] == pytest.approx(10 / 3600)
    assert report["misses_at_snr_db"]["20"]["clips"] == 12
    (fired,) = report["fired"]
    assert fired["name"].endswith("beep.wav")
    assert fired["at_s"] == pytest.approx(2.45, abs=0.25)
    assert [group["value"] for group in report["groups"]["speaker"]] == ["bình", "an"]
    assert report["audio"]["negatives"]["refused"][0]["file"].endswith("broken.wav")
    assert all(
        (tmp_path / "pictures" / name).exists() for name in ("roc.png", "det.png", "confusion_matrix.png")
    )
    assert report["verdict"]["outcome"] == "not enough audio" or report["false_accepts"]["low"] > 0.5


def test_a_person_reads_the_verdict_first_and_what_to_mind_last(detector, folders):
    beeps, others, _ = folders
    text = run("--model", detector, "--positives", beeps, "--negatives", others)
    assert text.splitlines()[0].startswith("beep-1: “beep”, fires at 0.5")
    assert "1 of 12: 8.3 %" in text
    assert "05.wav" in text
    assert "Mind, negatives: 1 files cannot be used (broken.wav)." in text


def test_what_is_asked_of_it_is_a_matter_of_options(detector, folders):
    beeps, others, _ = folders
    words = ("--model", detector, "--positives", beeps, "--negatives", others, "--json")
    strict = json.loads(run(*words, "--threshold", 0.99999))
    assert strict["trigger"]["threshold"] == 0.99999
    assert strict["false_accepts"]["events"] == 0
    lax = json.loads(run(*words, "--target-per-hour", 5000, "--max-misses", 0.9))
    assert lax["verdict"]["outcome"] == "good"


def test_a_folder_without_a_detector_or_without_audio_is_said(detector, folders, tmp_path):
    beeps, others, _ = folders
    with pytest.raises(NotFoundError) as refused:
        run("--model", tmp_path, "--positives", beeps, "--negatives", others)
    assert refused.value.code == "model.missing"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError) as refused:
        run("--model", detector, "--positives", beeps, "--negatives", empty)
    assert refused.value.code == "wakeword.no_clips"


def test_what_the_model_was_made_from_is_left_out(detector, folders, tmp_path):
    beeps, others, _ = folders
    with Decoder() as decoder:
        clips = read_clips([beeps], decoder, label=Label.POSITIVE).clips
    words = ("--positives", beeps, "--negatives", others, "--json")

    def judged_after(learned, name):
        facts = replace(beep_facts(), provenance={"heard": marks_of(learned)})
        conclude(detector / "export", tmp_path / name, facts=facts)
        return run("--model", tmp_path / name, *words)

    report = json.loads(judged_after(clips[:4], "four"))
    assert report["misses"]["clips"] == 8
    assert report["audio"]["positives"]["left_out"] == 4
    assert any("made from them" in told for told in report["audio"]["positives"]["warnings"])
    with pytest.raises(InputError) as refused:
        judged_after(clips, "all")
    assert refused.value.code == "wakeword.all_heard"


def test_the_judge_hears_what_the_detector_hears(detector):
    """The same events as the streaming detector finds in the same stream, at any chunk size."""
    model = WakeModel.load(detector / "export")
    clips = [WakeClip.of(with_beeps(1.5, [0.01 * i, 0.9]), Label.POSITIVE) for i in range(6)]
    stream = lay_out_positives(clips)
    judged = score(model, stream)
    heard = np.concatenate(list(stream.render()))
    running = Detector(model)
    detections = [one for at in range(0, len(heard), 777) for one in running.push(heard[at : at + 777])]
    events = judged.events(model.trigger)
    assert [round(one.at_s, 3) for one in detections] == [
        round(judged.heard_at(event) / 16_000, 3) for event in events
    ]
    assert len(events) >= 6
