"""What the processes do that `test_storage_kill` kills."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count

from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.core.events import Event
from phonoloop.core.ports import Delivery
from phonoloop.data.model import AuditEntry, IntakeOutcome, Processed
from phonoloop.jobs.model import Job

LEASE_S = 0.2


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
