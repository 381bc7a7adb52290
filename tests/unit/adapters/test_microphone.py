"""The microphone, with a PortAudio that is played here."""

from __future__ import annotations

import sys
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from phonoloop.adapters.microphone import Microphone, input_devices
from phonoloop.core.errors import NotFoundError, UnavailableError
from phonoloop.testing import sounds


class PortAudioError(Exception):
    pass


class FakePortAudio:
    """What of sounddevice is used: two microphones, one of which cannot do 16,000 Hz."""

    PortAudioError = PortAudioError

    def __init__(self, *, busy: bool = False) -> None:
        self.default = SimpleNamespace(device=(1, 3))
        self.busy, self.open = busy, []
        self._devices = [
            {"name": "HDMI out", "max_input_channels": 0, "default_samplerate": 48_000.0},
            {"name": "Built-in", "max_input_channels": 2, "default_samplerate": 48_000.0},
            {"name": "USB array", "max_input_channels": 4, "default_samplerate": 16_000.0},
        ]

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self._devices
        number = self.default.device[0] if device is None else device
        found = [one for i, one in enumerate(self._devices) if number in (i, one["name"])]
        if not found:
            raise ValueError("No input device matching")
        return found[0]

    def check_input_settings(self, *, device, samplerate, **_):
        if self.query_devices(device, "input")["default_samplerate"] != samplerate:
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **wanted):
        if self.busy:
            raise PortAudioError("Device unavailable")
        stream = SimpleNamespace(**wanted, start=lambda: None, stop=lambda: None, close=self.open.clear)
        self.open.append(stream)
        return stream

    def play(self, samples: np.ndarray, *, overflow: bool = False) -> None:
        """The device heard this."""
        (stream,) = self.open
        status = SimpleNamespace(input_overflow=overflow)
        for start in range(0, len(samples), stream.blocksize):
            block = samples[start : start + stream.blocksize, None]
            stream.callback(block, len(block), None, status)


@pytest.fixture
def port_audio(monkeypatch):
    fake = FakePortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_microphones_are_listed_with_the_default(port_audio):
    listed = [(one.number, one.name, one.rate_hz, one.default) for one in input_devices()]
    assert listed == [(1, "Built-in", 48_000, True), (2, "USB array", 16_000, False)]


def test_what_is_heard_comes_out(port_audio):
    tone = sounds.tone(440, 0.4)
    with Microphone("2") as microphone:
        port_audio.play(tone)
        there = np.concatenate(list(islice(microphone, 10)))
    np.testing.assert_array_equal(there, tone)
    assert microphone.overruns == 0
    assert port_audio.open == []


def test_a_device_that_cannot_do_16_khz_is_resampled(port_audio):
    with Microphone() as microphone:
        assert port_audio.open[0].samplerate == 48_000
        port_audio.play(sounds.tone(440, 2.0, rate_hz=48_000))
        there = np.concatenate(list(islice(microphone, 50)))
    assert 30_000 < len(there) <= 32_000
    np.testing.assert_allclose(there[4_000:20_000], sounds.tone(440, 2.0)[4_000:20_000], atol=5e-3)


def test_audio_that_is_lost_is_counted(port_audio):
    with Microphone("USB array") as microphone:
        port_audio.play(sounds.tone(440, 0.04), overflow=True)
        assert microphone.overruns == 1
        port_audio.play(sounds.tone(440, 10.0))  # nobody takes it
        assert microphone.overruns > 40


def test_a_microphone_that_is_unplugged_is_said(port_audio):
    with Microphone("USB array") as microphone:
        (stream,) = port_audio.open
        stream.active = False
        port_audio.play(sounds.tone(440, 0.04))
        blocks = iter(microphone)
        assert len(next(blocks)) == 640  # what had been heard is not lost
        with pytest.raises(UnavailableError) as caught:
            next(blocks)
    assert caught.value.code == "microphone.gone"


def test_no_such_microphone_is_said(port_audio):
    with pytest.raises(NotFoundError) as caught, Microphone("Gramophone"):
        pass
    assert caught.value.code == "microphone.no_device"
    assert "--list-devices" in caught.value.hint


def test_a_busy_microphone_is_said(port_audio):
    port_audio.busy = True
    with pytest.raises(UnavailableError) as caught, Microphone("USB array"):
        pass
    assert caught.value.code == "microphone.refused"


def test_without_sounddevice_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UnavailableError) as caught:
        Microphone()
    assert caught.value.code == "microphone.missing"
    assert "pip install 'phonoloop[wakeword]'" in caught.value.hint


def test_without_portaudio_the_package_is_named(monkeypatch, tmp_path):
    """sounddevice is there, and raises OSError where it finds no PortAudio."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(UnavailableError) as caught:
        input_devices()
    assert caught.value.code == "microphone.missing"
    assert "libportaudio2" in caught.value.hint
    assert "phonoloop[wakeword]" in caught.value.hint
