"""What a voice's build is given: who separates, who hears, who says how text sounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from phonoloop.app.bootstrap import App
from phonoloop.app.hearing import serving_recogniser
from phonoloop.app.recognisers import load_teacher
from phonoloop.app.separators import separator_of
from phonoloop.app.settings import Settings
from phonoloop.audio.decode import Decoder
from phonoloop.core.errors import NotFoundError, UnavailableError
from phonoloop.core.speech import Phonemiser, Transcriber
from phonoloop.voice.build import BuildRequest, Tools, Until
from phonoloop.voice.ingest import LIMITS
from phonoloop.voice.transcribe import Ears

_MOST_WORKERS = 4


@contextmanager
def voice_tools(settings: Settings, request: BuildRequest, app: App | None = None) -> Iterator[Tools]:
    """
    Args:
        app: the data folder, whose champion hears; None where there is none.

    Raises:
        ConfigError: `teacher.unknown`.
        UnavailableError: a separator or a recogniser that is named is not installed.
    """
    with ExitStack() as stack:
        decoder = stack.enter_context(Decoder(LIMITS))
        separator = separator_of(request.recipe)
        if request.until is Until.SEGMENT:
            yield Tools(decoder=decoder, separator=separator, ears=Ears())
            return
        heard_by = recognisers(settings, request.language, app)
        workers = min(_MOST_WORKERS, settings.threads or os.cpu_count() or 1)
        ears = Ears(
            first=heard_by[:1] * workers,
            second=heard_by[1:2] * workers,
            phonemiser=stack.enter_context(_phonemiser(workers)),
        )
        yield Tools(decoder=decoder, separator=separator, ears=ears, judge=heard_by[0] if heard_by else None)


def recognisers(settings: Settings, language: str, app: App | None) -> list[Transcriber]:
    """The champion, if its language it is, then the teacher; empty where there is neither."""
    found: list[Transcriber] = []
    if app is not None and language == settings.language and (champion := _champion(app)) is not None:
        found.append(champion)
    if settings.teacher:
        found.append(load_teacher(settings.teacher, language))
    return found


def _champion(app: App) -> Transcriber | None:
    try:
        return serving_recogniser(app)
    except NotFoundError as error:
        if error.code != "model.no_champion":
            raise
        return None


@contextmanager
def _phonemiser(workers: int) -> Iterator[Phonemiser | None]:
    """espeak-ng where it is installed; syllables or letters are counted without it."""
    from phonoloop.adapters.espeak_pool import EspeakPool

    try:
        pool = EspeakPool(workers)
    except UnavailableError:
        yield None
        return
    with pool:
        yield pool
