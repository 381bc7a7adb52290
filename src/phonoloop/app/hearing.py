"""Models by name, and files through them."""

from __future__ import annotations

from pathlib import Path

from phonoloop.app import views
from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.recognisers import load_recogniser
from phonoloop.audio.wav import to_float
from phonoloop.core.errors import NotFoundError
from phonoloop.core.speech import Transcriber, Transcription


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
