"""Recognisers by name, and files through them."""

from __future__ import annotations

import os
from pathlib import Path

from phonoloop.app import views
from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.audio.wav import to_float
from phonoloop.core.errors import ConfigError, NotFoundError
from phonoloop.core.speech import Transcriber, Transcription


def load_recogniser(folder: Path, *, threads: int = 0) -> Transcriber:
    """A model's folder on onnxruntime. `IntegrityError` where its files do not fit together."""
    from phonoloop.asr.infer import Recogniser

    return Recogniser.load(folder, threads=threads or os.cpu_count() or 1)


def load_teacher(name: str, language: str) -> Transcriber:
    """`faster-whisper:DIR` or `sherpa-onnx:DIR`.

    Raises:
        ConfigError: `teacher.unknown`. UnavailableError: it is not installed or not to be had.
    """
    kind, _, source = name.partition(":")
    if kind == "faster-whisper":
        from phonoloop.adapters.teacher_faster_whisper import FasterWhisperTeacher

        return FasterWhisperTeacher(source, language=language)
    if kind == "sherpa-onnx":
        from phonoloop.adapters.teacher_sherpa import SherpaTeacher

        return SherpaTeacher(Path(source), language=language)
    raise ConfigError(
        f"there is no teacher {name!r}",
        code="teacher.unknown",
        subject="ASR_TEACHER",
        hint="Say faster-whisper:DIR or sherpa-onnx:DIR",
    )


def recogniser_of(app: App, name: str) -> Transcriber:
    """The champion, a model by its id, or an exported folder.

    Raises:
        NotFoundError: `model.no_champion`, `model.missing`.
    """
    if name != "champion" and (Path(name) / "metadata.json").exists():
        return load_recogniser(Path(name), threads=app.settings.threads)
    with app.records.transaction() as tx:
        model = views.find_model(tx, name)
    return load_recogniser(artefact_dir(app.blobs, model), threads=app.settings.threads)


def serving_recogniser(app: App) -> Transcriber:
    """What serves now. `NotFoundError` `model.no_champion` before the first promotion."""
    serving = app.champion.current()
    if serving is None:
        raise app.champion.error or NotFoundError(
            "no model has been promoted yet",
            code="model.no_champion",
            hint="Ingest recordings with transcripts, then train",
        )
    return serving.transcriber


def transcribe_file(app: App, recogniser: Transcriber, path: Path) -> Transcription:
    """Decodes a file in the child process and hears it. `AudioError` for what cannot be decoded."""
    return recogniser.transcribe(to_float(app.decoder.decode(path).pcm))
