"""A recogniser that teaches: Whisper by faster-whisper, from a local directory or by its hub name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.adapters.teacher_files import existing_directory, incomplete, installed
from phonoloop.core.errors import ConfigError, IntegrityError, UnavailableError
from phonoloop.core.speech import Segment, Transcription, Word
from phonoloop.data.pseudo import INVENTED, text_fault

#: what a converted model consists of; without its tokenizer faster-whisper would go and fetch one
_FILES = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


class FasterWhisperTeacher:
    """Transcribes with Whisper. A `Transcriber`.

    Args:
        source: a directory with a CTranslate2 model, or a hub name (`small`, `owner/name`). A name
            is looked up in the local cache and then on the hub.
        language: two letters; empty to let the model say.
        device: `cpu`, `cuda` or `auto`.
        compute_type: CTranslate2's name of the arithmetic (`int8`, `float16`, `default`).
        threads: on a CPU; 0 leaves it to the library.
        words: whether to time words too, which costs a second pass of the decoder.

    Raises:
        UnavailableError: `teacher.not_installed`; `teacher.unreachable`, where a hub name can
            neither be found in the cache nor fetched.
        ConfigError: `teacher.no_directory`; `teacher.incomplete`, naming the files missing;
            `teacher.unknown_name`; `teacher.language`, where it does not know the language.
        IntegrityError: `teacher.corrupt`.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        language: str = "vi",
        device: str = "cpu",
        compute_type: str = "default",
        threads: int = 0,
        words: bool = False,
    ) -> None:
        library = installed("faster_whisper")
        directory = _local(str(source)) or _from_hub(library, str(source))
        self.model_version = f"faster-whisper:{_name(str(source))}"
        self._language = language
        self._words = words
        self._model = _load(library, directory, device=device, compute_type=compute_type, cpu_threads=threads)
        _check_language(self._model, language, str(source))

    def transcribe(self, samples: np.ndarray) -> Transcription:
        """`samples`: (n,) float32 mono in [-1, 1] at 16,000 Hz.

        Each segment's confidence is the geometric mean of its tokens' probabilities times the
        probability that there is speech; sentences that Whisper is known to invent have 0.
        """
        if not len(samples):
            return Transcription("", language=self._language, model_version=self.model_version)
        found, info = self._model.transcribe(
            np.ascontiguousarray(samples, dtype=np.float32),
            language=self._language or None,
            beam_size=5,
            condition_on_previous_text=False,  # one invented sentence would bring forth the next
            word_timestamps=self._words,
        )
        raw = list(found)
        segments = tuple(_segment(segment) for segment in raw)
        return Transcription(
            text=" ".join(segment.text for segment in segments if segment.text),
            confidence=_mean_by_duration(segments),
            segments=segments,
            words=tuple(_word(word) for segment in raw for word in segment.words or ()),
            language=info.language,
            model_version=self.model_version,
        )


# ---------------------------------------------------------------- what was heard


def _segment(raw: Any) -> Segment:
    text = raw.text.strip()
    confidence = min(1.0, math.exp(raw.avg_logprob)) * (1.0 - raw.no_speech_prob)
    return Segment(
        text=text,
        start_ms=round(raw.start * 1000),
        end_ms=round(raw.end * 1000),
        confidence=0.0 if text_fault(text) == INVENTED else confidence,
    )


def _word(raw: Any) -> Word:
    return Word(raw.word.strip(), round(raw.start * 1000), round(raw.end * 1000), raw.probability)


def _mean_by_duration(segments: Sequence[Segment]) -> float:
    weights = [max(1, segment.end_ms - segment.start_ms) for segment in segments]
    if not weights:
        return 0.0
    weighted = zip(segments, weights, strict=True)
    return sum(segment.confidence * weight for segment, weight in weighted) / sum(weights)


# ---------------------------------------------------------------- the model


def _name(source: str) -> str:
    return Path(source).resolve().name if Path(source).is_dir() else source


def _local(source: str) -> str | None:
    """The directory, checked, where the source is meant as one; None for a hub name."""
    path = Path(source)
    is_hub_name = not path.is_absolute() and not source.startswith((".", "~")) and source.count("/") <= 1
    if is_hub_name and not path.exists():
        return None
    _check_files(existing_directory(path.expanduser()))
    return str(path.expanduser())


def _check_files(directory: Path) -> None:
    missing = [name for name in _FILES if not (directory / name).is_file()]
    if not any((directory / name).is_file() for name in _VOCABULARIES):
        missing.append(_VOCABULARIES[0])
    if missing:
        raise incomplete(directory, missing)


def _from_hub(library: Any, name: str) -> str:
    """The directory of a model in the local cache, else fetched into it."""
    if "/" not in name and name not in library.available_models():
        raise ConfigError(
            f"there is no Whisper model called {name!r}",
            code="teacher.unknown_name",
            subject=name,
            hint=f"Give a directory, owner/name, or one of {', '.join(library.available_models())}",
        )
    try:
        return library.download_model(name)
    except Exception as error:
        raise UnavailableError(
            f"the model is not in the local cache and could not be fetched ({_brief(error)})",
            code="teacher.unreachable",
            subject=name,
            hint="Connect to the network, or give a directory with the converted model",
        ) from error


def _load(library: Any, directory: str, **options: Any) -> Any:
    try:
        return library.WhisperModel(directory, **options)
    except (RuntimeError, ValueError) as error:
        raise IntegrityError(
            f"the model cannot be loaded ({_brief(error)})",
            code="teacher.corrupt",
            subject=directory,
            hint="Convert or download it again; check the device and the arithmetic that were asked for",
        ) from error


def _check_language(model: Any, language: str, source: str) -> None:
    """The library would go on in another language and only mention it."""
    if language and language not in model.supported_languages:
        raise ConfigError(
            f"the model does not know the language {language!r}",
            code="teacher.language",
            subject=source,
            hint="Take a multilingual model (one without `.en`) or another language code",
        )


def _brief(error: Exception) -> str:
    lines: Iterable[str] = str(error).strip().splitlines()
    return f"{type(error).__name__}: {next(iter(lines), 'no reason given')}"
