"""What starts a training by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.errors import ConfigError
from phonoloop.jobs import queue, triggers
from phonoloop.jobs.model import Job
from phonoloop.jobs.triggers import DAILY, Work, due

BERLIN = ZoneInfo("Europe/Berlin")
SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")
WORK = Work(kind="train.asr", slot="cpu", params={"recipe": "small"})
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def local(zone: ZoneInfo, *when: int, fold: int = 0) -> datetime:
    return datetime(*when, tzinfo=zone, fold=fold)


class TestDue:
    def test_not_before_two_oclock(self):
        before = local(SAIGON, 2026, 11, 20, 1, 59)
        assert due(DAILY, local(SAIGON, 2026, 11, 19, 2), before, SAIGON) is None

    def test_at_two_oclock_sharp_local_time(self):
        now = local(SAIGON, 2026, 11, 20, 2)
        assert due(DAILY, local(SAIGON, 2026, 11, 19, 2), now, SAIGON) == now
        assert now.astimezone(UTC).hour == 19

    def test_not_again_after_it_fired(self):
        fired = local(SAIGON, 2026, 11, 20, 2)
        assert due(DAILY, fired, fired + timedelta(hours=5), SAIGON) is None

    def test_many_missed_are_one(self):
        now = local(SAIGON, 2026, 11, 20, 9)
        assert due(DAILY, LONG_AGO, now, SAIGON) == local(SAIGON, 2026, 11, 20, 2)

    def test_before_the_first_start_nothing_was_missed(self):
        assert due(DAILY, None, local(SAIGON, 2026, 11, 20, 9), SAIGON) is None

    def test_an_hour_that_comes_twice_counts_the_first_time(self):
        """Berlin, 25 October 2026: 03:00 becomes 02:00."""
        first = local(BERLIN, 2026, 10, 25, 2, 30, fold=0).astimezone(UTC)
        again = local(BERLIN, 2026, 10, 25, 2, 30, fold=1).astimezone(UTC)
        assert due("30 2 * * *", LONG_AGO, again - timedelta(minutes=20), BERLIN) == first
        assert due("30 2 * * *", first, again, BERLIN) is None

    def test_an_hour_that_is_skipped_counts_after_the_gap(self):
        """Berlin, 29 March 2026: 02:00 becomes 03:00."""
        yesterday = local(BERLIN, 2026, 3, 28, 2, 30)
        assert due("30 2 * * *", yesterday, local(BERLIN, 2026, 3, 29, 3, 29), BERLIN) is None
        now = local(BERLIN, 2026, 3, 29, 3, 30)
        assert due("30 2 * * *", yesterday, now, BERLIN) == now

    @pytest.mark.parametrize("cron", ["", "at two", "0 2 * *", "0 25 * * *", "0 2 30 2 *", "0 0 2 * * *"])
    def test_what_is_no_time_is_refused(self, cron):
        with pytest.raises(ConfigError) as refused:
            due(cron, LONG_AGO, datetime(2026, 1, 1, tzinfo=UTC), UTC)
        assert refused.value.code == "trigger.cron"


class TestZone:
    def test_by_name(self):
        assert triggers.local_zone("Asia/Ho_Chi_Minh") == SAIGON

    def test_by_the_environment(self, monkeypatch):
        monkeypatch.setenv("TZ", ":Europe/Berlin")
        assert triggers.local_zone() == BERLIN

    def test_of_the_machine(self, monkeypatch):
        monkeypatch.delenv("TZ", raising=False)
        now = datetime.now(UTC)
        assert now.astimezone(triggers.local_zone()).utcoffset() == now.astimezone().utcoffset()

    @pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "Europe"])
    def test_unknown(self, name):
        with pytest.raises(ConfigError) as refused:
            triggers.local_zone(name)
        assert refused.value.code == "trigger.zone"


class TestSchedule:
    @pytest.fixture
    def records(self):
        return MemoryRecords()

    def look(self, records, *when: int, new: bool = True, zone=SAIGON):
        with records.transaction() as tx:
            return triggers.on_schedule(
                tx, WORK, cron=DAILY, tz=zone, anything_new=lambda _tx: new, now=local(zone, *when)
            )

    def jobs(self, records) -> list[Job]:
        with records.transaction() as tx:
            return tx.find(Job)

    def test_the_first_start_only_arms_it(self, records):
        assert self.look(records, 2026, 11, 20, 9) is None
        assert self.jobs(records) == []

    def test_the_next_occurrence_starts_one_job(self, records):
        self.look(records, 2026, 11, 20, 9)
        firing = self.look(records, 2026, 11, 21, 2, 0, 1)
        assert (firing.cause, firing.new) == ("cron/train.asr/2026-11-21", True)
        assert (firing.job.kind, firing.job.slot, dict(firing.job.params)) == (
            "train.asr",
            "cpu",
            {"recipe": "small"},
        )
        assert self.look(records, 2026, 11, 21, 2, 0, 2) is None
        assert self.look(records, 2026, 11, 21, 23) is None
        assert len(self.jobs(records)) == 1

    def test_missed_ones_are_made_up_for_once(self, records):
        self.look(records, 2026, 11, 20, 9)
        firing = self.look(records, 2026, 11, 29, 16)
        assert firing.cause == "cron/train.asr/2026-11-29"
        assert self.look(records, 2026, 11, 29, 17) is None
        assert len(self.jobs(records)) == 1

    def test_nothing_new_starts_nothing_and_says_so(self, records):
        self.look(records, 2026, 11, 20, 9)
        firing = self.look(records, 2026, 11, 21, 3, new=False)
        assert (firing.job, firing.reason) == (None, "nothing new since the last training")
        assert self.look(records, 2026, 11, 21, 4, new=True) is None
        assert self.look(records, 2026, 11, 22, 3, new=True).new

    def test_a_clock_that_is_set_back_fires_nothing_twice(self, records):
        self.look(records, 2026, 11, 20, 9)
        self.look(records, 2026, 11, 21, 3)
        assert self.look(records, 2026, 11, 21, 1) is None
        assert self.look(records, 2026, 11, 21, 3) is None

    def test_a_job_that_still_waits_is_not_doubled(self, records):
        self.look(records, 2026, 11, 20, 9)
        first = self.look(records, 2026, 11, 21, 3)
        second = self.look(records, 2026, 11, 22, 3)
        assert (second.job.job_id, second.new) == (first.job.job_id, False)
        assert "waiting" in second.reason


class TestHours:
    def test_below_the_threshold_nothing_starts(self):
        with MemoryRecords().transaction() as tx:
            firing = triggers.on_hours(tx, WORK, subject="s1", hours=3.2, threshold_hours=5)
            assert (firing.job, firing.reason) == (None, "3.20 of 5 hours")
            assert tx.total(Job) == 0

    def test_one_subject_starts_one_job(self):
        with MemoryRecords().transaction() as tx:
            first = triggers.on_hours(tx, WORK, subject="s1", hours=5, threshold_hours=5)
            running = queue.claim(tx, worker="w", slots=["cpu"], lease_s=60)
            again = triggers.on_hours(tx, WORK, subject="s1", hours=6, threshold_hours=5)
            other = triggers.on_hours(tx, WORK, subject="s2", hours=10, threshold_hours=5)
            assert first.new
            assert (again.job.job_id, again.new) == (running.job_id, False)
            assert (other.cause, other.new) == ("hours/train.asr/s2", True)


class TestCommand:
    def test_a_request_sent_again_starts_nothing_more(self):
        with MemoryRecords().transaction() as tx:
            first = triggers.on_command(tx, WORK, request="r1")
            queue.claim(tx, worker="w", slots=["cpu"], lease_s=60)
            again = triggers.on_command(tx, WORK, request="r1")
            assert (again.job.job_id, again.new) == (first.job.job_id, False)

    def test_other_work_is_another_job(self):
        with MemoryRecords().transaction() as tx:
            triggers.on_command(tx, WORK)
            assert triggers.on_command(tx, Work("train.asr", "cpu", {"recipe": "base"})).new
            assert tx.total(Job) == 2
