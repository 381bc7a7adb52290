"""A full disk: nothing half-written, a code that says so, and everything goes on once there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ingest_worker
import pytest
import train_worker
from up_process import Up, run, wait_for

from phonoloop.app.bootstrap import App, open_app
from phonoloop.app.intake import scan
from phonoloop.data.inbox import InboxState
from phonoloop.data.model import IntakeOutcome, Recording
from phonoloop.jobs.model import JobState
from phonoloop.testing.intake import aged

SMALL_BYTES = 3 * 1024 * 1024


def mount(folder: Path, size_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "phonoloop-test", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for `SMALL_BYTES`."""
    folder = tmp_path / "disk"
    mount(folder, SMALL_BYTES)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes all the room there is."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                os.write(file.fileno(), bytes(4096))
        except OSError:
            return ballast


def drop(data: Path, count: int) -> list[Path]:
    made = [ingest_worker.write_recording(data / "inbox", number) for number in range(count)]
    for path in made:
        aged(path)
        aged(path.with_suffix(".txt"))
    return made


def stored(data: Path) -> list[Path]:
    return [p for name in ("audio", "processed", "rejected") for p in (data / name).rglob("*") if p.is_file()]


def recorded(app: App) -> tuple[int, int]:
    with app.records.transaction() as tx:
        return len(tx.find(Recording)), len(tx.find(IntakeOutcome))


def test_files_wait_in_the_inbox_until_there_is_room(small_disk):
    data = small_disk / "data"
    with open_app(ingest_worker.settings(data)) as app:
        scan(app, InboxState())
        made = drop(data, 6)
        ballast = fill(small_disk)
        counts = scan(app, InboxState())
        assert counts.later == len(made)
        assert {error.code for error in counts.errors} == {"disk.full"}
        assert all(error.hint for error in counts.errors)
        assert all(path.exists() and path.with_suffix(".txt").exists() for path in made)
        assert (stored(data), recorded(app)) == ([], (0, 0))
        ballast.unlink()
        assert scan(app, InboxState()).ingested == len(made)
        assert (recorded(app), train_worker.files(data / "inbox")) == ((6, 6), [])


def test_it_is_said_by_the_command_and_in_the_log(small_disk):
    data = small_disk / "data"
    one = ingest_worker.write_recording(small_disk / "mine", 1)
    assert run("status", data=data)[0] == 0
    ballast = fill(small_disk)
    code, answer = run("ingest", one, data=data)
    assert (code, answer["error"]["code"]) == (6, "disk.full")
    assert answer["error"]["hint"]
    assert stored(data) == []
    ballast.unlink()
    code, answer = run("ingest", one, data=data)
    assert (code, answer["counts"]) == (0, {"ingested": 1})


def test_a_running_up_goes_on_when_there_is_room(small_disk):
    data = small_disk / "data"
    server = Up(data)
    try:
        path = ingest_worker.write_recording(small_disk / "elsewhere", 1)
        target = data / "inbox" / path.name
        path.with_suffix(".txt").rename(target.with_suffix(".txt"))
        ballast = fill(small_disk)
        path.rename(target)
        wait_for(lambda: any("[disk.full]" in message for message in server.messages()))
        assert target.exists()
        assert stored(data) == []
        ballast.unlink()
        wait_for((data / "processed" / target.name).exists)
        wait_for(lambda: server.get("/v1/status")["clips"].get("accepted") == 1)
    finally:
        assert server.stop() == 0


def test_a_training_waits_with_a_code_and_goes_on(tmp_path):
    """The newest of its checkpoints is damaged, too: the one before is taken."""
    data = train_worker.prepare(tmp_path / "data")
    mount(data / "runs", 64 * 1024)
    try:
        with open_app(train_worker.settings(data)) as app:
            job_id = train_worker.submit(app)
            process = train_worker.start(data)
            try:
                wait_for(lambda: train_worker.job_of(app, job_id).error, 120)
                job = train_worker.job_of(app, job_id)
                assert job.error["code"] in ("disk.full", "resource.disk")
                assert job.error["hint"]
                assert not job.state.ended
                grow(data / "runs")
                wait_for(lambda: train_worker.job_of(app, job_id).state.ended, 120)
            finally:
                train_worker.kill_group(process)
            assert train_worker.job_of(app, job_id).state is JobState.SUCCEEDED
    finally:
        subprocess.run(["umount", str(data / "runs")], check=True)


def grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
