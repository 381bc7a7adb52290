"""A consumer is killed with SIGKILL at random moments: every event has its effect, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.core.events import RECORDING_INGESTED, Event
from phonoloop.data.model import AuditEntry

EVENTS, KILLS = 150, 4

#: two stages; the rows have random keys, so that doing it twice would show
WORKER = """
import sys, threading, uuid
from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.core.events import RECORDING_INGESTED, TRANSCRIPTION_COMPLETED, Event
from phonoloop.data.model import AuditEntry, Processed
from phonoloop.jobs.consumer import Consumer, ConsumerThreads

records = SqlRecords(sys.argv[1])
bus = SqlEventBus(records, max_attempts=100)

def stage(action, following):
    def handle(event, once):
        with records.transaction() as tx:
            if once(tx):
                key = uuid.uuid4().hex
                tx.put(AuditEntry(audit_id=key, actor="test", action=action, subject=event.subject))
                if following:
                    tx.emit(Event(following, event.subject, {}))
    return handle

consumers = [
    Consumer("transcribe", [RECORDING_INGESTED], stage("transcribe", TRANSCRIPTION_COMPLETED), Processed,
             lease_s=0.5),
    Consumer("correct", [TRANSCRIPTION_COMPLETED], stage("correct", ""), Processed, lease_s=0.5),
]
threads = ConsumerThreads(records, bus, consumers, idle_s=0.05)
threads.start()
print("ready", flush=True)
threading.Event().wait()
"""


def started(url: str) -> subprocess.Popen:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url], stdout=subprocess.PIPE)
    worker.stdout.readline()
    return worker


def killed(worker: subprocess.Popen) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()


def rows(records: SqlRecords, action: str) -> list[str]:
    with records.transaction() as tx:
        return sorted(entry.subject for entry in tx.find(AuditEntry, action=action))


def test_every_event_has_its_effect_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'records.db'}"
    records, chance = SqlRecords(url), random.Random(7)
    bus = SqlEventBus(records, max_attempts=100)
    subjects = sorted(f"a{n:03d}" for n in range(EVENTS))
    with records.transaction() as tx:
        for subject in subjects:
            tx.emit(Event(RECORDING_INGESTED, subject, {}))
    struck = 0
    for _ in range(KILLS):
        worker = started(url)
        time.sleep(chance.uniform(0.02, 0.3))
        killed(worker)
        struck += len(rows(records, "correct")) < EVENTS
    assert struck >= 2, "it was done before it was killed: nothing was shown"
    worker, deadline_s = started(url), time.monotonic() + 60
    while len(rows(records, "correct")) < EVENTS:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    time.sleep(0.7)  # a lease left over would end now, and its event come again
    killed(worker)
    assert rows(records, "transcribe") == subjects
    assert rows(records, "correct") == subjects
    assert bus.dead() == []
    records.close()
