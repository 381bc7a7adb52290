"""`phonoloop wakeword scan` and `listen`, on a detector of beeps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from phonoloop.app.cli.wakeword_listen import listen, scan
from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.testing import sounds
from phonoloop.testing.wake import BEEP_S, beep_facts, export_beep_detector, with_beeps
from phonoloop.wakeword.export import conclude

COMMAND = (sys.executable, "-m", "phonoloop.app.cli.main", "wakeword")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    export_beep_detector(folder / "one", beep_facts("one"))
    conclude(folder / "one", folder / "two", facts=beep_facts("two"))
    return [folder / "one", folder / "two"]


@pytest.fixture
def recordings(tmp_path):
    """A folder as users have them."""
    folder = tmp_path / "recordings"
    (folder / "deep" / "er").mkdir(parents=True)
    sounds.write_wav(folder / "a.wav", with_beeps(4.0, [0.0, 2.0]))
    sounds.write_media(folder / "deep" / "b.mp3", with_beeps(3.0, [1.0]))
    sounds.write_wav(folder / "deep" / "er" / "c.wav", with_beeps(1.4, [1.0]))  # ends with the beep
    sounds.write_wav(folder / "quiet.wav", sounds.noise(2.0))
    sounds.write_wav(folder / "silent.wav", sounds.silence(2.0))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "broken.flac").write_bytes(b"fLaC and nothing else")
    (folder / "notes.txt").write_text("not audio")
    return folder


def run(command, *words, exit_code: int = 0, **options):
    done = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, **options)
    assert done.exit_code == exit_code, done.output
    return done


def lines(done) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- scan


def test_scan_says_each_detection_then_a_summary(detectors, recordings):
    *found, total = lines(run(scan, recordings, "--model", detectors[0], "--json", exit_code=2))
    assert all(set(one) == {"file", "at_s", "score"} for one in found)
    heard = [(Path(one["file"]).name, one["at_s"]) for one in found]
    assert [name for name, _ in heard] == ["a.wav", "a.wav", "b.mp3", "c.wav"]
    for (_, at_s), end_s in zip(heard, [BEEP_S, 2 + BEEP_S, 1 + BEEP_S, 1 + BEEP_S], strict=True):
        assert end_s - 0.05 <= at_s <= end_s + 0.25
    assert (total["detections"], total["files"]) == (4, 4)
    assert total["hours"] == pytest.approx((4.0 + 3.0 + 1.4 + 2.0) / 3600, rel=0.02)


def test_the_rate_has_an_interval_and_none_heard_is_not_never(detectors, tmp_path):
    sounds.write_wav(tmp_path / "quiet.wav", sounds.noise(36.0))
    (total,) = lines(run(scan, tmp_path / "quiet.wav", "--model", detectors[0], "--json"))
    assert total["per_hour"]["rate"] == 0
    assert total["per_hour"]["high"] == pytest.approx(300, rel=0.01)  # 3 in 0.01 h


def test_files_that_cannot_be_used_are_listed_with_reasons(detectors, recordings):
    missing = recordings / "nowhere.wav"
    total = lines(run(scan, recordings, missing, "--model", detectors[0], "--json", exit_code=2))[-1]
    refused = {Path(one["file"]).name: one["code"] for one in total["refused"]}
    assert refused["silent.wav"] == "audio.silent"
    assert refused["empty.wav"] == "audio.empty"
    assert refused["nowhere.wav"] == "audio.missing"
    assert set(refused) == {"silent.wav", "empty.wav", "nowhere.wav", "broken.flac"}
    assert all(one["hint"] for one in total["refused"])


def test_scan_speaks_to_people(detectors, recordings):
    done = run(scan, recordings, "--model", detectors[0], exit_code=2)
    assert "4 detections in 0.003 h, 4 files" in done.output
    assert "an hour (95 %:" in done.output
    assert "3 files cannot be used:" in done.output


def test_several_detectors_are_told_apart(detectors, recordings):
    models = [word for folder in detectors for word in ("--model", folder)]
    *found, total = lines(run(scan, recordings / "a.wav", *models, "--json"))
    assert [one["model"] for one in found] == ["one", "two", "one", "two"]
    assert total["detections"] == 4


def test_another_threshold_and_int8(detectors, recordings):
    words = (recordings / "a.wav", "--model", detectors[0], "--json")
    assert lines(run(scan, *words, "--threshold", "1"))[-1]["detections"] == 0
    assert lines(run(scan, *words, "--int8"))[-1]["detections"] == 2


def test_a_folder_without_audio_is_said(detectors, tmp_path):
    with pytest.raises(NotFoundError) as caught:
        run(scan, tmp_path, "--model", detectors[0])
    assert caught.value.code == "wakeword.no_audio"


def test_a_damaged_detector_is_refused(detectors, recordings, tmp_path):
    copy = shutil.copytree(detectors[0], tmp_path / "copy")
    (copy / "wake_stream.onnx").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        run(scan, recordings, "--model", copy)
    assert caught.value.code == "model.damaged"


def test_the_same_detector_twice_is_refused(detectors, recordings):
    with pytest.raises(ConfigError) as caught:
        run(scan, recordings, "--model", detectors[0], "--model", detectors[0])
    assert caught.value.code == "wakeword.models"


# ---------------------------------------------------------------- which detector


def test_the_detector_comes_from_the_environment_or_is_the_promoted_one(detectors, recordings, tmp_path):
    data = tmp_path / "data"
    words = (recordings / "a.wav", "--data", data, "--json")
    assert lines(run(scan, *words, env={"STT_WAKE_MODEL_PATH": str(detectors[0])}))[-1]["detections"] == 2
    with pytest.raises(NotFoundError) as caught:
        run(scan, *words)
    assert caught.value.code == "model.missing"
    assert not data.exists()
    installed = data / "models" / "wakeword"
    shutil.copytree(detectors[0], installed / "x")
    (installed / "current").symlink_to("x")
    assert lines(run(scan, *words))[-1]["detections"] == 2
    assert lines(run(scan, *words, "--model", "current"))[-1]["detections"] == 2


# ---------------------------------------------------------------- listen


def test_a_pipe_is_heard_as_it_comes_and_its_end_too(detectors):
    """The whole program: bytes in, lines out while the pipe is still open."""
    words = (*COMMAND, "listen", "--model", str(detectors[0]), "--stdin", "--json")
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    pcm = to_int16(with_beeps(5.0, [1.0, 3.0])).tobytes()
    process.stdin.write(pcm[: 2 * 16_000 * 2])
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    assert 1.4 < first["at_s"] <= 1.65
    out, _ = process.communicate(pcm[2 * 16_000 * 2 :], timeout=60)
    second, total = map(json.loads, out.splitlines())
    assert 3.4 < second["at_s"] <= 3.65
    assert total == {"hours": round(5 / 3600, 6), "detections": 2, "overruns": 0, "interrupted": False}
    assert process.returncode == 0


@pytest.fixture
def _ctrl_c_is_heard():
    """What a script starts in the background ignores Ctrl-C, and hands that on to its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listening_is_ended_with_a_summary(detectors, number):
    words = (*COMMAND, "listen", "--model", str(detectors[0]), "--stdin", "--json")
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(to_int16(with_beeps(2.0, [0.5])).tobytes())
    process.stdin.flush()
    process.stdout.readline()  # it has heard the beep
    time.sleep(0.2)
    process.send_signal(number)
    process.wait(timeout=60)  # the pipe stays open: its end would end listening too
    out, errors = process.communicate()
    assert json.loads(out)["interrupted"] is True
    assert json.loads(out)["detections"] == 1
    assert (process.returncode, errors) == (0, b"")


def test_a_wav_file_or_another_rate_may_come_through_the_pipe(detectors):
    wav = wav_bytes(to_int16(with_beeps(2.0, [1.0])))
    words = ("--model", detectors[0], "--stdin", "--json")
    assert lines(run(listen, *words, input=wav))[-1]["detections"] == 1
    slow = to_int16(sounds.tone(5_000, 1.0, rate_hz=48_000, level_dbfs=-12.0)).tobytes()
    assert lines(run(listen, *words, "--rate", 48_000, input=slow))[-1]["detections"] == 1


def test_listen_speaks_to_people(detectors):
    done = run(listen, "--model", detectors[0], "--stdin", input=to_int16(with_beeps(2.0, [1.0])).tobytes())
    assert "1 detection in 0.001 h" in done.stdout


def test_a_reader_that_goes_away_ends_it(detectors):
    words = (*COMMAND, "listen", "--model", str(detectors[0]), "--stdin", "--json")
    read, write = os.pipe()
    os.close(read)
    pcm = to_int16(with_beeps(4.0, [1.0, 2.5])).tobytes()
    done = subprocess.run(words, input=pcm, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_microphone_is_heard_and_lost_audio_is_said(detectors, monkeypatch):
    from phonoloop.adapters import microphone

    class Played:
        overruns = 3

        def __init__(self, device):
            assert device == "USB"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __iter__(self):
            yield with_beeps(2.0, [1.0])
            raise KeyboardInterrupt

    monkeypatch.setattr(microphone, "Microphone", Played)
    done = run(listen, "--model", detectors[0], "--device", "USB", "--json")
    assert lines(done)[-1] == {
        "hours": round(2 / 3600, 6),
        "detections": 1,
        "overruns": 3,
        "interrupted": True,
    }
    assert "Audio was lost" in done.stderr


def test_microphones_are_listed_without_a_detector(monkeypatch):
    from phonoloop.adapters import microphone

    found = [microphone.InputDevice(1, "Built-in", 2, 48_000, True)]
    monkeypatch.setattr(microphone, "input_devices", lambda: found)
    assert "Built-in" in run(listen, "--list-devices").output
