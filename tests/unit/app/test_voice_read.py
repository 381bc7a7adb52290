"""`phonoloop voice read`: a voice's recordings for a recogniser, kept out of what it is measured on."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from phonoloop.app import voice_reading
from phonoloop.app.bootstrap import open_app
from phonoloop.app.settings import Settings
from phonoloop.app.voice_reading import read_out
from phonoloop.audio.wav import wav_info
from phonoloop.core.errors import InputError, SplitConflictError
from phonoloop.data.model import Speaker, Split
from phonoloop.data.sidecar import read_sidecars
from phonoloop.data.split import pin_speaker

LINES = ["Xin chào.", "Tạm biệt.", "", "  ", "Xin chào. "]


class Piper:
    """Says a sample a letter, and counts; refuses what has an x at its end."""

    said = 0

    def __init__(self, paths, espeak):
        pass

    def names(self):
        return ["thu"]

    def synthesize(self, text, *, voice, speed):
        if text.endswith("x"):
            raise InputError("no phoneme", code="piper.text")
        if speed > 2:
            raise InputError("too fast", code="piper.speed")
        type(self).said += 1
        return np.full(len(text), 0.5, np.float32)


@pytest.fixture(autouse=True)
def spoken(monkeypatch):
    monkeypatch.setattr(voice_reading, "EspeakSynthesizer", nullcontext)
    monkeypatch.setattr(voice_reading, "PiperSynthesizer", Piper)
    monkeypatch.setattr(Piper, "said", 0)


@pytest.fixture
def voice(tmp_path):
    path = tmp_path / "thu.onnx"
    path.touch()
    (tmp_path / "thu.onnx.json").write_text(json.dumps({"espeak": {"voice": "vi"}}))
    return str(path)


@pytest.fixture
def app(tmp_path):
    with open_app(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


def test_every_line_is_a_recording_with_its_text(app, voice, tmp_path):
    found = read_out(app, voice, LINES, tmp_path / "out")
    assert len(found.files) == 2
    path = found.files[0]
    assert wav_info(path).rate_hz == 16_000
    sidecar = read_sidecars(path)
    assert (sidecar.text, sidecar.speaker, sidecar.language) == ("Xin chào.", "voice thu", "vi")
    assert sidecar.attributes["synthetic"] is True


def test_nothing_is_measured_on_it(app, voice, tmp_path):
    read_out(app, voice, LINES, tmp_path / "out")
    with app.records.transaction() as tx:
        (speaker,) = tx.find(Speaker)
    assert (speaker.name, speaker.split, speaker.pinned) == ("voice thu", Split.TRAIN, True)


def test_a_speaker_of_another_split_with_recordings_is_refused(app, voice, tmp_path, monkeypatch):
    def heard_in_test(tx, name, split):
        raise SplitConflictError("it has recordings in test", code="split.speaker_has_audio")

    monkeypatch.setattr(voice_reading, "pin_speaker", heard_in_test)
    with pytest.raises(SplitConflictError):
        read_out(app, voice, LINES, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_second_call_writes_what_is_missing(app, voice, tmp_path):
    first = read_out(app, voice, LINES, tmp_path / "out")
    first.files[0].unlink()
    again = read_out(app, voice, [*LINES, "Hẹn gặp lại."], tmp_path / "out")
    assert Piper.said == 2 + 2
    assert again.files[:2] == first.files


def test_a_line_that_cannot_be_said_is_counted(app, voice, tmp_path):
    found = read_out(app, voice, ["Xin chào.", "xx"], tmp_path / "out")
    assert (len(found.files), found.refused) == (1, {"xx": "no phoneme"})
    with pytest.raises(InputError) as caught:
        read_out(app, voice, LINES, tmp_path / "other", speed=3.0)
    assert caught.value.code == "piper.speed"


def test_no_lines_are_said(app, voice, tmp_path):
    with pytest.raises(InputError) as caught:
        read_out(app, voice, ["", "…"], tmp_path / "out")
    assert caught.value.code == "voice.text"


def test_pinning_again_is_no_conflict(app):
    with app.records.transaction() as tx:
        assert pin_speaker(tx, "voice a", Split.TRAIN) == pin_speaker(tx, "voice a", Split.TRAIN)
