"""What starts a job by itself: hours of new data, a time of day, somebody's command.

Each firing has a cause, recorded with the job in one unit of work: a cause starts one job, whatever
crashes, redeliveries or clock changes come between.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConfigError
from phonoloop.core.ports import Transaction
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job, JobState, TriggerFiring

DAILY = "0 2 * * *"
NOTHING_NEW = "nothing new since the last training"

#: more than any clock is ever turned back by, so that no occurrence before `now` is missed
_TURNED_BACK = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Work:
    """The job a trigger starts."""

    kind: str
    slot: str
    params: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 5


@dataclass(frozen=True, slots=True)
class Firing:
    """What a trigger did.

    Attributes:
        cause: the key of the firing.
        job: the job that was started for this cause, now or before; None where none was.
        reason: why none was, or which job was there already, as a sentence a person can read.
        new: whether this call started the job.
    """

    cause: str
    job: Job | None
    reason: str = ""
    new: bool = False


# ---------------------------------------------------------------- time


def check_cron(cron: str) -> str:
    """The expression itself. `ConfigError` `trigger.cron` where it is not one of five fields, or
    names a day that never comes."""
    if len(cron.split()) != 5 or not croniter.is_valid(cron) or not _ever_occurs(cron):
        raise ConfigError(
            f"{cron!r} is not a cron expression of five fields that ever occurs",
            code="trigger.cron",
            subject="TRAIN_DAILY_CRON",
            hint=f"Write minute, hour, day, month and weekday, as in `{DAILY}`",
        )
    return cron


def _ever_occurs(cron: str) -> bool:
    try:
        croniter(cron, datetime(2000, 1, 1)).get_next(datetime)
    except CroniterBadDateError:
        return False
    return True


def local_zone(name: str = "") -> tzinfo:
    """The zone of that name, or of this machine (`TZ`, then /etc/localtime, which is UTC if absent).

    Raises:
        ConfigError: `trigger.zone`, where no zone has that name.
    """
    name = name or os.environ.get("TZ", "").lstrip(":")
    if name:
        return _zone(name)
    localtime = Path("/etc/localtime")
    if not localtime.exists():
        return UTC
    with localtime.open("rb") as file:
        return ZoneInfo.from_file(file, key=str(localtime.resolve()))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"there is no time zone {name!r}",
            code="trigger.zone",
            subject=name,
            hint="Use a name of the tz database, as in `Asia/Ho_Chi_Minh`",
        ) from error


def due(cron: str, last_fired: datetime | None, now: datetime, tz: tzinfo) -> datetime | None:
    """The latest occurrence by local wall clock in (last_fired, now], in UTC; None where there is none.

    However many were missed, only the latest counts. A wall time that a change of clocks skips
    occurs as much later as the clock was turned forward; one that comes twice occurs the first
    time. Without `last_fired` nothing is due: nobody waited for what was before the first start.
    """
    latest = _latest(cron, now, tz)
    return latest if last_fired is not None and latest > last_fired else None


def _latest(cron: str, now: datetime, tz: tzinfo) -> datetime:
    """Asked in naive local time, because croniter counts a repeated hour twice."""
    wall = now.astimezone(tz).replace(tzinfo=None) + _TURNED_BACK
    occurrences = croniter(check_cron(cron), wall)
    while (moment := _instant(occurrences.get_prev(datetime), tz)) > now:
        pass
    return moment


def _instant(wall: datetime, tz: tzinfo) -> datetime:
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC)


# ---------------------------------------------------------------- triggers


def on_hours(tx: Transaction, work: Work, *, subject: str, hours: float, threshold_hours: float) -> Firing:
    """Fires when the hours reach the threshold (`TRAIN_HOURS_THRESHOLD`), once for each subject:
    what the `dataset.ready` event is about."""
    cause = f"hours/{work.kind}/{subject}"
    if hours < threshold_hours:
        return Firing(cause, None, f"{hours:.2f} of {threshold_hours:g} hours")
    return _fire(tx, work, cause)


def on_command(tx: Transaction, work: Work, *, request: str = "") -> Firing:
    """Fires at once. A request that is sent again (same `request`) starts nothing more."""
    return _fire(tx, work, f"command/{work.kind}/{request or uuid.uuid4().hex}")


def on_schedule(
    tx: Transaction,
    work: Work,
    *,
    cron: str,
    tz: tzinfo,
    anything_new: Callable[[Transaction], bool],
    now: datetime | None = None,
) -> Firing | None:
    """Fires at most once a local day, when the schedule's time has come; None where it has not.

    What happens when:
    - the very first call ever only remembers that the schedule is on; the next occurrence fires;
    - the process was down at the time: it fires once when it is up again, for the latest occurrence;
    - nothing is new: no job, the day counts as dealt with, and the firing says so.
    """
    now = now or utc_now()
    occurrence = due(cron, _armed_at(tx, work.kind, now), now, tz)
    if occurrence is None:
        return None
    cause = f"cron/{work.kind}/{occurrence.astimezone(tz).date().isoformat()}"
    if tx.get(TriggerFiring, cause) is not None:
        return None
    if not anything_new(tx):
        tx.put(TriggerFiring(cause=cause, job_id="", created_at=now))
        return Firing(cause, None, NOTHING_NEW)
    return _fire(tx, work, cause, now=now)


def _armed_at(tx: Transaction, kind: str, now: datetime) -> datetime | None:
    """When the schedule was first on; None, and from now on remembered, at the first call ever."""
    key = f"cron/{kind}/armed"
    armed = tx.get(TriggerFiring, key)
    if armed is None:
        tx.put(TriggerFiring(cause=key, job_id="", created_at=now))
        return None
    return armed.created_at


def _fire(tx: Transaction, work: Work, cause: str, *, now: datetime | None = None) -> Firing:
    known = tx.get(TriggerFiring, cause)
    if known is not None:
        return Firing(cause, queue.get(tx, known.job_id), "this was started before")
    waiting = _same_that_waits(tx, work)
    if waiting is not None:
        tx.put(TriggerFiring(cause=cause, job_id=waiting.job_id, created_at=now or utc_now()))
        return Firing(cause, waiting, "the same work is waiting to start already")
    job = queue.submit(
        tx,
        kind=work.kind,
        slot=work.slot,
        params=work.params,
        cause=cause,
        max_attempts=work.max_attempts,
        now=now,
    )
    return Firing(cause, job, new=True)


def _same_that_waits(tx: Transaction, work: Work) -> Job | None:
    """A job that has not started yet will see the newest data anyway: a second one adds nothing."""
    queued = tx.find(Job, kind=work.kind, slot=work.slot, state=JobState.QUEUED)
    return next((job for job in queued if not job.attempt and dict(job.params) == dict(work.params)), None)
