"""What every kind of records does.

A test class inherits from the suite and gives it a fixture `make`: a function that opens the records of
this test. Called again it opens the same ones again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from phonoloop.core.errors import ConflictError, InputError, SplitConflictError, UnavailableError
from phonoloop.core.events import Event
from phonoloop.core.ports import Records
from phonoloop.data.model import (
    Clip,
    ClipStatus,
    IntakeOutcome,
    Processed,
    Provenance,
    Recording,
    Snapshot,
    Speaker,
    Split,
    Transcript,
)
from phonoloop.jobs.model import Job, JobState
from phonoloop.registry.model import Champion, Decision, TrainingRun, Verdict
from phonoloop.testing.entities import NOON, a_clip, a_recording, a_speaker

Make = Callable[[], Records]


class Listener:
    """A bus that only hears what is published."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def publish(self, events) -> None:
        self.heard.extend(events)


class StoringContract:
    """Entities go in and come out the same."""

    @pytest.mark.parametrize(
        "entity",
        [
            a_speaker(attributes={"dialect": "Huế", "age": 31, "tags": ["a", None, 1.5]}, weak=True),
            Transcript(
                audio_id="r",
                revision=2,
                text="Một\nhai “ba” 🎤",
                provenance=Provenance.SIDECAR,
                segments=({"start_ms": 0, "end_ms": 10, "text": "Một", "confidence": 0.5},),
            ),
            Snapshot(
                snapshot_id="s",
                manifests={"train": "k"},
                clips=2**40,
                hours={"train": 0.1},
                hours_by_provenance={},
                speakers={"train": 1},
                rules={"deep": {"er": [True, None]}},
            ),
            Job(
                job_id="j", kind="train.asr", slot="cpu:0", lease_until=NOON, eta_s=None, error={"code": "x"}
            ),
            TrainingRun(
                run_id="20261120-120000",
                kind="asr",
                job_id="j",
                snapshot_id="s",
                recipe={"lr": 1e-3},
                seed=7,
                code_version="0.1.0",
                started_at=NOON,
            ),
            Champion(kind="asr", model_id="m", since=NOON),
            Verdict(
                verdict_id="v",
                kind="asr",
                candidate_id="m",
                champion_id="",
                golden_set="g",
                golden_sha256="0",
                decision=Decision.NOT_ENOUGH_EVIDENCE,
                promoted=False,
                reason="too few",
            ),
            Processed(key="c/1"),
        ],
        ids=lambda entity: type(entity).__name__,
    )
    def test_what_was_put_is_what_one_gets(self, make: Make, entity):
        key = next(iter(type(entity).__slots__))
        with make().transaction() as tx:
            tx.put(entity)
        with make().transaction() as tx:
            found = tx.get(type(entity), getattr(entity, key))
        assert found == entity
        assert type(found) is type(entity)

    def test_enumerations_come_back_as_such_and_times_in_utc(self, make: Make):
        hanoi = datetime(2026, 11, 20, 19, 0, 0, 1, tzinfo=timezone(timedelta(hours=7)))
        with make().transaction() as tx:
            tx.put(a_speaker(created_at=hanoi))
            found = tx.get(Speaker, "lan")
        assert found.split is Split.TRAIN
        assert found.created_at == hanoi
        assert found.created_at.tzinfo is UTC

    def test_what_is_not_there_is_none(self, make: Make):
        with make().transaction() as tx:
            assert tx.get(Speaker, "nobody") is None

    def test_putting_again_replaces(self, make: Make):
        with make().transaction() as tx:
            tx.put(a_speaker(name="Lan"))
            tx.put(a_speaker(name="Mai"))
            assert tx.get(Speaker, "lan").name == "Mai"
            assert tx.total(Speaker) == 1

    def test_adding_keeps_what_is_there_and_says_so(self, make: Make):
        with make().transaction() as tx:
            assert tx.add(a_speaker(name="Lan")) is True
            assert tx.add(a_speaker(name="Mai")) is False
            assert tx.get(Speaker, "lan").name == "Lan"

    def test_deleting_forgets_and_twice_is_once(self, make: Make):
        with make().transaction() as tx:
            tx.put(a_speaker())
            tx.delete(Speaker, "lan")
            tx.delete(Speaker, "lan")
            assert tx.get(Speaker, "lan") is None

    def test_changing_what_was_given_changes_nothing_recorded(self, make: Make):
        attributes = {"tags": ["a"]}
        with make().transaction() as tx:
            tx.put(a_speaker(attributes=attributes))
            attributes["tags"].append("b")
            assert tx.get(Speaker, "lan").attributes == {"tags": ["a"]}

    @pytest.mark.parametrize(
        "wrong",
        [
            a_speaker(name="a\0b"),
            a_speaker(name="half \ud800"),
            a_speaker(name=None),
            a_speaker(attributes={"x": float("nan")}),
            a_speaker(attributes={"x": object()}),
            a_speaker(created_at=datetime(2026, 1, 1)),
            a_speaker(split="holdout"),
        ],
        ids=["NUL", "surrogate", "none", "nan", "not JSON", "naive time", "no such split"],
    )
    def test_what_no_database_could_keep_is_refused(self, make: Make, wrong):
        records = make()
        with records.transaction() as tx, pytest.raises(InputError) as refusal:
            tx.put(wrong)
        assert refusal.value.code == "records.value"
        with records.transaction() as tx:
            assert tx.total(Speaker) == 0

    def test_a_class_that_is_not_recorded_is_refused(self, make: Make):
        with make().transaction() as tx, pytest.raises(InputError) as refusal:
            tx.get(Listener, "x")
        assert refusal.value.code == "records.unknown_kind"


class FindingContract:
    """Criteria, order, sums."""

    @pytest.fixture
    def filled(self, make: Make) -> Records:
        jobs = [
            Job(job_id="a", kind="x", slot="cpu:0", attempt=3, created_at=NOON),
            Job(job_id="b", kind="x", slot="cpu:1", attempt=1, eta_s=2.5, worker="w"),
            Job(job_id="c", kind="y", slot="cpu:0", attempt=2, eta_s=1.0, state=JobState.FAILED),
            Job(job_id="D", kind="y", slot="cpu:0", attempt=2, lease_until=NOON),
        ]
        records = make()
        with records.transaction() as tx:
            tx.put(*jobs)
        return records

    @pytest.mark.parametrize(
        ("criteria", "keys"),
        [
            ({}, "Dabc"),
            ({"kind": "x"}, "ab"),
            ({"kind": "x", "slot": "cpu:1"}, "b"),
            ({"state": JobState.FAILED}, "c"),
            ({"state": "failed"}, "c"),
            ({"state__in": [JobState.FAILED, JobState.RUNNING]}, "c"),
            ({"state__in": []}, ""),
            ({"eta_s": None}, "Da"),
            ({"eta_s__in": [None, 1.0]}, "Dac"),
            ({"eta_s__gt": 1.0}, "b"),
            ({"eta_s__lt": None}, ""),
            ({"attempt__gte": 2}, "Dac"),
            ({"attempt__gt": 1, "attempt__lt": 3}, "Dc"),
            ({"attempt__lte": 1}, "b"),
            ({"job_id__gt": "a"}, "bc"),
            ({"lease_until__lte": NOON}, "D"),
            ({"lease_until__lt": NOON}, ""),
            ({"cancel_requested": False}, "Dabc"),
            ({"worker": ""}, "Dac"),
        ],
        ids=str,
    )
    def test_criteria(self, filled: Records, criteria, keys):
        with filled.transaction() as tx:
            assert "".join(job.job_id for job in tx.find(Job, **criteria)) == keys
            assert tx.total(Job, **criteria) == len(keys)

    @pytest.mark.parametrize(
        ("order", "keys"),
        [
            ({"order_by": "attempt"}, "bDca"),
            ({"order_by": "attempt", "descending": True}, "acDb"),
            ({"descending": True}, "cbaD"),
            ({"order_by": "eta_s"}, "Dacb"),
            ({"order_by": "eta_s", "descending": True}, "bcaD"),
            ({"order_by": "attempt", "limit": 2}, "bD"),
            ({"limit": 0}, ""),
        ],
        ids=str,
    )
    def test_order_is_by_the_field_then_the_key_with_nothing_before_something(self, filled, order, keys):
        with filled.transaction() as tx:
            assert "".join(job.job_id for job in tx.find(Job, **order)) == keys

    def test_sums(self, filled: Records):
        with filled.transaction() as tx:
            assert tx.total(Job, "attempt") == 8
            assert tx.total(Job, "eta_s") == 3.5
            assert tx.total(Job, "attempt", kind="x") == 4
            assert tx.total(Job, "attempt", kind="none") == 0

    @pytest.mark.parametrize(
        "search",
        [
            lambda tx: tx.find(Job, colour="red"),
            lambda tx: tx.find(Job, kind__like="x"),
            lambda tx: tx.find(Job, params={}),
            lambda tx: tx.find(Job, order_by="colour"),
            lambda tx: tx.find(Job, order_by="result"),
            lambda tx: tx.total(Job, "colour"),
            lambda tx: tx.total(Job, "kind"),
            lambda tx: tx.total(Job, colour="red"),
        ],
    )
    def test_a_field_that_is_none_is_an_error_and_not_ignored(self, filled: Records, search):
        with filled.transaction() as tx, pytest.raises(InputError) as refusal:
            search(tx)
        assert refusal.value.code == "records.unknown_field"


class UnitOfWorkContract:
    """All of it or nothing, with its events."""

    def test_an_error_takes_everything_back(self, make: Make):
        records = make()
        with records.transaction() as tx:
            tx.put(a_speaker("old", name="before"))
        with pytest.raises(ZeroDivisionError):
            _write_and_fail(records)
        with records.transaction() as tx:
            assert [s.name for s in tx.find(Speaker)] == ["before"]
        assert records.drain_outbox(Listener()) == 0

    def test_a_refused_put_of_several_keeps_none_and_the_work_goes_on(self, make: Make):
        with make().transaction() as tx:
            tx.put(a_speaker("mai", Split.VAL))
            with pytest.raises(SplitConflictError):
                tx.put(a_recording("r1", "mai", Split.VAL), a_recording("r2", "mai", Split.TRAIN))
            assert tx.find(Recording) == []
            tx.put(a_recording("r1", "mai", Split.VAL))
        with make().transaction() as tx:
            assert [r.audio_id for r in tx.find(Recording)] == ["r1"]

    def test_a_unit_of_work_inside_another_is_refused_at_once(self, make: Make):
        records = make()
        with records.transaction() as tx:
            with pytest.raises(ConflictError) as refusal, records.transaction():
                pytest.fail("it was begun")
            assert refusal.value.code == "records.nested"
            tx.put(a_speaker())
        with records.transaction() as tx:
            assert tx.total(Speaker) == 1

    def test_events_are_published_in_order_and_forgotten(self, make: Make):
        records, listener = make(), Listener()
        events = [Event("t", str(i), {"text": "chào"}) for i in range(5)]
        with records.transaction() as tx:
            for event in events:
                tx.emit(event)
        assert records.drain_outbox(listener, limit=3) == 3
        assert records.drain_outbox(listener, limit=3) == 2
        assert records.drain_outbox(listener) == 0
        assert listener.heard == events

    def test_events_stay_where_publishing_fails(self, make: Make):
        class Deaf(Listener):
            def publish(self, events) -> None:
                raise UnavailableError("nobody there")

        records, listener = make(), Listener()
        with records.transaction() as tx:
            tx.emit(Event("t", "s", {}))
        with pytest.raises(UnavailableError):
            records.drain_outbox(Deaf())
        assert records.drain_outbox(listener) == 1

    def test_units_of_work_of_many_threads_are_serialisable(self, make: Make):
        records = make()
        with records.transaction() as tx:
            tx.put(Job(job_id="counter", kind="k", slot="s"))

        def count() -> None:
            for _ in range(10):
                _until_kept(records, _increment)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with records.transaction() as tx:
            assert tx.get(Job, "counter").attempt == 40

    def test_closed_is_closed(self, make: Make):
        records = make()
        records.close()
        with pytest.raises(UnavailableError), records.transaction():
            pytest.fail("it was begun")


def _increment(tx) -> None:
    job = tx.get(Job, "counter")
    tx.put(replace(job, attempt=job.attempt + 1))


def _until_kept(records: Records, work) -> None:
    while True:
        try:
            with records.transaction() as tx:
                work(tx)
            return
        except UnavailableError as error:
            if error.code != "records.conflict":
                raise


def _write_and_fail(records: Records) -> None:
    with records.transaction() as tx:
        tx.put(a_speaker("old", name="after"), a_speaker("new"))
        tx.delete(Speaker, "old")
        tx.emit(Event("t", "s", {}))
        raise ZeroDivisionError


class RulesContract:
    """No speaker in two splits; machine text is not tested on; one running job a slot."""

    @pytest.fixture
    def recorded(self, make: Make) -> Records:
        records = make()
        with records.transaction() as tx:
            tx.put(a_speaker("lan", Split.TRAIN), a_speaker("mai", Split.TEST))
            tx.put(a_recording("r1", "lan", Split.TRAIN), a_recording("r2", "mai", Split.TEST))
            tx.put(a_clip("r1"), a_clip("r2", speaker_id="mai", split=Split.TEST))
        return records

    def test_a_speaker_without_recordings_may_change_split(self, make: Make):
        with make().transaction() as tx:
            tx.put(a_speaker(split=Split.TRAIN))
            tx.put(a_speaker(split=Split.VAL))
            assert tx.get(Speaker, "lan").split is Split.VAL

    @pytest.mark.parametrize(
        "entity",
        [
            a_speaker("lan", Split.VAL),
            a_recording("r1", "lan", Split.VAL),
            a_recording("r3", "lan", Split.VAL),
            a_recording("r1", "mai", Split.TEST),
            a_clip("r1", split=Split.VAL),
            a_clip("r1", 16_000, split=Split.VAL),
            a_clip("r1", speaker_id="mai", split=Split.TEST),
            a_clip("r1", 16_000, speaker_id="mai", split=Split.TRAIN),
        ],
        ids=[
            "speaker changes split",
            "recording changes split",
            "new recording",
            "recording with clips changes speaker and split",
            "clip changes split",
            "new clip",
            "clip changes speaker and split",
            "clip of another speaker",
        ],
    )
    def test_a_speaker_in_two_splits_is_refused(self, recorded: Records, entity):
        with recorded.transaction() as tx, pytest.raises(SplitConflictError) as refusal:
            tx.put(entity)
        assert refusal.value.code == "split.conflict"
        assert refusal.value.subject
        with recorded.transaction() as tx:
            assert tx.total(Recording) == tx.total(Clip) == 2
            assert tx.get(Speaker, "lan").split is Split.TRAIN
            assert tx.get(Recording, "r1").speaker_id == "lan"

    def test_adding_what_is_there_is_no_conflict_whatever_it_says(self, recorded: Records):
        with recorded.transaction() as tx:
            assert tx.add(a_recording("r1", "lan", Split.VAL)) is False
            assert tx.get(Recording, "r1").split is Split.TRAIN

    def test_everything_else_about_a_speaker_may_change(self, recorded: Records):
        with recorded.transaction() as tx:
            tx.put(a_speaker("lan", Split.TRAIN, name="Lan Anh"))
            tx.put(a_clip("r1", text="chào", status=ClipStatus.ACCEPTED, provenance=Provenance.MACHINE))
            assert tx.get(Speaker, "lan").name == "Lan Anh"

    def test_adding_a_clip_in_the_wrong_split_is_refused(self, recorded: Records):
        with recorded.transaction() as tx, pytest.raises(SplitConflictError):
            tx.add(a_clip("r1", 16_000, split=Split.TEST))

    @pytest.mark.parametrize("start", [0, 16_000], ids=["changed", "new"])
    def test_machine_text_is_not_accepted_for_testing(self, recorded: Records, start):
        clip = a_clip(
            "r2",
            start,
            speaker_id="mai",
            split=Split.TEST,
            status=ClipStatus.ACCEPTED,
            provenance=Provenance.MACHINE,
        )
        with recorded.transaction() as tx:
            with pytest.raises(ConflictError) as refusal:
                tx.put(clip)
            tx.put(replace(clip, status=ClipStatus.WAITING))
            tx.put(replace(clip, provenance=Provenance.HUMAN))
        assert refusal.value.code == "split.machine_text"

    @pytest.mark.parametrize(
        "entity", [a_recording("r3", "nobody"), a_clip("r9"), a_clip("r1", speaker_id="nobody")]
    )
    def test_nothing_refers_to_what_is_not_there(self, recorded: Records, entity):
        with recorded.transaction() as tx, pytest.raises(ConflictError) as refusal:
            tx.put(entity)
        assert refusal.value.code == "records.reference"

    @pytest.mark.parametrize(("kind", "key"), [(Speaker, "lan"), (Recording, "r1")])
    def test_what_is_referred_to_is_not_deleted(self, recorded: Records, kind, key):
        with recorded.transaction() as tx, pytest.raises(ConflictError) as refusal:
            tx.delete(kind, key)
        assert refusal.value.code == "records.reference"

    def test_clips_then_recording_then_speaker_can_be_deleted(self, recorded: Records):
        with recorded.transaction() as tx:
            for clip in tx.find(Clip, speaker_id="lan"):
                tx.delete(Clip, clip.clip_id)
            tx.delete(Recording, "r1")
            tx.delete(Speaker, "lan")
            assert tx.total(Speaker) == 1

    def test_one_job_runs_on_a_slot(self, make: Make):
        running = Job(job_id="a", kind="k", slot="cuda:0", state=JobState.RUNNING)
        with make().transaction() as tx:
            tx.put(running, replace(running, job_id="b", state=JobState.QUEUED))
            tx.put(replace(running, progress=0.5))
            with pytest.raises(ConflictError) as refusal:
                tx.put(replace(running, job_id="b"))
            tx.put(replace(running, job_id="c", slot="cuda:1"))
            tx.put(replace(running, state=JobState.SUCCEEDED))
            tx.put(replace(running, job_id="b"))
        assert refusal.value.code == "job.slot_taken"

    def test_many_outcomes_go_in_at_once(self, make: Make):
        outcomes = [IntakeOutcome(outcome_id=f"{i:04d}", name="f", status="ingested") for i in range(500)]
        with make().transaction() as tx:
            tx.put(*outcomes)
        with make().transaction() as tx:
            assert tx.find(IntakeOutcome, status="ingested") == outcomes


class RecordsContract(StoringContract, FindingContract, UnitOfWorkContract, RulesContract):
    """The whole of it."""
