"""The process in which a separator runs: `python -m … PARENT_PID`, its `Job` as JSON on standard input.

What goes wrong is the last line of its standard output, as JSON. It cannot reach the network: where a library
finds that a file is missing, it fails instead of fetching it.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import soundfile
import soxr

from phonoloop.core.child_side import die_with
from phonoloop.core.errors import IntegrityError, PhonoloopError, UnavailableError
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.separate import SeparateSamples, separate_in_chapters

_PACKAGES = {"demucs": "demucs", "audio_separator": "audio-separator"}
_VOICE = "vocals"
_MODEL_RATE_HZ = 44_100


def demucs_separator(weights: Path) -> SeparateSamples:
    """Demucs 4 (`demucs.states`, `demucs.apply`); `weights`: a `.th` file as its authors publish.

    Such a file names a class, its arguments and tensors. It is read without running what is in it: only
    Demucs' own classes are allowed.
    """
    torch, states, apply = (_module(name, "demucs") for name in ("torch", "demucs.states", "demucs.apply"))
    package = _demucs_package(torch, weights)
    model = states.load_model(package).eval()
    if _VOICE not in model.sources:
        raise _bad_weights(weights, f"it separates {', '.join(model.sources)}, not {_VOICE}")

    def separate(samples: np.ndarray) -> np.ndarray:
        mix = soxr.resample(samples, RATE_HZ, model.samplerate)
        # as in demucs.separate: the network was trained on mixtures of mean 0 and deviation 1
        mean, deviation = float(mix.mean()), float(mix.std()) + 1e-8
        channels = np.tile((mix - mean) / deviation, (model.audio_channels, 1))
        with torch.no_grad():
            stems = apply.apply_model(model, torch.from_numpy(channels)[None], split=True, shifts=0)
        voice = stems[0, model.sources.index(_VOICE)].mean(dim=0).numpy() * deviation + mean
        return _as_long(soxr.resample(voice, model.samplerate, RATE_HZ), samples.size)

    return separate


def _demucs_package(torch: ModuleType, weights: Path) -> dict[str, Any]:
    allowed = [Fraction, *_demucs_classes()]
    try:
        with torch.serialization.safe_globals(allowed):
            package = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken or foreign file makes torch raise
        raise _bad_weights(weights, f"it cannot be read ({type(error).__name__})") from error
    if not isinstance(package, dict) or not {"klass", "args", "kwargs", "state"} <= package.keys():
        raise _bad_weights(weights, "it is no model of Demucs")
    return package


def _demucs_classes() -> list[type]:
    names = (("demucs.htdemucs", "HTDemucs"), ("demucs.hdemucs", "HDemucs"), ("demucs.demucs", "Demucs"))
    return [getattr(_module(module, "demucs"), name) for module, name in names]


def audio_separator_separator(weights: Path, folder: Path) -> SeparateSamples:
    """audio-separator (`audio_separator.separator.Separator`); `weights`: an ONNX model (MDX-Net), in the
    folder where the package keeps its models and the lists of them; `folder`: for its files."""
    library = _module("audio_separator.separator", "audio_separator")
    separator = library.Separator(
        log_level=logging.ERROR,
        model_file_dir=str(weights.parent),
        output_dir=str(folder),
        output_format="WAV",
        output_single_stem="Vocals",
        normalization_threshold=1.0,
        sample_rate=_MODEL_RATE_HZ,
    )
    try:
        separator.load_model(model_filename=weights.name)
    except Exception as error:
        raise _bad_weights(weights, f"it cannot be loaded ({error})") from error

    def separate(samples: np.ndarray) -> np.ndarray:
        # it would turn down what is louder than its threshold, in one chapter and not in the next
        gain = 0.5 / max(float(np.abs(samples).max(initial=0)), 1e-3)
        mix = soxr.resample(samples * np.float32(gain), RATE_HZ, _MODEL_RATE_HZ)
        soundfile.write(folder / "mix.wav", np.stack((mix, mix), axis=1), _MODEL_RATE_HZ, subtype="FLOAT")
        (made,) = separator.separate(str(folder / "mix.wav"))
        stem = folder / Path(made).name
        voice, rate_hz = soundfile.read(stem, dtype="float32", always_2d=True)
        stem.unlink()
        voice = soxr.resample(voice.mean(axis=1), rate_hz, RATE_HZ)
        return _as_long(voice / np.float32(gain), samples.size)

    return separate


def _as_long(samples: np.ndarray, wanted: int) -> np.ndarray:
    """Resampling there and back may give a sample more or less."""
    if abs(samples.size - wanted) > RATE_HZ // 20:
        raise IntegrityError(
            f"{wanted} samples went in, {samples.size} came out",
            code="separator.weights",
            hint="Take another model",
        )
    return np.pad(samples[:wanted], (0, max(0, wanted - samples.size)))


def _module(name: str, library: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        package = _PACKAGES[library]
        raise UnavailableError(
            f"the package {package} cannot be loaded ({error})",
            code="separator.not_installed",
            subject=package,
            hint=f"pip install {package}",
        ) from error


def _bad_weights(weights: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the separator's model cannot be used: {why}",
        code="separator.weights",
        subject=str(weights),
        hint="Take a model of that package's own, whole",
    )


def _no_network(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("a separator may not reach the network: its files have to be on this machine")


def _run(job: dict[str, str]) -> None:
    wav, stem, weights = (Path(job[name]) for name in ("wav", "stem", "weights"))
    # beside the stem: where a kill leaves it, whoever clears away the unfinished stem clears this away
    with tempfile.TemporaryDirectory(dir=stem.parent, prefix=".separator-") as folder:
        if job["library"] == "demucs":
            by = demucs_separator(weights)
        else:
            by = audio_separator_separator(weights, Path(folder))
        separate_in_chapters(wav, stem, by)


def main(parent_pid: int) -> int:
    die_with(parent_pid)
    sys.addaudithook(_no_network)
    try:
        _run(json.load(sys.stdin))
    except PhonoloopError as error:
        told = {name: getattr(error, name) for name in ("code", "message", "subject", "hint")}
        print("\n" + json.dumps(told))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
