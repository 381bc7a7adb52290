"""`phonoloop up`: everything of the embedded profile in one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from phonoloop.app import wakeword_models
from phonoloop.app.bootstrap import App
from phonoloop.app.leftovers import end_dead_leases, sweep
from phonoloop.app.loop import consumers
from phonoloop.app.triggers import fire_schedule
from phonoloop.app.watch import watch_inbox
from phonoloop.app.work import run_jobs
from phonoloop.core.errors import PhonoloopError
from phonoloop.jobs.consumer import ConsumerThreads

log = logging.getLogger(__name__)

CHAMPION_LOOK_S = 1.0
SCHEDULE_LOOK_S = 15.0
SEARCH_LOOK_S = 15.0


@dataclass(frozen=True)
class Service:
    """A named loop that runs until it is told to stop."""

    name: str
    run: Callable[[threading.Event], None]


class Services:
    """The background of `phonoloop up`: watcher, consumers, job runner, schedule, champion.

    Use as a context manager: started on entry; on exit each finishes what it has in hand, and a
    training saves its state and goes back to the queue.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = threading.Event()
        self._consumers = ConsumerThreads(app.records, app.bus, consumers(app))
        self._threads = [
            threading.Thread(target=service.run, args=(self._stop,), name=service.name)
            for service in _services(app, self._consumers.wake)
        ]

    def __enter__(self) -> Services:
        end_dead_leases(self._app)
        sweep(self._app)
        wakeword_models.follow(self._app)
        self._consumers.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for name in self._consumers.stop():
            log.warning("%s has not finished in time; its work is done again at the next start", name)


def _services(app: App, wake: Callable[[], None]) -> list[Service]:
    return [
        Service("inbox", lambda stop: watch_inbox(app, stop, wake)),
        Service("jobs", lambda stop: run_jobs(app, stop)),
        Service("schedule", lambda stop: _repeat(stop, SCHEDULE_LOOK_S, lambda: fire_schedule(app))),
        Service("search", lambda stop: _repeat(stop, SEARCH_LOOK_S, app.search.maintain)),
        Service("champion", lambda stop: _repeat(stop, CHAMPION_LOOK_S, app.champion.refresh)),
    ]


def _repeat(stop: threading.Event, every_s: float, step: Callable[[], object]) -> None:
    """Does a step now and then. One that fails is logged, and tried again next time."""
    while not stop.is_set():
        try:
            step()
        except PhonoloopError as error:
            log.warning("%s: trying again later: [%s] %s", threading.current_thread().name, error.code, error)
        except Exception:
            log.exception("%s went wrong, going on", threading.current_thread().name)
        stop.wait(every_s)
