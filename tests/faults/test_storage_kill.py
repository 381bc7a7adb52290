"""Killed with SIGKILL at any moment: nothing confirmed is lost or half there, effects happen once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import storage_worker

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.data.model import AuditEntry, IntakeOutcome, Processed
from phonoloop.jobs.model import Job


@pytest.fixture(scope="module")
def processes():
    return storage_worker.processes()


def kill_once(processes, url: str, confirmed: Path, name: str, chance: random.Random) -> None:
    ready = [processes.Event(), processes.Event()]
    workers = [
        processes.Process(target=storage_worker.write, args=(url, str(confirmed), name, ready[0])),
        processes.Process(target=storage_worker.consume, args=(url, ready[1])),
    ]
    for worker in workers:
        worker.start()
    for event in ready:
        assert event.wait(60)
    chance.shuffle(workers)
    for worker in workers:
        time.sleep(chance.uniform(0.0, 0.12))
        worker.kill()
    for worker in workers:
        worker.join()
        assert worker.exitcode == -9, "it ended before it was killed"


def finish(url: str) -> None:
    """What a restart does: tells what was not told, does what was not done."""
    records, bus = storage_worker.open_both(url)
    while records.drain_outbox(bus):
        pass
    time.sleep(storage_worker.LEASE_S)
    while deliveries := bus.receive("counter", ["written"], limit=100):
        for delivery in deliveries:
            storage_worker.take_effect(records, delivery)
            bus.ack(delivery)
    records.close()


def check(url: str, confirmed: set[str]) -> int:
    records, bus = storage_worker.open_both(url)
    with records.transaction() as tx:
        written = {outcome.outcome_id for outcome in tx.find(IntakeOutcome)}
        second_halves = {entry.subject for entry in tx.find(AuditEntry)}
        done, counted = tx.total(Processed), tx.get(Job, "counter").attempt
    log = [entry.event.subject for entry in bus.tail(limit=10**6)]
    records_left, dead = records.drain_outbox(bus), bus.dead()
    records.close()
    assert confirmed <= written
    assert written == second_halves
    assert sorted(log) == sorted(written)
    assert counted == done == len(written)
    assert (records_left, dead) == (0, [])
    return len(written)


def kill_many(processes, url: str, folder: Path, kills: int) -> None:
    records, _ = storage_worker.open_both(url)
    with records.transaction() as tx:
        tx.put(Job(job_id="counter", kind="count", slot="none"))
    records.close()
    chance = random.Random(kills)
    for number in range(kills // 2):  # each round kills two processes
        kill_once(processes, url, folder / "confirmed", f"{number:03d}", chance)
    finish(url)
    confirmed = set((folder / "confirmed").read_text().split())
    assert len(confirmed) >= kills // 2
    assert check(url, confirmed) >= len(confirmed)


def test_killed_twenty_times(processes, tmp_path):
    kill_many(processes, f"sqlite:///{tmp_path}/records.db", tmp_path, 20)


@pytest.mark.long
def test_killed_a_hundred_times(processes, tmp_path):
    kill_many(processes, f"sqlite:///{tmp_path}/records.db", tmp_path, 100)


def store_for_ever(root: str, ready) -> None:
    store = LocalBlobStore(root)
    ready.set()
    while True:
        for digit in b"0123456789":
            store.put("folder/object", bytes([digit]) * 1_000_000)


def test_a_killed_writer_of_objects_leaves_the_old_one_or_the_new_one(processes, tmp_path):
    chance, store = random.Random(5), LocalBlobStore(tmp_path)
    store.put("folder/object", b"0" * 1_000_000)
    for _ in range(6):
        ready = processes.Event()
        worker = processes.Process(target=store_for_ever, args=(str(tmp_path), ready))
        worker.start()
        assert ready.wait(60)
        time.sleep(chance.uniform(0.0, 0.05))
        worker.kill()
        worker.join()
        data = store.get("folder/object")
        assert (len(data), len(set(data))) == (1_000_000, 1)
        assert [info.key for info in store.list("")] == ["folder/object"]
