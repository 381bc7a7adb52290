"""What killed processes left behind, put right at the next start."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from phonoloop.app.bootstrap import App

log = logging.getLogger(__name__)


def end_dead_leases(app: App) -> None:
    """Events that a killed process was handling are due at once, not when its lease ends.

    Only where nobody else uses the data folder, and its records are a file in it: then nobody holds one.
    """
    with app.presence.alone() as alone:
        ended = app.bus.end_leases() if alone and not app.settings.records_url else 0
    if ended:
        log.info("%d events were being handled when the last process ended; they are handled again", ended)


def sweep(app: App) -> int:
    """Removes unfinished files where nobody else can be writing them; says how many."""
    with app.presence.alone() as alone:
        if not alone:
            return 0
        leftovers = list(_leftovers(app))
        for path in leftovers:
            _remove(path)
        swept = len(leftovers) + app.sweep_blobs()
    if swept:
        log.info("%d unfinished files of killed processes removed", swept)
    return swept


def _leftovers(app: App) -> Iterator[Path]:
    """Uploads, and halves of copies into `processed/` and `rejected/`."""
    work = app.data_dir / "work"
    yield from work.iterdir() if work.is_dir() else ()
    for name in ("processed", "rejected"):
        yield from (app.inbox.parent / name).rglob(".*.part")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
