"""`phonoloop voice read`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonoloop.app.cli.common import App, common_options, emit, progress

if TYPE_CHECKING:
    from phonoloop.app.voice_reading import Read


@click.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--voice", required=True, help="Name or id of an installed voice, or a Piper .onnx file.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to fill."
)
@click.option("--speaker", default="", help="Of a voice with several speakers; else the first.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="0.5 to 2.5 times its own.")
@common_options
def read(texts: Path, voice: str, out: Path, speaker: str, speed: float, app: App, as_json: bool) -> None:
    """Let a voice read each line of TEXTS into a WAV with its text beside it.

    Give OUT to `phonoloop ingest`, or name a folder in the inbox: the recogniser then learns from it. The
    voice is a speaker of the training split for ever, so that nothing is measured on synthetic speech.
    """
    from phonoloop.app.voice_reading import read_out

    lines = texts.read_text("utf-8").splitlines()
    with progress("reading", enabled=not as_json) as tell:
        found = read_out(
            app,
            voice,
            lines,
            out,
            speaker=speaker,
            speed=speed,
            on_line=lambda done, total: tell(done / total, f"{done} of {total}"),
        )
    told = {
        "out": str(out),
        "speaker": found.speaker,
        "files": len(found.files),
        "written_s": round(found.duration_s, 1),
        "refused": found.refused,
    }
    emit(as_json, told, lambda: _lines(found, out))


def _lines(found: Read, out: Path) -> Iterator[str]:
    yield f"{len(found.files)} recordings by {found.speaker} in {out}; {found.duration_s:.0f} s are new"
    yield from (f"refused: {line!r}: {why}" for line, why in found.refused.items())
