"""What hears: models from their folders, teachers by kind."""

from __future__ import annotations

import os
from pathlib import Path

from phonoloop.core.errors import ConfigError
from phonoloop.core.speech import Transcriber


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
