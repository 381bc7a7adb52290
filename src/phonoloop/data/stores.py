"""Where a stage reads and writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from phonoloop.core.errors import UnavailableError
from phonoloop.core.ports import BlobStore, Records, Transaction

T = TypeVar("T")


@dataclass(frozen=True)
class Stores:
    """The records and the objects: the first argument of every stage."""

    records: Records
    blobs: BlobStore


def in_transaction(records: Records, work: Callable[[Transaction], T], *, races: int = 5) -> T:
    """Runs a unit of work; one that lost a race is run again, from the start, a few times.

    Raises:
        UnavailableError: `records.conflict` where it lost every time.
    """
    try:
        with records.transaction() as tx:
            return work(tx)
    except UnavailableError as error:
        if error.code != "records.conflict" or races <= 1:
            raise
    time.sleep(0.01)
    return in_transaction(records, work, races=races - 1)
