"""`phonoloop ingest`: take recordings in by name."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit, progress
from phonoloop.app.intake import audio_files, take_in
from phonoloop.app.leftovers import end_dead_leases
from phonoloop.app.loop import pump
from phonoloop.data.ingest import REFUSED
from phonoloop.data.model import IntakeOutcome


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--speaker", default="", help="Who speaks; otherwise the sidecar or the folder says.")
@common_options
def ingest(app: App, as_json: bool, paths: tuple[Path, ...], speaker: str) -> None:
    """Take in recordings (files or folders) and carry them through to the dataset.

    The files stay where they are. Text and metadata lie beside them: x.txt, x.json. The folder below a
    folder that is named gives the speaker. Exit code 2 if any file was refused.
    """
    files = list(audio_files(paths))
    end_dead_leases(app)
    outcomes = []
    with progress("Ingesting", enabled=not as_json) as bar:
        for done, (path, hints) in enumerate(files):
            outcomes.append(take_in(app, path, replace(hints, speaker=speaker)))
            bar((done + 1) / len(files), path.name)
        pump(app)
    counts = Counter(outcome.status for outcome in outcomes)
    view = {"counts": dict(counts), "outcomes": views.plain(outcomes)}
    emit(as_json, view, lambda: _lines(outcomes, counts))
    raise SystemExit(2 if counts[REFUSED] else 0)


def _lines(outcomes: Sequence[IntakeOutcome], counts: Counter[str]) -> Iterator[str]:
    told = [outcome for outcome in outcomes if outcome.code and outcome.code != "duplicate.again"]
    for outcome in itertools.islice(told, 50):
        why = f"[{outcome.code}] {outcome.message}. {outcome.hint}".rstrip()
        yield f"{outcome.status:>10}  {outcome.name}: {why}"
    if len(told) > 50:
        yield f"            and {len(told) - 50} more: --json lists all"
    yield (
        ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "No audio files found"
    ) + "."
