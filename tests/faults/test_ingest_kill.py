"""From the inbox to the manifest, killed at random moments: nothing lost, doubled or left over."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import ingest_worker
import pytest
from up_process import wait_for

from phonoloop.app.bootstrap import open_app
from phonoloop.core.events import EMBEDDINGS_INDEXED, Event
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Clip, IndexedText, IntakeOutcome, Recording, Speaker, Transcript

PENDING = {
    "outbox": "select count(*) from outbox",
    "delivery": "select count(*) from event_deliveries",
    "not begun": """select count(*) from event_log where type = 'recording.ingested' and position >
        (select coalesce(max(position), 0) from event_cursors where consumer = 'asr')""",
    "text": "select count(*) from clips where status = 'waiting'",
}


DONE = (
    "select count(*) from intake_outcomes",
    "select count(*) from event_log",
    "select coalesce(sum(position), 0) from event_cursors",
    "select count(*) from clips where status = 'accepted'",
)


class Site:
    """A data folder, and the process that serves it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        (data / "inbox").mkdir(parents=True)
        self.process: Any = None
        self.stop: Any = None

    def start(self) -> None:
        processes = ingest_worker.processes()
        self.stop = processes.Event()
        self.process = processes.Process(target=ingest_worker.serve, args=(self.data, self.stop))
        self.process.start()

    def live(self, chance: random.Random, longest_s: float) -> None:
        """For a random while from its first step, or, one in five, from its start."""
        before = self.done()
        self.start()
        if chance.random() > 0.2:
            wait_for(lambda: self.done() > before)
        time.sleep(chance.uniform(0.0, longest_s))
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end(self) -> int:
        self.stop.set()
        self.process.join(30)
        return self.process.exitcode

    def audio_waiting(self) -> int:
        return sum(p.suffix in (".wav", ".mp3", ".flac") for p in (self.data / "inbox").rglob("*"))

    def pending(self) -> dict[str, int]:
        """What is not through yet, by where it is."""
        found = {"inbox": self.audio_waiting(), "manifest": self._not_in_manifests()}
        found |= {name: self._count(query) for name, query in PENDING.items()}
        return {name: count for name, count in found.items() if count}

    def done(self) -> int:
        """How much was done; grows with every step."""
        return sum(self._count(query) for query in DONE)

    def _not_in_manifests(self) -> int:
        lines = sum(
            len(p.read_bytes().splitlines()) for p in (self.data / "datasets/manifests").glob("*.jsonl")
        )
        return self._count("select count(*) from clips where status = 'accepted'") - lines

    def _count(self, query: str) -> int:
        try:
            connection = sqlite3.connect(self.data / "records.sqlite", timeout=20)
            try:
                return connection.execute(query).fetchone()[0]
            finally:
                connection.close()
        except sqlite3.OperationalError:  # killed before it had made the tables
            return 0

    def go_through(self) -> None:
        """Served undisturbed until nothing is left to do."""
        if self.process is None or not self.process.is_alive():
            self.start()
        try:
            self._wait_until_through()
            assert self.end() == 0
        finally:
            self.kill()

    def _wait_until_through(self) -> None:
        wait_for(lambda: not self.pending() or not self.process.is_alive())
        assert self.process.is_alive(), self.pending()


def outcome_of(site: Site) -> dict[str, Any]:
    """Everything that shall be the same, whatever happened on the way."""
    with open_app(ingest_worker.settings(site.data)) as app:
        with app.records.transaction() as tx:
            rows = recorded(tx, str(site.data))
        rows["dead"] = app.bus.dead()
        rows["events"] = told(entry.event for entry in app.bus.tail(limit=100_000))
    folders = ("processed", "rejected", "audio", "datasets/manifests", "transcripts", "inbox")
    return rows | {folder: tree(site.data / folder) for folder in folders}


def told(events: Iterable[Event]) -> Counter:
    """How often each was told. Texts are embedded anew when the embedder has learned from more of them, and
    when that is depends on how many came at once: of these it counts whether they were embedded at all."""
    counts = Counter((event.type, event.subject) for event in events)
    return Counter({key: 1 if key[0] == EMBEDDINGS_INDEXED else count for key, count in counts.items()})


def recorded(tx: Transaction, data: str) -> dict[str, Any]:
    return {
        "recordings": {r.audio_id: (r.speaker_id, r.split, r.original_name) for r in tx.find(Recording)},
        "clips": {c.clip_id: (c.status, c.text, c.speaker_id, c.split) for c in tx.find(Clip)},
        "outcomes": {
            o.name: (o.status, o.code, o.audio_id, o.kept_at.replace(data, ""))
            for o in tx.find(IntakeOutcome)
        },
        "outcome rows": tx.total(IntakeOutcome),
        "speakers": {s.speaker_id: s.split for s in tx.find(Speaker)},
        "transcripts": {t.audio_id: (t.revision, t.text) for t in tx.find(Transcript)},
        "searchable": {t.text_id: (t.text, len(t.vector)) for t in tx.find(IndexedText)},
    }


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): content(p) for p in folder.rglob("*") if p.is_file()}


def content(path: Path) -> str:
    if path.name.endswith(".reason.json"):  # says when, too
        return str({k: v for k, v in json.loads(path.read_bytes()).items() if k != "at"})
    return sha256(path.read_bytes()).hexdigest()


def undisturbed(folder: Path, batches: list[Path]) -> dict[str, Any]:
    site = Site(folder / "calm")
    site.start()
    for batch in batches:
        ingest_worker.drop(batch, site.data / "inbox")
        time.sleep(0.1)
    site.go_through()
    return outcome_of(site)


def killed(
    folder: Path, batches: list[Path], longest_s: float, seed: int
) -> tuple[Site, list[dict[str, int]]]:
    """A batch comes, a process starts and is killed at a random moment; then the next. What was left to do at
    each kill of a process that had done something.

    How long a process may live follows the machine: shorter after a kill that found nothing left to do.
    """
    chance, site, strikes = random.Random(seed), Site(folder / "killed"), []
    (site.data / "work" / "upload-of-somebody").mkdir(parents=True)
    for batch in batches:
        ingest_worker.drop(batch, site.data / "inbox")
        before = site.done()
        site.live(chance, longest_s)
        if site.done() > before:
            strikes.append(site.pending())
            longest_s *= 1.3 if strikes[-1] else 0.6
    site.go_through()
    return site, strikes


def check(tmp_path: Path, *, kills: int, each: int, longest_s: float, seed: int) -> Counter:
    batches = ingest_worker.write_material(tmp_path / "material", kills, each)
    expected = undisturbed(tmp_path, batches)
    site, strikes = killed(tmp_path, batches, longest_s, seed)
    found = outcome_of(site)
    for what, value in expected.items():
        assert found[what] == value, what
    check_expected(expected, kills * each)
    check_nothing_left(site.data)
    struck = sum(bool(strike) for strike in strikes)
    assert struck >= 0.4 * kills, strikes
    return Counter(where for strike in strikes for where in strike) + Counter(kills=kills, struck=struck)


def check_expected(expected: dict[str, Any], recordings: int) -> None:
    """That what both runs agree on is what it should be."""
    assert Counter(status for status, *_ in expected["outcomes"].values()) == {
        "ingested": recordings + 2,
        "duplicate": 3,
        "refused": 6,
    }
    assert expected["outcome rows"] == len(expected["outcomes"])
    assert all(expected["datasets/manifests"][f"{split}.jsonl"] for split in ("train", "val", "test"))
    assert len(set(expected["speakers"].values())) == 3
    assert {status for status, *_ in expected["clips"].values()} == {"accepted"}
    assert expected["inbox"] == {}
    assert expected["dead"] == []
    assert set(expected["events"].values()) == {1}


def check_nothing_left(data: Path) -> None:
    assert list((data / "work").iterdir()) == []
    unfinished = [p for p in data.rglob("*") if p.name.startswith(".tmp-") or p.name.endswith(".part")]
    assert unfinished == []


def test_killed_twelve_times_it_ends_as_if_nothing_had_been(tmp_path):
    where = check(tmp_path, kills=12, each=5, longest_s=0.25, seed=20261120)
    assert where["inbox"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_a_hundred_times(tmp_path):
    where = check(tmp_path, kills=100, each=3, longest_s=0.25, seed=1)
    print(dict(where))
    assert where.keys() >= {"inbox", "delivery"}
