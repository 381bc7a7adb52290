"""`phonoloop data`: freeze, export, shard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit
from phonoloop.data import shards
from phonoloop.data.model import Snapshot
from phonoloop.data.snapshot import Frozen, get_snapshot


@click.group()
def data() -> None:
    """Freeze, export and inspect datasets."""


@data.command()
@click.option("--shards", "with_shards", is_flag=True, help="Write tar shards (WebDataset layout) too.")
@common_options
def snapshot(app: App, as_json: bool, with_shards: bool) -> None:
    """Freeze what is accepted now: manifests per split, named by their content."""
    frozen = app.freeze()
    keys = shards.write_shards(app.ingest, frozen.snapshot) if with_shards else []
    view = views.plain(frozen.snapshot) | {"notes": list(frozen.notes), "shards": keys}
    emit(as_json, view, lambda: _lines(frozen, keys))


def _lines(frozen: Frozen, keys: list[str]) -> Iterator[str]:
    taken = frozen.snapshot
    yield f"Snapshot {taken.snapshot_id}: {taken.clips} clips"
    for split, hours in taken.hours.items():
        yield f"  {split:<6}{hours:8.3f} h  {taken.speakers[split]:>4} speakers  {taken.manifests[split]}"
    for source, hours in taken.hours_by_provenance.items():
        yield f"  text by {source}: {hours:.3f} h"
    for note in frozen.notes:
        yield f"Note: {note}."
    if keys:
        yield f"{len(keys)} shards, the first is {keys[0]}"


@data.command("list")
@common_options
def list_snapshots(app: App, as_json: bool) -> None:
    """Every snapshot, newest first."""
    with app.records.transaction() as tx:
        found = tx.find(Snapshot, order_by="created_at", descending=True)
    emit(as_json, views.plain(found), lambda: map(_one_line, found) if found else ["No snapshot yet."])


def _one_line(taken: Snapshot) -> str:
    hours = ", ".join(f"{split} {value:.2f} h" for split, value in taken.hours.items())
    return f"{taken.snapshot_id}  {taken.created_at:%Y-%m-%d %H:%M}  {taken.clips} clips  {hours}"


@data.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--snapshot", "snapshot_id", help="Snapshot id; what is accepted now if not given.")
@common_options
def export(app: App, as_json: bool, out: Path, snapshot_id: str | None) -> None:
    """Write a snapshot's clips and manifests into the folder OUT."""
    taken = get_snapshot(app.records, snapshot_id) if snapshot_id else app.freeze().snapshot
    manifests = shards.export_snapshot(app.ingest, taken, out)
    view: dict[str, Any] = {
        "snapshot_id": taken.snapshot_id,
        "manifests": [str(p) for p in manifests.values()],
    }
    emit(as_json, view, lambda: [f"{taken.clips} clips of snapshot {taken.snapshot_id} in {out}"])
