"""A voice says something: one of the data folder, or a file of Piper's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.adapters.piper import PiperSynthesizer
from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.voice_models import find_voice
from phonoloop.audio.wav import to_int16
from phonoloop.core.errors import InputError
from phonoloop.voice.export import check_hash
from phonoloop.voice.infer import speak


@dataclass(frozen=True, slots=True)
class Speech:
    """int16 (n,) mono."""

    pcm: np.ndarray
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return self.pcm.size / self.rate_hz


def voice_file(app: App, voice: str) -> Path:
    """The network of a voice: a path of a .onnx file, or the name or id of an installed one.

    Raises:
        NotFoundError: `voice.missing`; `voice.not_exported`, the path names no voice.
    """
    if voice.endswith(".onnx"):
        return Path(voice)
    with app.records.transaction() as tx:
        model = find_voice(tx, voice)
    return artefact_dir(app.blobs, model) / f"{model.metrics['name']}.onnx"


def voices_named(app: App, names: str) -> list[Path]:
    """Files and folders of Piper's voices, and installed voices by their names, of a list as PATH is one.

    Raises:
        NotFoundError: `voice.missing`, it is neither.
    """
    found = (name for name in names.split(os.pathsep) if name)
    return [Path(name) if Path(name).exists() else voice_file(app, name) for name in found]


def say(
    app: App, voice: str, text: str, *, speaker: str = "", speed: float = 1.0, pitch: float = 1.0
) -> Speech:
    """
    Args:
        speaker: of a voice with several; the first where empty.

    Raises:
        NotFoundError: as `voice_file`. InputError: `voice.text`, `voice.speaker`, `piper.speed`,
            `piper.pitch`; espeak-ng's own.
        IntegrityError: as `PiperSynthesizer`. UnavailableError: `espeak.missing`.
    """
    path = voice_file(app, voice)
    check_hash(path)
    with EspeakSynthesizer() as espeak:
        piper = PiperSynthesizer([path], espeak)
        chosen = chosen_speaker(piper.names(), speaker)
        made, rate_hz = speak(text, lambda part: piper.speak(part, voice=chosen, speed=speed, pitch=pitch))
    return Speech(to_int16(made), rate_hz)


def chosen_speaker(names: Sequence[str], speaker: str) -> str:
    """The synthesiser's name of it; the first where none is named. Raises InputError `voice.speaker`."""
    if not speaker:
        return names[0]
    for name in names:
        if name.partition("#")[2] == speaker:
            return name
    known = ", ".join(name.partition("#")[2] or "only one" for name in names[:10])
    raise InputError(
        "this voice has no such speaker", code="voice.speaker", subject=speaker, hint=f"There is {known}"
    )
