"""What is recorded about long work. Frozen; changed by copy. The first field is the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from phonoloop.core.clock import utc_now


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of long work.

    Attributes:
        kind: what it is (`train.asr`).
        slot: the device it needs; at most one job runs on a slot (a partial unique index holds it).
        attempt: how often it was started; the fencing token of whoever runs it.
        lease_until: running: when it counts as abandoned, unless its worker says it is alive;
            queued: not to be started before.
        progress: 0 to 1. stage: what it is doing, in a word.
        result, error: what came out; error holds {code, message, hint}.
    """

    job_id: str
    kind: str
    slot: str
    params: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = JobState.QUEUED
    attempt: int = 0
    max_attempts: int = 5
    worker: str = ""
    lease_until: datetime | None = None
    cancel_requested: bool = False
    stage: str = ""
    progress: float = 0.0
    eta_s: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFiring:
    """A trigger has fired: one row a cause (`cron/train.asr/2026-11-20`, `hours/train.asr/…`), so
    that one cause starts one job, whatever crashes or clock changes come between."""

    cause: str
    job_id: str
    created_at: datetime = field(default_factory=utc_now)
