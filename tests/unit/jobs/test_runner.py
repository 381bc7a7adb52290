"""A worker runs jobs in child processes: real processes, records in memory."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConfigError, UnavailableError
from phonoloop.jobs import queue, runner
from phonoloop.jobs.model import Job, JobState
from phonoloop.jobs.process import Command, Process
from phonoloop.jobs.runner import Timing, run_next, work

FAST = Timing(lease_s=5, beat_s=0.05, grace_s=5, look_s=0.02, retry_s=0)

CHILD = """
import os, signal, sys, time
from pathlib import Path
from phonoloop.core import errors
from phonoloop.jobs import child

def run(job):
    folder = Path(sys.argv[1])
{body}

sys.exit(child.main(run))
"""

UNTIL_STOPPED = """
    (folder / "pid").write_text(str(os.getpid()))
    job.report("train", 0.5)
    while not job.should_stop():
        time.sleep(0.01)
    (folder / "saved").write_text("1")
    raise errors.CancelledError("it was asked to stop")
"""


def program(body: str) -> str:
    lines = [f"    {line}" if line and not line.startswith("    ") else line for line in body.splitlines()]
    return CHILD.format(body="\n".join(lines))


class Bench:
    """Records with one queued job, and a runner for a child with the given body."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = MemoryRecords()
        self.stop = threading.Event()

    def submit(self, **options) -> Job:
        with self.records.transaction() as tx:
            return queue.submit(tx, kind="train.asr", slot="cpu", **options)

    def job(self, job_id: str) -> Job:
        with self.records.transaction() as tx:
            return queue.get(tx, job_id)

    def command(self, code: str) -> Command:
        argv = [sys.executable, "-c", code, str(self.folder)]
        return Command(argv, self.folder / "job.log")

    def run(self, body: str, *, code: str = "", timing: Timing = FAST, **options) -> Job | None:
        return run_next(
            self.records,
            worker="w1",
            slots=["cpu"],
            launch=lambda job: self.command(code or program(body)),
            timing=timing,
            stop=self.stop,
            **options,
        )

    def run_beside(self, body: str, **options) -> tuple[threading.Thread, list[Job]]:
        ended: list[Job] = []
        thread = threading.Thread(target=lambda: ended.append(self.run(body, **options)))
        thread.start()
        return thread, ended

    def wait_for(self, name: str) -> str:
        deadline_s = time.monotonic() + 10
        while not (self.folder / name).exists() or not (self.folder / name).read_text():
            assert time.monotonic() < deadline_s, f"{name} was never written"
            time.sleep(0.01)
        return (self.folder / name).read_text()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


class TestEnds:
    def test_nothing_to_do(self, bench):
        assert bench.run("    return {}") is None

    def test_a_result(self, bench):
        bench.submit()
        heard, told = [], []
        job = bench.run(
            "    job.report('train', 0.5, eta_s=3, metrics={'loss': 1.5})\n    return {'wer': 0.25}",
            on_report=lambda job, report: heard.append((report.stage, dict(report.metrics))),
            on_end=lambda tx, job: told.append(tx.get(Job, job.job_id).state),
        )
        assert (job.state, dict(job.result), job.attempt) == (JobState.SUCCEEDED, {"wer": 0.25}, 1)
        assert heard == [("train", {"loss": 1.5})]
        assert told == [JobState.SUCCEEDED]

    def test_an_error_of_the_tree_keeps_code_and_hint(self, bench):
        bench.submit()
        job = bench.run("    raise errors.ConfigError('no recipe', code='config.missing', hint='Name one')")
        assert job.state is JobState.FAILED
        assert (job.error["code"], job.error["message"], job.error["hint"]) == (
            "config.missing",
            "no recipe",
            "Name one",
        )
        assert "ConfigError" in job.error["log_tail"]

    def test_an_error_nobody_foresaw_is_internal_with_its_traceback_kept(self, bench):
        bench.submit()
        job = bench.run("    return {'ratio': 1 / 0}")
        assert (job.state, job.error["code"]) == (JobState.FAILED, "internal")
        assert "ZeroDivisionError" in job.error["message"]
        assert "Traceback" in Path(job.error["log"]).read_text()

    def test_an_error_that_may_pass_queues_it_again(self, bench):
        bench.submit()
        job = bench.run("    raise errors.ResourceError('disk full', code='disk.full')")
        assert (job.state, job.error["code"]) == (JobState.QUEUED, "disk.full")
        assert bench.run("    return {}").attempt == 2

    def test_a_job_killed_from_outside_is_tried_again_and_in_the_end_given_up(self, bench):
        bench.submit(max_attempts=2)
        dies = "    os.kill(os.getpid(), signal.SIGKILL)"
        first = bench.run(dies)
        assert (first.state, first.error["code"]) == (JobState.QUEUED, "job.killed")
        assert "SIGKILL" in first.error["message"]
        assert bench.run(dies).state is JobState.FAILED

    def test_out_of_memory_is_said_as_such(self, bench, monkeypatch):
        counts = iter([3, 4])
        monkeypatch.setattr(runner, "oom_kills", lambda: next(counts))
        bench.submit()
        job = bench.run("    os.kill(os.getpid(), signal.SIGKILL)")
        assert (job.state, job.error["code"]) == (JobState.QUEUED, "job.out_of_memory")

    def test_a_memory_error_of_python_too(self, bench):
        bench.submit()
        assert bench.run("    raise MemoryError").error["code"] == "job.out_of_memory"

    def test_a_crash_before_it_could_speak_offers_the_last_line_of_its_log(self, bench):
        bench.submit()
        job = bench.run("", code="import no_such_module_of_ours")
        assert (job.state, job.error["code"]) == (JobState.FAILED, "job.crashed")
        assert "no_such_module_of_ours" in job.error["message"]

    def test_an_end_without_a_result_is_a_failure(self, bench):
        bench.submit()
        assert bench.run("", code="pass").error["code"] == "job.no_result"

    def test_a_program_that_is_not_there(self, bench):
        bench.submit(max_attempts=1)
        job = run_next(
            bench.records,
            worker="w1",
            slots=["cpu"],
            launch=lambda job: Command(["/no/such/program"], bench.folder / "job.log"),
            timing=FAST,
        )
        assert (job.state, job.error["code"]) == (JobState.FAILED, "job.not_started")

    def test_a_job_nobody_knows_how_to_launch_fails(self, bench):
        bench.submit()

        def launch(job):
            raise ConfigError("no such kind of job", code="job.kind")

        job = run_next(bench.records, worker="w1", slots=["cpu"], launch=launch, timing=FAST)
        assert (job.state, job.error["code"]) == (JobState.FAILED, "job.kind")

    def test_what_libraries_print_goes_to_the_log(self, bench):
        bench.submit()
        job = bench.run("    print('to stdout')\n    os.write(1, b'to fd 1')\n    return {}")
        assert job.state is JobState.SUCCEEDED
        log = (bench.folder / "job.log").read_text()
        assert "to stdout" in log
        assert "to fd 1" in log

    def test_what_the_child_started_ends_with_it(self, bench):
        bench.submit()
        bench.run(
            "    import subprocess\n"
            "    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "    (folder / 'other').write_text(str(other.pid))\n"
            "    os._exit(7)"
        )
        other, deadline_s = int(bench.wait_for("other")), time.monotonic() + 5
        while is_alive(other) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not is_alive(other)


class TestWhileItRuns:
    def test_the_heartbeat_renews_the_lease_and_shows_the_progress(self, bench):
        job_id = bench.submit().job_id
        thread, _ = bench.run_beside(UNTIL_STOPPED)
        bench.wait_for("pid")
        before = bench.job(job_id).lease_until
        time.sleep(0.3)
        job = bench.job(job_id)
        assert (job.stage, job.progress) == ("train", 0.5)
        assert job.lease_until > before
        bench.stop.set()
        thread.join()

    def test_cancel_lets_it_save_and_end(self, bench):
        job_id = bench.submit().job_id
        thread, ended = bench.run_beside(UNTIL_STOPPED)
        bench.wait_for("pid")
        with bench.records.transaction() as tx:
            queue.request_cancel(tx, job_id)
        thread.join(10)
        assert (bench.folder / "saved").exists()
        assert ended[0].state is JobState.CANCELLED

    def test_what_does_not_listen_is_killed_after_the_grace(self, bench):
        job_id = bench.submit().job_id
        deaf = "    (folder / 'pid').write_text('1')\n    time.sleep(60)\n    return {}"
        thread, ended = bench.run_beside(deaf, timing=replace(FAST, grace_s=0.2))
        bench.wait_for("pid")
        with bench.records.transaction() as tx:
            queue.request_cancel(tx, job_id)
        thread.join(10)
        assert ended[0].state is JobState.CANCELLED

    def test_a_worker_that_has_to_stop_gives_the_job_back(self, bench):
        bench.submit(max_attempts=1)
        thread, ended = bench.run_beside(UNTIL_STOPPED)
        bench.wait_for("pid")
        bench.stop.set()
        thread.join(10)
        assert (ended[0].state, ended[0].max_attempts) == (JobState.QUEUED, 2)
        assert (bench.folder / "saved").exists()

    def test_a_lost_lease_kills_the_child(self, bench):
        job_id = bench.submit().job_id
        thread, ended = bench.run_beside(UNTIL_STOPPED)
        pid = int(bench.wait_for("pid"))
        with bench.records.transaction() as tx:
            later = utc_now() + timedelta(hours=1)
            taken = queue.claim(tx, worker="w2", slots=["cpu"], lease_s=60, now=later)
        thread.join(10)
        assert not is_alive(pid)
        assert not (bench.folder / "saved").exists()
        assert (ended[0].worker, ended[0].attempt) == ("w2", taken.attempt)
        assert bench.job(job_id).state is JobState.RUNNING

    def test_records_that_cannot_be_reached_for_the_whole_lease_are_a_lost_lease(self, bench, monkeypatch):
        bench.submit()
        timing = replace(FAST, lease_s=0.5)
        thread, _ = bench.run_beside(UNTIL_STOPPED, timing=timing)
        pid = int(bench.wait_for("pid"))

        def refused(*_args, **_options):
            raise UnavailableError("the database is away")

        monkeypatch.setattr(queue, "heartbeat", refused)
        thread.join(10)
        assert not thread.is_alive()
        assert not is_alive(pid)

    def test_a_child_that_outlived_its_runner_is_waited_for(self, bench):
        """A suspended runner loses its lease while its child goes on: there are never two."""
        job_id = bench.submit().job_id
        earlier = Process(bench.command(program(UNTIL_STOPPED)))
        bench.wait_for("pid")
        thread, ended = bench.run_beside("    return {'second': 1}")
        time.sleep(0.3)
        assert "earlier" in bench.job(job_id).stage
        earlier.kill()
        earlier.wait()
        thread.join(10)
        assert dict(ended[0].result) == {"second": 1}


class TestDeathOfTheRunner:
    def test_the_child_dies_with_it(self, bench):
        """Killed with SIGKILL, a runner can tell nobody; the kernel does."""
        code = (
            "import sys; from pathlib import Path; from phonoloop.jobs.process import Command, Process\n"
            f"Process(Command([sys.executable, '-c', {program(UNTIL_STOPPED)!r}, {str(bench.folder)!r}],"
            f" Path({str(bench.folder / 'job.log')!r}))).wait()"
        )
        outer = Process(Command([sys.executable, "-c", code], bench.folder / "outer.log"))
        pid = int(bench.wait_for("pid"))
        os.kill(outer.pid, signal.SIGKILL)
        outer.wait()
        deadline_s = time.monotonic() + 5
        while is_alive(pid) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not is_alive(pid)


class TestWork:
    def test_one_job_after_the_other_until_told_to_stop(self, bench):
        jobs = [bench.submit() for _ in range(2)]
        thread = threading.Thread(
            target=work,
            args=(bench.records,),
            kwargs={
                "stop": bench.stop,
                "idle_s": 0.02,
                "worker": "w1",
                "slots": ["cpu"],
                "launch": lambda job: bench.command(program("    return {}")),
                "timing": FAST,
            },
        )
        thread.start()
        deadline_s = time.monotonic() + 10
        while any(not bench.job(job.job_id).state.ended for job in jobs):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        bench.stop.set()
        thread.join(10)
        assert {bench.job(job.job_id).state for job in jobs} == {JobState.SUCCEEDED}

    def test_an_error_is_logged_and_the_next_try_goes_on(self, bench, monkeypatch, caplog):
        tries = []

        def broken(*_args, **_options):
            tries.append(1)
            if len(tries) == 3:
                bench.stop.set()
            raise UnavailableError("the database is away")

        monkeypatch.setattr(runner, "run_next", broken)
        work(bench.records, stop=bench.stop, idle_s=0.01, worker="w1")
        assert len(tries) == 3
        assert "the database is away" in caplog.text
