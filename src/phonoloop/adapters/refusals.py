"""The errors of the rules that records keep, worded once for every adapter."""

from __future__ import annotations

from phonoloop.core.errors import ConflictError, SplitConflictError


def split_conflict(subject: str) -> SplitConflictError:
    return SplitConflictError(
        "a speaker would be in two splits",
        code="split.conflict",
        subject=subject,
        hint="Recordings and clips have their speaker's split; a speaker who has recordings keeps it",
    )


def machine_text(subject: str) -> ConflictError:
    return ConflictError(
        "what a machine wrote can be trained on, not tested on",
        code="split.machine_text",
        subject=subject,
        hint="Have a person check the transcript before the clip is accepted in val or test",
    )


def slot_taken(subject: str) -> ConflictError:
    return ConflictError(
        "another job runs on that slot",
        code="job.slot_taken",
        subject=subject,
        hint="Wait for it to end, or cancel it",
    )


def missing_reference(subject: str) -> ConflictError:
    return ConflictError(
        "it refers to something that is not recorded, or something recorded refers to it",
        code="records.reference",
        subject=subject,
        hint="Record speaker, recording, clips in that order; delete in the other",
    )


def nested() -> ConflictError:
    return ConflictError(
        "a unit of work was begun inside another one",
        code="records.nested",
        hint="Pass the transaction on, and publish through emit()",
    )
