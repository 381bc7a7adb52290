"""The adapters of Demucs and audio-separator, with stand-ins of the packages: their weights are not here.

The stand-ins have the names, arguments and results that the adapters use of demucs 4 and audio-separator
0.30; that the real ones have them too is not tested.
"""

import textwrap

import numpy as np
import pytest

from phonoloop.adapters.audio_separator import AudioSeparator
from phonoloop.adapters.demucs import DemucsSeparator
from phonoloop.audio.wav import read_wav, to_int16, wav_bytes
from phonoloop.core.errors import ConfigError, IntegrityError, ResourceError, UnavailableError
from phonoloop.testing.sounds import speech_like
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.separate import separate

HTDEMUCS = """
    import torch

    class HTDemucs(torch.nn.Module):
        def __init__(self, sources, audio_channels=2, samplerate=44100):
            super().__init__()
            self.sources, self.audio_channels, self.samplerate = sources, audio_channels, samplerate
            self.gain = torch.nn.Parameter(torch.zeros(()))
"""
STATES = """
    def load_model(package, strict=False):
        model = package["klass"](*package["args"], **package["kwargs"])
        model.load_state_dict(package["state"])
        return model
"""
APPLY = """
    import torch

    def apply_model(model, mix, shifts=1, split=True, overlap=0.25, progress=False, device=None):
        assert mix.shape[:2] == (1, model.audio_channels) and mix.dtype == torch.float32
        assert abs(float(mix.mean())) < 1e-3 and abs(float(mix.std()) - 1) < 1e-2
        return torch.stack([mix * (model.gain if name == "vocals" else 0) for name in model.sources], dim=1)
"""
SEPARATOR = """
    import pathlib, socket
    import soundfile

    class Separator:
        def __init__(self, log_level, model_file_dir, output_dir, output_format, output_single_stem,
                     normalization_threshold, sample_rate):
            assert (output_format, output_single_stem, sample_rate) == ("WAV", "Vocals", 44100)
            self.models, self.folder = pathlib.Path(model_file_dir), pathlib.Path(output_dir)

        def load_model(self, model_filename):
            if not (self.models / "download_checks.json").exists():
                socket.create_connection(("127.0.0.1", 9))
            self.gain = float((self.models / model_filename).read_text())

        def separate(self, path):
            mix, rate_hz = soundfile.read(path)
            assert abs(mix).max() <= 0.51 and mix.shape[1] == 2
            soundfile.write(self.folder / "mix_(Vocals)_model.wav", mix * self.gain, rate_hz)
            return ["mix_(Vocals)_model.wav"]
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Where the separator's process finds the stand-ins."""
    folder = tmp_path / "packages"
    write(folder / "demucs" / "__init__.py", "")
    for name, cls in (("htdemucs", "HTDemucs"), ("hdemucs", "HDemucs"), ("demucs", "Demucs")):
        write(folder / "demucs" / f"{name}.py", HTDEMUCS.replace("HTDemucs", cls))
    write(folder / "demucs" / "states.py", STATES)
    write(folder / "demucs" / "apply.py", APPLY)
    write(folder / "audio_separator" / "separator" / "__init__.py", SEPARATOR)
    write(folder / "audio_separator" / "__init__.py", "")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "audio.wav"
    samples = speech_like(3.0, seed=1, rate_hz=RATE_HZ).samples
    path.write_bytes(wav_bytes(to_int16(samples), RATE_HZ))
    return path


def save_demucs(path, packages, *, gain=0.5, sources=("drums", "vocals"), extra=None):
    """A file of weights as `demucs.states.serialize_model` makes them."""
    import importlib
    import sys

    import torch

    sys.path.insert(0, str(packages))
    try:
        cls = importlib.import_module("demucs.htdemucs").HTDemucs
        state = {"gain": torch.tensor(gain)}
        torch.save(
            {"klass": cls, "args": (list(sources),), "kwargs": {}, "state": state} | (extra or {}), path
        )
    finally:
        sys.path.remove(str(packages))
        for name in [name for name in sys.modules if name.split(".")[0] == "demucs"]:
            del sys.modules[name]
    return path


def same_but_for_gain(stem, wav, gain):
    made, given = read_wav(stem), read_wav(wav)
    assert made.size == given.size
    inner = slice(RATE_HZ // 10, -RATE_HZ // 10)
    assert np.abs(made - gain * given)[inner].max() < 0.02 * np.abs(given).max()


class TestDemucs:
    def test_the_voice_comes_back_as_long_and_as_loud(self, packages, wav, tmp_path):
        separator = DemucsSeparator(save_demucs(tmp_path / "955717e8.th", packages))
        same_but_for_gain(separate(wav, separator=separator, folder=tmp_path / "stem"), wav, 0.5)
        assert [path.name for path in (tmp_path / "stem").iterdir()] == ["audio.wav"]

    def test_a_file_that_would_run_something_is_not_loaded(self, packages, wav, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "trapped"), "w"))

        weights = save_demucs(tmp_path / "a.th", packages, extra={"training_args": Trap()})
        with pytest.raises(IntegrityError) as error:
            separate(wav, separator=DemucsSeparator(weights), folder=tmp_path / "stem")
        assert error.value.code == "separator.weights"
        assert not (tmp_path / "trapped").exists()

    def test_a_model_without_a_voice_is_refused(self, packages, wav, tmp_path):
        weights = save_demucs(tmp_path / "a.th", packages, sources=("drums", "bass"))
        with pytest.raises(IntegrityError, match="drums, bass"):
            separate(wav, separator=DemucsSeparator(weights), folder=tmp_path / "stem")

    def test_where_it_is_not_installed_the_command_is_said(self, wav, tmp_path):
        (tmp_path / "a.th").write_bytes(b"weights")
        with pytest.raises(UnavailableError, match="pip install demucs") as error:
            separate(wav, separator=DemucsSeparator(tmp_path), folder=tmp_path / "stem")
        assert error.value.code == "separator.not_installed"


class TestAudioSeparator:
    @pytest.fixture
    def weights(self, tmp_path):
        path = tmp_path / "models" / "voc.onnx"
        write(path, "0.25")
        return path

    def test_the_voice_comes_back_as_long_and_as_loud(self, packages, weights, wav, tmp_path):
        write(weights.with_name("download_checks.json"), "{}")
        stem = separate(wav, separator=AudioSeparator(weights), folder=tmp_path / "stem")
        same_but_for_gain(stem, wav, 0.25)
        assert [path.name for path in stem.parent.iterdir()] == ["audio.wav"]

    def test_it_may_not_fetch_what_is_missing(self, packages, weights, wav, tmp_path):
        with pytest.raises(IntegrityError, match="may not reach the network") as error:
            separate(wav, separator=AudioSeparator(weights), folder=tmp_path / "stem")
        assert error.value.code == "separator.weights"

    def test_where_it_is_not_installed_the_command_is_said(self, weights, wav, tmp_path):
        with pytest.raises(UnavailableError, match="pip install audio-separator"):
            separate(wav, separator=AudioSeparator(weights), folder=tmp_path / "stem")


class TestTheProcess:
    def test_a_crash_is_an_error_that_tells_what_was_said_last(self, packages, wav, tmp_path):
        write(packages / "demucs" / "states.py", "import os, sys; sys.stderr.write('ouch'); os._exit(3)")
        (tmp_path / "a.th").write_bytes(b"")
        with pytest.raises(ResourceError, match=r"status 3: ouch"):
            separate(wav, separator=DemucsSeparator(tmp_path / "a.th"), folder=tmp_path / "stem")

    def test_one_that_takes_too_long_is_stopped(self, packages, wav, tmp_path):
        write(packages / "demucs" / "states.py", "import time; time.sleep(60)")
        (tmp_path / "a.th").write_bytes(b"")
        with pytest.raises(ResourceError) as error:
            DemucsSeparator(tmp_path / "a.th", timeout_s=3).separate(wav, tmp_path / "stem.wav")
        assert error.value.code == "separator.timeout"


class TestWeights:
    def test_other_weights_are_another_separator(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(b"one")
        first = AudioSeparator(tmp_path).name
        assert first.startswith("audio-separator:a:")
        (tmp_path / "a.onnx").write_bytes(b"two")
        assert AudioSeparator(tmp_path).name != first

    @pytest.mark.parametrize(
        ("files", "named", "code"),
        [
            ([], ".", "separator.no_weights"),
            ([], "a.th", "separator.no_weights"),
            (["a.th", "b.th"], ".", "separator.many_weights"),
            (["a.pth"], "a.pth", "separator.format"),
        ],
    )
    def test_what_cannot_be_used_is_said_before_anything_starts(self, tmp_path, files, named, code):
        for name in files:
            (tmp_path / name).write_bytes(b"")
        with pytest.raises(ConfigError) as error:
            DemucsSeparator(tmp_path / named)
        assert error.value.code == code
        assert error.value.hint
