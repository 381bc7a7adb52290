"""`phonoloop voice list`, `… show`, `… export`: the voices of a data folder."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from phonoloop.app import voice_models
from phonoloop.app.cli.common import App, common_options, emit, table


@click.command("list")
@common_options
def list_voices(app: App, as_json: bool) -> None:
    """Voices that are installed, newest first."""
    found = voice_models.voices_view(app)
    emit(as_json, found, lambda: _list_lines(found))


def _list_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "No voice yet. `phonoloop voice build AUDIO --name NAME --language vi --out DIR` makes one."
        return
    rows = [
        (
            one["metrics"]["name"],
            one["metrics"]["language"],
            f"{one['metrics']['hours']['clips'] * 60:.1f}",
            "yes" if not one["metrics"]["without_consent"] else "not of all",
            one["model_id"],
            one["created_at"][:16],
        )
        for one in found
    ]
    yield from table(("voice", "language", "minutes", "consent", "model", "made"), rows)


@click.command()
@click.argument("name")
@common_options
def show(app: App, as_json: bool, name: str) -> None:
    """One installed voice: its card, with consents and licences."""
    view = voice_models.voice_view(app, name)
    emit(as_json, view, view["card"].splitlines)


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--without-consent", is_flag=True, help="Also where a consent is missing.")
@common_options
def export(app: App, as_json: bool, name: str, folder: Path, without_consent: bool) -> None:
    """Copy the voice NAME with its card into FOLDER, which has to be empty: for Piper's own player.

    Where not everybody who is heard is known to agree, it asks for --without-consent; the audit log keeps
    who did it.
    """
    made = voice_models.export(app, name, folder, actor=getpass.getuser(), anyway=without_consent)
    emit(as_json, {"files": [str(path) for path in made]}, lambda: [str(path) for path in made])
