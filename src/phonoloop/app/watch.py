"""The inbox, looked at now and then and at once where the file system tells."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from phonoloop.app.bootstrap import App
from phonoloop.app.intake import scan
from phonoloop.core.errors import PhonoloopError
from phonoloop.data.inbox import InboxState, ScanCounts

log = logging.getLogger(__name__)


def watch_inbox(app: App, stop: threading.Event, wake: Callable[[], None]) -> None:
    """Scans until stopped. What goes wrong with a scan is logged, and the next one tries again."""
    app.inbox.mkdir(parents=True, exist_ok=True)
    state = InboxState()
    for _ in _looks(app.inbox, app.settings.scan_interval_s, app.settings.settle_s, stop):
        try:
            counts = scan(app, state)
        except PhonoloopError as error:
            log.warning("inbox: left for later: [%s] %s", error.code, error)
            continue
        except Exception:
            log.exception("the scan of %s went wrong, going on", app.inbox)
            continue
        _tell(counts)
        if counts.ingested or counts.duplicate:
            wake()


def _tell(counts: ScanCounts) -> None:
    if counts.ingested or counts.duplicate or counts.refused:
        log.info(
            "inbox: %d ingested, %d duplicate, %d refused", counts.ingested, counts.duplicate, counts.refused
        )
    for error in counts.errors:
        log.warning("inbox: left for later: [%s] %s", error.code, error)


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
