"""Ways in: the inbox, files and folders by name, uploads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from phonoloop.app.bootstrap import App
from phonoloop.core.errors import NotFoundError
from phonoloop.data.inbox import (
    AUDIO_SUFFIXES,
    InboxFolders,
    InboxState,
    ScanCounts,
    keep_refused,
    scan_inbox,
)
from phonoloop.data.ingest import REFUSED, Hints, ingest_file
from phonoloop.data.model import IntakeOutcome


def take_in(app: App, path: Path, hints: Hints) -> IntakeOutcome:
    """One file, which stays where it is."""
    return ingest_file(app.ingest, path, hints)


def take_in_upload(app: App, path: Path, hints: Hints) -> IntakeOutcome:
    """One file that nobody else has a copy of: what is refused is kept among the rejected ones."""
    outcome = take_in(app, path, hints)
    if outcome.status == REFUSED:
        kept_at = keep_refused(app.ingest, _folders(app), path, outcome)
        return replace(outcome, kept_at=str(kept_at))
    return replace(outcome, kept_at="")


def _folders(app: App) -> InboxFolders:
    return InboxFolders.beside(app.inbox, settle_s=app.settings.settle_s)


def scan(app: App, state: InboxState | None = None) -> ScanCounts:
    """One look at the inbox. Without a state of earlier looks, only files older than the settle time count
    as complete."""
    return scan_inbox(app.ingest, _folders(app), state or InboxState())


def audio_files(paths: Sequence[Path]) -> Iterator[tuple[Path, Hints]]:
    """The files named, and those with an audio ending in the folders named; a folder directly below one
    that was named gives the speaker.

    Raises:
        NotFoundError: `input.missing`.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        elif path.exists():
            yield path, Hints()
        else:
            raise NotFoundError("there is no such file or folder", code="input.missing", subject=str(path))


def _in_folder(folder: Path) -> Iterator[tuple[Path, Hints]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            inside = path.relative_to(folder).parts
            name = str(Path(*inside))
            yield (
                path,
                Hints(name=name, folder_speaker=inside[0] if len(inside) > 1 else "", session=folder.name),
            )
