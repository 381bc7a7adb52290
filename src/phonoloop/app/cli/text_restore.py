"""`phonoloop text restore|train-restorer`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonoloop.app.cli.common import App, common_options, emit, progress
from phonoloop.app.cli.lines import rewrite_batches

if TYPE_CHECKING:
    from phonoloop.text.restorer import Restorer


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: text and corrections.")
@click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
@click.option("--model", type=click.Path(dir_okay=False, path_type=Path), help="A restorer's file.")
def restore(as_json: bool, data_dir: Path | None, model: Path | None) -> None:
    """Vietnamese marks where they are missing: toi di hoc → tôi đi học.

    Text that has its marks stays as it is, and so do other languages, addresses and numbers. The
    restorer is that of the data folder, where it has one of its own (`text train-restorer`).
    """
    from phonoloop.text.restorer import Restorer

    restorer = Restorer.load(model) if model is not None else _restorer_of(data_dir)
    rewrite_batches(restorer.restore_many, as_json=as_json)


def _restorer_of(data_dir: Path | None) -> Restorer:
    """That of a data folder, which need not be there: a filter makes no folders."""
    from phonoloop.adapters.blobs_local import LocalBlobStore
    from phonoloop.app.restorers import POINTER, Restorers
    from phonoloop.app.settings import load_settings
    from phonoloop.text.restorer import Restorer

    folder = load_settings({"data_dir": data_dir}).data_dir
    if not (folder / POINTER).is_file():
        return Restorer.shipped()
    return Restorers(LocalBlobStore(folder)).in_use().restorer


@click.command(name="train-restorer")
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILE]...")
@common_options
def train_restorer(app: App, as_json: bool, files: tuple[Path, ...]) -> None:
    """Adapt the restorer to your own texts, and use it if it is better.

    FILEs hold correct Vietnamese, one sentence or paragraph a line; without any, the transcripts that people
    wrote are taken. A fifth of the text is held out: the new restorer is used only if it restores that part
    better than the present one. The old one is kept.
    """
    from phonoloop.app.restorer_training import RestorerOutcome
    from phonoloop.app.restorer_training import train_restorer as run

    with progress("training", enabled=not as_json) as on_share:
        outcome = run(app, files, on_share)

    def lines(told: RestorerOutcome = outcome) -> Iterator[str]:
        yield f"Restorer {told.restorer_id} {'is in use now' if told.used else 'is kept, but not used'}."
        yield f"{told.reason}."

    emit(as_json, {**outcome.report, "used": outcome.used, "reason": outcome.reason}, lines)
