"""The loop: which stage handles which event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.champion import Serving
from phonoloop.app.decoding import BEAM, GREEDY, with_current
from phonoloop.app.recognisers import load_teacher
from phonoloop.app.triggers import fire_hours, trained_hours
from phonoloop.core import events
from phonoloop.core.errors import ConfigError
from phonoloop.core.events import Event
from phonoloop.core.speech import Transcriber
from phonoloop.data.correct import correct_transcript
from phonoloop.data.curate import curate
from phonoloop.data.model import Processed
from phonoloop.data.transcribe import transcribe_recording, waiting_for_transcript
from phonoloop.jobs.consumer import Consumer, Once, run_until_idle

#: longer than transcribing the longest recording takes
TRANSCRIBE_LEASE_S = 3600.0
#: longer than it takes to embed all texts anew, which one text more may bring about
INDEX_LEASE_S = 3600.0


class Ears:
    """What hears recordings without text: the champion, else the teacher, else nothing.

    Raises:
        ConfigError: `config.bad_value`, for a setting that names no way of hearing.
    """

    def __init__(self, app: App) -> None:
        _check(app)
        self._app = app
        self._teacher: Transcriber | None = None
        self._beam: tuple[tuple[str, str], Transcriber | None] | None = None

    def now(self) -> Transcriber | None:
        """The champion as of now. A teacher is loaded once, at the first recording that needs it."""
        serving = self._app.champion.refresh()
        if serving is not None:
            with_beam = self._with_beam(serving) if self._app.settings.decoding == BEAM else None
            return with_beam or serving.transcriber
        return self._taught()

    def second(self) -> Transcriber | None:
        """Who else is asked, as the settings say; None where there is nobody else."""
        wanted = self._app.settings.second_opinion
        serving = self._app.champion.refresh() if wanted != "off" else None
        if serving is None:
            return None
        if wanted == "teacher":
            return self._taught()
        if self._app.settings.decoding == BEAM:
            return serving.transcriber if self._with_beam(serving) else None
        return self._with_beam(serving)

    def _with_beam(self, serving: Serving) -> Transcriber | None:
        """The champion with the current language model, made anew only where one of the two is new."""
        key = serving.model_id, self._app.language_models.current_id()
        if self._beam is None or self._beam[0] != key:
            self._beam = key, with_current(self._app, serving.transcriber)
        return self._beam[1]

    def _taught(self) -> Transcriber | None:
        if self._teacher is None and self._app.settings.teacher:
            self._teacher = load_teacher(self._app.settings.teacher, self._app.settings.language)
        return self._teacher


def _check(app: App) -> None:
    known = {"decoding": (GREEDY, BEAM), "second_opinion": ("off", "decoding", "teacher")}
    for name, values in known.items():
        given = getattr(app.settings, name)
        if given not in values:
            raise ConfigError(
                f"{given!r} is no value of {name}",
                code="config.bad_value",
                subject="ASR_" + name.upper(),
                hint=f"Say {' or '.join(values)}",
            )


def consumers(app: App) -> list[Consumer]:
    """The durable consumers of the embedded profile, one a stage."""
    ears = Ears(app)
    return [
        _consumer(
            "asr",
            [events.RECORDING_INGESTED],
            lambda event: transcribe_recording(app.ingest, event.subject, ears.now(), second=ears.second()),
            lease_s=TRANSCRIBE_LEASE_S,
            batch=4,
        ),
        _consumer(
            "asr-backlog",
            [events.MODEL_PROMOTED],
            lambda event: _hear_what_waits(app, ears) if event.data["kind"] == "asr" else None,
            lease_s=TRANSCRIBE_LEASE_S,
        ),
        _consumer(
            "nlp",
            [events.TRANSCRIPTION_COMPLETED],
            lambda event: correct_transcript(app.ingest, event.subject, app.corrector),
        ),
        _consumer(
            "dsbuild",
            [events.NLP_POSTPROCESSED],
            lambda event: curate(app.ingest, event.subject, app.curate_rules, trained_hours),
        ),
        _consumer(
            "index",
            [events.NLP_POSTPROCESSED],
            lambda event: app.search.index(event.subject),
            lease_s=INDEX_LEASE_S,
        ),
        _consumer("train", [events.DATASET_READY], lambda event: fire_hours(app, event)),
    ]


def _consumer(name: str, types: Sequence[str], handle: Callable[[Event], object], **how: Any) -> Consumer:
    """The stages are idempotent by their ids, so none of them needs to mark the event itself."""

    def one(event: Event, _once: Once) -> None:
        handle(event)

    return Consumer(name=name, types=types, handle=one, processed=Processed, **how)


def _hear_what_waits(app: App, ears: Ears) -> None:
    """Recordings that came before there was anything that could hear them."""
    with app.records.transaction() as tx:
        waiting = waiting_for_transcript(tx)
    for audio_id in waiting:
        transcribe_recording(app.ingest, audio_id, ears.now(), second=ears.second())


def pump(app: App) -> int:
    """Delivers events in this process until none is due; says how many there were."""
    return run_until_idle(app.records, app.bus, consumers(app))
