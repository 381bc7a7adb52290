"""What changes while somebody watches: events of the log from a cursor on, and the steps of jobs."""

from __future__ import annotations

from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.views import event_view, plain
from phonoloop.core.ports import EventBus
from phonoloop.jobs.model import Job, JobState

#: what is told: the first part of an event's type
_TOLD = ("dataset", "training", "model")
_JOBS, _EVENTS_AT_ONCE = 50, 200
_OF_A_JOB = (
    "job_id",
    "kind",
    "state",
    "stage",
    "progress",
    "eta_s",
    "attempt",
    "cancel_requested",
    "result",
    "error",
    "created_at",
    "ended_at",
)

Message = dict[str, Any]


class Feed:
    """Messages for one watcher, as JSON values.

        {"kind": "hello", "cursor": 41, "jobs": [{"job_id", "kind", "state", "stage", "progress", …}]}
        {"kind": "event", "cursor": 42, "event": {CloudEvent}}
        {"kind": "job", "cursor": 42, "job": {…}}

    Args:
        after: the cursor of the last message that was seen; None for nothing of the past.
    """

    def __init__(self, app: App, after: int | None = None) -> None:
        self._app = app
        self.cursor = end_of(app.bus) if after is None else after
        self._seen: dict[str, Message] = {}

    def hello(self) -> Message:
        """The first message: jobs that have not ended."""
        jobs = self._new_in(self._jobs())
        going = [job for job in jobs if not JobState(job["state"]).ended]
        return {"kind": "hello", "cursor": self.cursor, "jobs": going}

    def look(self) -> list[Message]:
        """What is new since the last look, events first. Where the records cannot be reached now, nothing is
        passed over: the next look finds it.

        Raises:
            UnavailableError: as the records do.
        """
        entries, jobs = self._app.bus.tail(after=self.cursor, limit=_EVENTS_AT_ONCE), self._jobs()
        told: list[Message] = [
            {"kind": "event", "cursor": entry.offset, "event": event_view(entry.event)}
            for entry in entries
            if entry.event.type.split(".")[0] in _TOLD
        ]
        self.cursor = entries[-1].offset if entries else self.cursor
        changed = self._new_in(jobs)
        return [*told, *({"kind": "job", "cursor": self.cursor, "job": job} for job in changed)]

    def _jobs(self) -> list[Message]:
        """The newest, oldest of them first."""
        with self._app.records.transaction() as tx:
            newest = tx.find(Job, order_by="created_at", descending=True, limit=_JOBS)
        return [{name: plain(getattr(job, name)) for name in _OF_A_JOB} for job in reversed(newest)]

    def _new_in(self, jobs: list[Message]) -> list[Message]:
        changed = [job for job in jobs if self._seen.get(job["job_id"]) != job]
        self._seen = {job["job_id"]: job for job in jobs}
        return changed


def end_of(bus: EventBus) -> int:
    """The offset of the last event in the log, 0 for an empty one; found by halving."""
    high = 1
    while bus.tail(after=high, limit=1):
        high *= 2
    low = high // 2 if high > 1 else 0
    while low < high:
        middle = (low + high) // 2
        if found := bus.tail(after=middle, limit=1):
            low = found[0].offset
        else:
            high = middle
    return low
