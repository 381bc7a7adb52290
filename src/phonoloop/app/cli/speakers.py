"""`phonoloop speakers`: who speaks, and in which split."""

from __future__ import annotations

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit, table
from phonoloop.data.model import Recording, Speaker, Split
from phonoloop.data.split import pin_speaker


@click.group()
def speakers() -> None:
    """List speakers and pin one to a split."""


@speakers.command("list")
@common_options
def list_speakers(app: App, as_json: bool) -> None:
    """Every speaker, with split and minutes."""
    with app.records.transaction() as tx:
        rows = [
            views.plain(s)
            | {"minutes": round(tx.total(Recording, "duration_s", speaker_id=s.speaker_id) / 60, 2)}
            for s in tx.find(Speaker, order_by="name")
        ]
    cells = [
        (r["name"], r["split"], "pinned" if r["pinned"] else "", "weak" if r["weak"] else "", r["minutes"])
        for r in rows
    ]
    emit(as_json, rows, lambda: table(("speaker", "split", "", "", "minutes"), cells))


@speakers.command()
@click.argument("name")
@click.argument("split", type=click.Choice([split.value for split in Split]))
@common_options
def pin(app: App, as_json: bool, name: str, split: str) -> None:
    """Keep NAME in SPLIT for ever; only before their first recording."""
    with app.records.transaction() as tx:
        speaker = pin_speaker(tx, name, Split(split))
    emit(as_json, views.plain(speaker), lambda: [f"{speaker.name} is in {speaker.split.value} for ever."])
