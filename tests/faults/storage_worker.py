"""What the processes do that `test_storage_kill` kills."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.vectors_exact import ExactVectorIndex
from phonoloop.adapters.vectors_qdrant import QdrantEdgeIndex
from phonoloop.core.events import Event
from phonoloop.core.ports import Delivery, VectorIndex, VectorPoint
from phonoloop.data.model import AuditEntry, IntakeOutcome, Processed
from phonoloop.jobs.model import Job

LEASE_S = 0.2

ADAPTERS = ("bus_sql", "blobs_local", "vectors_exact", "vectors_qdrant")


def processes() -> Any:
    """Starts processes that have loaded the program already: most of a start is imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"phonoloop.adapters.{name}" for name in ADAPTERS])
    return context


def open_both(url: str) -> tuple[SqlRecords, SqlEventBus]:
    records = SqlRecords(url)
    return records, SqlEventBus(records, max_attempts=1000)


def write(url: str, confirmed: str, name: str, ready) -> None:
    """Records, tells, and notes in a file what was confirmed, until it is killed."""
    records, bus = open_both(url)
    notes = os.open(confirmed, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ready.set()
    for number in count():
        key = f"{name}-{number:06d}"
        with records.transaction() as tx:
            tx.put(IntakeOutcome(outcome_id=key, name="first half", status="ingested"))
            tx.emit(Event("written", key, {}))
            tx.put(AuditEntry(audit_id=f"second half/{key}", actor="writer", action="write", subject=key))
        os.write(notes, f"{key}\n".encode())
        records.drain_outbox(bus)


def consume(url: str, ready) -> None:
    """Does what events ask, until it is killed."""
    records, bus = open_both(url)
    ready.set()
    while True:
        for delivery in bus.receive("counter", ["written"], limit=3, lease_s=LEASE_S):
            take_effect(records, delivery)
            bus.ack(delivery)


def take_effect(records: SqlRecords, delivery: Delivery) -> None:
    with records.transaction() as tx:
        if tx.add(Processed(key=f"counter/{delivery.event.id}")):
            counter = tx.get(Job, "counter")
            tx.put(replace(counter, attempt=counter.attempt + 1))


def open_index(kind: str, path: str) -> VectorIndex:
    return {"exact": ExactVectorIndex, "qdrant": QdrantEdgeIndex}[kind](path)


def index_for_ever(kind: str, path: str, confirmed: str, name: str, ready) -> None:
    """Indexes, and notes in a file what was confirmed, until it is killed."""
    index = open_index(kind, path)
    notes = os.open(confirmed, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in count():
        key = f"{name}-{number}"
        index.upsert([VectorPoint(f"{key}/{i}", np.eye(8)[i]) for i in range(3)])
        os.write(notes, f"{key}\n".encode())
        ready.set()
