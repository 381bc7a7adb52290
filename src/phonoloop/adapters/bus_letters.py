"""What is said of events that were given up, in every adapter of the bus."""

from __future__ import annotations

from phonoloop.core.errors import NotFoundError
from phonoloop.core.ids import content_id

#: code of a dead letter whose consumer was killed, or hung, on every attempt
ABANDONED = "event.abandoned"
ABANDONED_REASON = "every attempt ended without an answer: the consumer was killed or too slow"


def letter_id(consumer: str, event_id: str) -> str:
    return content_id(["dead", consumer, event_id])


def no_dead_letter(letter: str) -> NotFoundError:
    return NotFoundError(
        "there is no such dead letter",
        code="event.no_dead_letter",
        subject=letter,
        hint="It may have been replayed already; list the dead letters",
    )
