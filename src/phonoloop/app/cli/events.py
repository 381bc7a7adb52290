"""`phonoloop events`: the log and its dead letters."""

from __future__ import annotations

import json
import time

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit


@click.group()
def events() -> None:
    """Read the event log and its dead letters; replay them."""


@events.command()
@click.option("--after", default=0, show_default=True, help="Offset to start behind.")
@click.option("--limit", default=100, show_default=True, help="How many at the most.")
@click.option("--follow", is_flag=True, help="Go on until stopped.")
@common_options
def tail(app: App, as_json: bool, after: int, limit: int, follow: bool) -> None:
    """The log, oldest first, one event a line."""
    while True:
        for entry in app.bus.tail(after=after, limit=limit):
            after = entry.offset
            event = entry.event
            click.echo(
                json.dumps({"offset": after, "event": views.event_view(event)}, ensure_ascii=False)
                if as_json
                else f"{after:>6}  {event.time:%Y-%m-%d %H:%M:%S}  {event.type:<24} {event.subject}"
            )
        if not follow:
            return
        time.sleep(0.5)


@events.command()
@click.option("--consumer", help="Only what this consumer gave up on.")
@common_options
def dead(app: App, as_json: bool, consumer: str | None) -> None:
    """Events that a consumer gave up on, with the reason."""
    letters = [views.letter_view(letter) for letter in app.bus.dead(consumer)]
    emit(as_json, letters, lambda: map(_letter_line, letters) if letters else ["No dead letters."])


def _letter_line(letter: dict) -> str:
    event = letter["event"]
    return (
        f"{letter['letter_id']}  {letter['consumer']}: {event['type']} {event['subject']}, "
        f"{letter['attempts']} attempts: [{letter['code']}] {letter['reason']}"
    )


@events.command()
@click.argument("letter_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay every dead letter.")
@common_options
def replay(app: App, as_json: bool, letter_ids: tuple[str, ...], everything: bool) -> None:
    """Deliver dead letters anew."""
    if everything == bool(letter_ids):
        raise click.UsageError("Name dead letters, or say --all.")
    wanted = [letter.letter_id for letter in app.bus.dead()] if everything else list(letter_ids)
    for letter_id in wanted:
        app.bus.replay(letter_id)
    emit(as_json, {"replayed": wanted}, lambda: [f"Replayed {len(wanted)}. `phonoloop up` delivers them."])
