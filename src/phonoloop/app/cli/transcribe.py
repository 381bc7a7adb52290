"""`phonoloop transcribe`: what is said in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phonoloop.app import views
from phonoloop.app.cli.common import (
    App,
    common_options,
    decoding_options,
    emit,
    error_body,
    exit_code,
    progress,
)
from phonoloop.app.decoding import DecodingWish, decoding
from phonoloop.app.hearing import recogniser_of, transcribe_file
from phonoloop.core.errors import PhonoloopError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="champion", show_default=True, help="Model id, or an exported folder.")
@click.option("--segments", is_flag=True, help="One line a segment, with times.")
@click.option("--nbest", type=click.IntRange(0, 50), default=0, help="Show this many readings.")
@decoding_options
@common_options
def transcribe(
    app: App, as_json: bool, files: tuple[Path, ...], model: str, segments: bool, wish: DecodingWish
) -> None:
    """Write down what is said in FILES, one line a file.

    With any of the options below it decodes with a beam search, otherwise greedily.
    """
    recogniser = decoding(app, recogniser_of(app, model), wish)
    worst = 0
    with progress("Transcribing", enabled=not as_json) as bar:
        for done, path in enumerate(files):
            try:
                heard = transcribe_file(app, recogniser, path)
            except PhonoloopError as error:
                worst = max(worst, exit_code(error))
                emit(
                    as_json,
                    {"file": str(path), "error": error_body(error)},
                    lambda e=error: [f"Error [{e.code}] {e}"],
                )
            else:
                view = {"file": str(path), **views.plain(heard)}
                emit(as_json, view, lambda v=view: _lines(v, segments=segments, several=len(files) > 1))
            bar((done + 1) / len(files), path.name)
    raise SystemExit(worst)


def _lines(view: dict[str, Any], *, segments: bool, several: bool) -> list[str]:
    if segments:
        return [
            f"{s['start_ms'] / 1000:8.2f} {s['end_ms'] / 1000:8.2f}  {s['text']}" for s in view["segments"]
        ]
    name = f"{view['file']}: " if several else ""
    if view["alternatives"]:
        return [f"{name}{one['score']:9.2f}  {one['text']}" for one in view["alternatives"]]
    return [name + view["text"]]
