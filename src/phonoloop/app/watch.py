"""The inbox, looked at now and then and at once where the file system tells."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from phonoloop.app.bootstrap import App
from phonoloop.app.intake import scan

log = logging.getLogger(__name__)


def watch_inbox(app: App, stop: threading.Event, wake: Callable[[], None]) -> None:
    """Scans until stopped. What goes wrong with a scan is logged, and the next one tries again."""
    app.inbox.mkdir(parents=True, exist_ok=True)
    for _ in _looks(app.inbox, app.settings.scan_interval_s, app.settings.settle_s, stop):
        try:
            counts = scan(app)
        except Exception:
            log.exception("the scan of %s went wrong, going on", app.inbox)
            continue
        if counts.changed:
            log.info("inbox: %s", counts)
            wake()


def _looks(inbox: Path, every_s: float, settle_s: float, stop: threading.Event) -> Iterator[None]:
    """Once at the start, then after each change once files have settled, and at least every `every_s`."""
    from watchfiles import watch

    yield
    timeout_ms = int(max(0.05, every_s) * 1000)
    for changes in watch(
        inbox,
        stop_event=stop,
        yield_on_timeout=True,
        rust_timeout=timeout_ms,
        ignore_permission_denied=True,
        raise_interrupt=False,
    ):
        if changes:  # what has just been written is younger than the settle time
            stop.wait(settle_s)
        yield
