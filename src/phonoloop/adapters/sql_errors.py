"""What a database says, in the words of `phonoloop.core.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from phonoloop.adapters import refusals
from phonoloop.core.errors import IntegrityError, PhonoloopError, ResourceError, UnavailableError

_LOST_RACE = ("40001", "40P01", "55P03")
_FULL = ("53100", "53200", "53300")


def lost_race() -> UnavailableError:
    return UnavailableError(
        "another unit of work came first", code="records.conflict", hint="Nothing was kept; try again"
    )


def _disk_full() -> ResourceError:
    return ResourceError(
        "the records cannot be written: the disk is full",
        code="disk.full",
        hint="Free some space, then go on; nothing of this unit of work was kept",
    )


def _unreachable(detail: str) -> UnavailableError:
    return UnavailableError(
        f"the records database does not answer ({detail})",
        code="records.unreachable",
        hint="Check that it runs and that the records URL in the settings is right",
    )


def _corrupt(detail: str) -> IntegrityError:
    return IntegrityError(
        f"the records database is damaged ({detail})",
        code="records.corrupt",
        hint="Stop, keep a copy of the file, and restore the last backup",
    )


def _refusal(message: str, subject: str) -> PhonoloopError | None:
    """Of a constraint or a trigger."""
    if "split.conflict" in message:
        return refusals.split_conflict(subject)
    if "split.machine_text" in message:
        return refusals.machine_text(subject)
    if "jobs.slot" in message or "uq_jobs_running_slot" in message:
        return refusals.slot_taken(subject)
    if "FOREIGN KEY" in message or "foreign key" in message:
        return refusals.missing_reference(subject)
    return None


def _of_sqlite(error: BaseException) -> PhonoloopError | None:
    message = str(error)
    # the second: the index of the write-ahead log cannot grow, which SQLite calls a "disk I/O error"
    if getattr(error, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
        return _disk_full()
    if "locked" in message or "busy" in message:
        return lost_race()
    if "malformed" in message or "not a database" in message:
        return _corrupt(message)
    if "unable to open" in message or "readonly" in message or "disk I/O" in message:
        return _unreachable(message)
    return None


def _of_postgresql(error: DBAPIError) -> PhonoloopError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _LOST_RACE:
        return lost_race()
    if state in _FULL:
        return _disk_full()
    if (
        error.connection_invalidated
        or state[:2] in ("08", "57")
        or type(error.orig).__name__
        in (
            "OperationalError",
            "ConnectionTimeout",
        )
    ):
        return _unreachable(str(error.orig).strip().splitlines()[0])
    return None


def translate(error: DBAPIError, subject: str = "") -> PhonoloopError | None:
    """The error of the tree that it is, or None where it is a mistake in this program."""
    message = str(error.orig)
    if refusal := _refusal(message, subject):
        return refusal
    if type(error.orig).__module__.startswith("sqlite3"):
        return _of_sqlite(error.orig)
    return _of_postgresql(error)


@contextmanager
def translated(subject: str = "") -> Iterator[None]:
    """Errors of the database leave as errors of the tree."""
    try:
        yield
    except DBAPIError as error:
        known = translate(error, subject)
        if known is None:
            raise
        raise known from error
    except PoolTimeout as error:
        raise lost_race() from error
