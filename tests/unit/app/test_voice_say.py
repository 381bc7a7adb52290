"""`phonoloop voice say`: an installed voice or a file of Piper's says a text."""

import hashlib
import json
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from phonoloop.adapters.piper import PiperVoice
from phonoloop.app import voice_speaking
from phonoloop.app.bootstrap import open_app
from phonoloop.app.cli.main import main
from phonoloop.app.settings import Settings
from phonoloop.app.voice_speaking import say, voices_named
from phonoloop.audio.wav import read_wav, wav_info
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError

RATE_HZ = 22_050


class Piper:
    """Each letter lasts 10 ms divided by the speed; the second speaker is quieter."""

    speakers = ("thu",)

    def __init__(self, paths, espeak):
        self.paths = paths

    def names(self):
        return list(self.speakers)

    def speak(self, text, *, voice, speed, pitch):
        level = 0.5 if voice == self.speakers[0] else 0.25
        return np.full(round(len(text) * RATE_HZ / 100 / speed), level, np.float32), RATE_HZ


@pytest.fixture(autouse=True)
def spoken(monkeypatch):
    monkeypatch.setattr(voice_speaking, "EspeakSynthesizer", nullcontext)
    monkeypatch.setattr(voice_speaking, "PiperSynthesizer", Piper)


@pytest.fixture
def voice(tmp_path):
    path = tmp_path / "thu.onnx"
    path.write_bytes(b"a network")
    told = {"onnx_sha256": hashlib.sha256(b"a network").hexdigest()}
    (tmp_path / "thu.onnx.json").write_text(json.dumps(told))
    return path


@pytest.fixture
def app(tmp_path):
    with open_app(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


def test_a_text_is_said_at_the_voices_own_rate(app, voice):
    speech = say(app, str(voice), "Xin chào. Tạm biệt.")
    assert speech.rate_hz == RATE_HZ
    assert speech.duration_s == pytest.approx(0.09 + 0.25 + 0.09, abs=0.01)
    assert speech.pcm.dtype == np.int16


def test_faster_is_shorter(app, voice):
    assert say(app, str(voice), "Xin chào.", speed=2.0).duration_s == pytest.approx(0.045, abs=0.001)


def test_a_speaker_is_chosen_by_name(app, voice, monkeypatch):
    monkeypatch.setattr(Piper, "speakers", ("thu#Lan", "thu#Minh"))
    first, second = (say(app, str(voice), "chào", speaker=name).pcm.max() for name in ("", "Minh"))
    assert first == 2 * second
    with pytest.raises(InputError) as caught:
        say(app, str(voice), "chào", speaker="Hoa")
    assert caught.value.code == "voice.speaker"
    assert "Lan, Minh" in caught.value.hint


def test_a_network_that_was_exchanged_does_not_speak(app, voice):
    voice.write_bytes(b"another network")
    with pytest.raises(IntegrityError) as caught:
        say(app, str(voice), "chào")
    assert caught.value.code == "voice.changed"


def test_a_voice_that_is_not_there_is_said(app, tmp_path):
    with pytest.raises(NotFoundError) as no_file:
        say(app, str(tmp_path / "no.onnx"), "chào")
    with pytest.raises(NotFoundError) as no_name:
        say(app, "nobody", "chào")
    assert (no_file.value.code, no_name.value.code) == ("voice.not_exported", "voice.missing")


def test_other_parts_take_files_folders_and_names(app, voice, tmp_path):
    assert voices_named(app, f"{voice}:{tmp_path}:") == [voice, tmp_path]
    assert voices_named(app, "") == []
    with pytest.raises(NotFoundError):
        voices_named(app, "nobody")


def test_the_command_writes_a_file(voice, tmp_path, monkeypatch, capsys):
    out = tmp_path / "said" / "out.wav"
    options = ["--data", str(tmp_path / "data"), "--voice", str(voice), "-o", str(out), "--json"]
    monkeypatch.setattr(sys, "argv", ["phonoloop", "voice", "say", "Xin chào.", *options])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    told = json.loads(capsys.readouterr().out)
    assert told == {"out": str(out), "duration_s": 0.09, "rate_hz": RATE_HZ}
    assert wav_info(out).rate_hz == RATE_HZ
    assert read_wav(out).max() == pytest.approx(0.5, abs=0.001)


def test_the_synthesiser_checks_the_hash_itself(voice):
    from phonoloop.adapters import piper

    told = {"language": "vi", "rate_hz": RATE_HZ, "ids": {}, "speakers": {}, "scales": (0.0, 1.0, 0.0)}
    with pytest.raises(IntegrityError) as caught:
        piper._check_hash(PiperVoice(path=voice, by_letters=False, sha256="0" * 64, **told))
    assert caught.value.code == "piper.changed"
