"""`phonoloop speakers`: who speaks, and in which split."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit, table
from phonoloop.app.forgetting import forget
from phonoloop.data.forget import Forgotten, speaker_of
from phonoloop.data.model import Recording, Speaker, Split
from phonoloop.data.split import pin_speaker
from phonoloop.wakeword.datasets import clips_of_speaker


@click.group()
def speakers() -> None:
    """List speakers, pin one to a split, forget one."""


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


@speakers.command("forget")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@common_options
def forget_command(app: App, as_json: bool, name: str, yes: bool) -> None:
    """Delete all audio and text of NAME and mark the models that heard them."""
    with app.records.transaction() as tx:
        speaker = speaker_of(tx, name)
        recordings = int(tx.total(Recording, speaker_id=speaker.speaker_id))
    clips = clips_of_speaker(app.wake_datasets, speaker.speaker_id)
    if not yes:
        also = f" and {clips} clips of wake words" if clips else ""
        question = f"Delete {recordings} recordings{also} of {speaker.name} for ever?"
        click.confirm(question, abort=True, err=True)
    done = forget(app, name, actor=getpass.getuser())
    emit(as_json, views.plain(done), lambda: _forgotten_lines(done))


def _forgotten_lines(done: Forgotten) -> Iterator[str]:
    yield f"{done.speaker_id}: {done.recordings} recordings deleted, and {done.files} files of the inbox."
    if done.wake_clips:
        yield f"{done.wake_clips} clips of wake words deleted."
    if done.models:
        yield f"Models that heard them are marked: {', '.join(done.models)}. Train anew without them."
    yield "The name and the audio are known as forgotten, and are refused from now on."
    yield "Exports, backups and earlier events that you keep are not reached by this."
