"""Consumers of events: delivered at least once, effects once."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.adapters.bus_memory import MemoryEventBus
from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.errors import AudioError, CancelledError, ResourceError, UnavailableError
from phonoloop.core.events import RECORDING_INGESTED, TRANSCRIPTION_COMPLETED, Event
from phonoloop.data.model import AuditEntry, Processed
from phonoloop.jobs.consumer import Backoff, Consumer, ConsumerThreads, run_once, run_until_idle

INGESTED = Event(RECORDING_INGESTED, "a1", {"n": 1})


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def bus(clock):
    bus = MemoryEventBus(max_attempts=3, clock=clock)
    bus.publish([INGESTED])
    return bus


def consumer(handle, **options) -> Consumer:
    return Consumer("transcribe", [RECORDING_INGESTED], handle, Processed, **options)


class Transcribing:
    """A stage: one row and one event for each recording."""

    def __init__(self, records: MemoryRecords) -> None:
        self.records = records
        self.seen: list[str] = []

    def __call__(self, event: Event, once) -> None:
        self.seen.append(event.subject)
        with self.records.transaction() as tx:
            if once(tx):
                tx.put(
                    AuditEntry(
                        audit_id=f"row-{event.subject}", actor="test", action="t", subject=event.subject
                    )
                )
                tx.emit(Event(TRANSCRIPTION_COMPLETED, event.subject, {}))

    def effects(self) -> int:
        with self.records.transaction() as tx:
            return int(tx.total(AuditEntry))


def raising(error: Exception):
    def handle(event: Event, once) -> None:
        raise error

    return handle


class TestDelivery:
    def test_a_handled_event_is_settled_and_its_effects_are_there(self, records, bus):
        stage = Transcribing(records)
        assert run_once(records, bus, consumer(stage)) == 1
        assert run_once(records, bus, consumer(stage)) == 0
        assert stage.effects() == 1
        records.drain_outbox(bus)
        assert [entry.event.type for entry in bus.tail()] == [RECORDING_INGESTED, TRANSCRIPTION_COMPLETED]

    def test_an_event_that_comes_again_does_nothing(self, records, bus, clock, monkeypatch):
        """Killed between the commit and the acknowledgement."""
        stage = Transcribing(records)
        with monkeypatch.context() as patch:
            patch.setattr(bus, "ack", lambda delivery: None)
            run_once(records, bus, consumer(stage))
        clock.forward(61)
        assert run_once(records, bus, consumer(stage)) == 1
        assert (stage.seen, stage.effects()) == (["a1"], 1)
        clock.forward(61)
        assert run_once(records, bus, consumer(stage)) == 0

    def test_two_deliveries_at_once_have_one_effect(self, records, bus, clock):
        """The lease ended while the first was still at it."""
        stage = Transcribing(records)

        def slow(event, once):
            clock.forward(61)
            if len(stage.seen) == 0:
                stage.seen.append("slow")
                run_once(records, bus, consumer(stage))
            stage(event, once)

        run_once(records, bus, consumer(slow))
        assert stage.seen == ["slow", "a1", "a1"]
        assert stage.effects() == 1

    def test_a_stage_that_fails_leaves_nothing_behind(self, records, bus):
        def handle(event, once):
            with records.transaction() as tx:
                assert once(tx)
                tx.emit(Event(TRANSCRIPTION_COMPLETED, event.subject, {}))
                raise UnavailableError("the disk went away")

        run_once(records, bus, consumer(handle))
        assert records.drain_outbox(bus) == 0
        with records.transaction() as tx:
            assert tx.total(Processed) == 0

    def test_every_consumer_has_its_own_mark(self, records, bus):
        stage = Transcribing(records)
        for name in ("one", "two"):
            run_once(records, bus, Consumer(name, [RECORDING_INGESTED], stage, Processed))
        assert len(stage.seen) == 2

    def test_at_most_limit_at_a_time(self, records, bus):
        bus.publish([Event(RECORDING_INGESTED, f"b{n}", {}) for n in range(5)])
        stage = Transcribing(records)
        assert run_once(records, bus, consumer(stage), limit=4) == 4
        assert stage.seen == ["a1", "b0", "b1", "b2"]


class TestErrors:
    def test_what_may_pass_is_tried_again_later_and_later(self, records, bus, clock):
        failing = consumer(
            raising(ResourceError("full", code="disk.full")), backoff=Backoff(first_s=10, most_s=99)
        )
        run_once(records, bus, failing)
        clock.forward(4.9)
        assert run_once(records, bus, failing) == 0
        clock.forward(5.2)
        assert run_once(records, bus, failing) == 1
        clock.forward(9.9)
        assert run_once(records, bus, failing) == 0

    def test_in_the_end_it_is_a_dead_letter_with_its_reason_and_can_be_replayed(self, records, bus, clock):
        failing = consumer(raising(ResourceError("full", code="disk.full")))
        for _ in range(3):
            run_once(records, bus, failing)
            clock.forward(1000)
        (letter,) = bus.dead()
        assert (letter.code, letter.reason, letter.attempts) == ("disk.full", "full", 3)
        stage = Transcribing(records)
        bus.replay(letter.letter_id)
        run_once(records, bus, consumer(stage))
        assert stage.effects() == 1

    def test_what_cannot_be_helped_is_a_dead_letter_at_once(self, records, bus):
        run_once(
            records,
            bus,
            consumer(
                raising(AudioError("it is empty", code="audio.empty", subject="a.wav", hint="Record anew"))
            ),
        )
        (letter,) = bus.dead("transcribe")
        assert (letter.code, letter.attempts) == ("audio.empty", 1)
        assert letter.reason == "a.wav: it is empty. Record anew"

    def test_what_nobody_foresaw_is_logged_and_tried_again(self, records, bus, clock, caplog):
        failing = consumer(raising(KeyError("speaker")))
        for _ in range(3):
            assert run_once(records, bus, failing) == 1
            clock.forward(1000)
        (letter,) = bus.dead()
        assert (letter.code, letter.reason) == ("internal", "KeyError: 'speaker'")
        assert "Traceback" in caplog.text

    def test_one_bad_event_does_not_stop_the_next(self, records, bus):
        bus.publish([Event(RECORDING_INGESTED, "good", {})])
        stage = Transcribing(records)

        def handle(event, once):
            if event.subject == "a1":
                raise ValueError("bad")
            stage(event, once)

        run_once(records, bus, consumer(handle), limit=2)
        assert stage.seen == ["good"]

    def test_what_was_stopped_is_delivered_again_at_once(self, records, bus):
        run_once(records, bus, consumer(raising(CancelledError("shutting down"))))
        stage = Transcribing(records)
        assert run_once(records, bus, consumer(stage)) == 1
        assert bus.dead() == []

    def test_an_interrupt_is_nobodys_error(self, records, bus, clock):
        with pytest.raises(KeyboardInterrupt):
            run_once(records, bus, consumer(raising(KeyboardInterrupt())))
        clock.forward(61)
        assert run_once(records, bus, consumer(Transcribing(records))) == 1


class TestBackoff:
    @settings(deadline=None)
    @given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1))
    def test_between_half_and_all_of_a_doubling_time_up_to_the_most(self, attempt, chance):
        backoff = Backoff(first_s=2, most_s=300)
        full = min(300.0, 2.0 * 2.0 ** min(attempt - 1, 20))
        assert full / 2 <= backoff.delay_s(attempt, chance) <= full


def two_stages(records) -> tuple[Transcribing, list[str], list[Consumer]]:
    stage, corrected = Transcribing(records), []

    def correct(event, once):
        with records.transaction() as tx:
            if once(tx):
                corrected.append(event.subject)

    return (
        stage,
        corrected,
        [
            Consumer("correct", [TRANSCRIPTION_COMPLETED], correct, Processed),
            consumer(stage),
        ],
    )


def test_run_until_idle_goes_through_all_stages(records, bus):
    stage, corrected, consumers = two_stages(records)
    bus.publish([Event(RECORDING_INGESTED, "a2", {})])
    assert run_until_idle(records, bus, consumers) == 4
    assert (stage.seen, corrected) == (["a1", "a2"], ["a1", "a2"])
    assert run_until_idle(records, bus, consumers) == 0


def wait_until(condition) -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < 10
        time.sleep(0.002)
    return time.monotonic() - began_s


class TestThreads:
    def test_they_have_names_and_end_when_told(self, records, bus):
        _, _, consumers = two_stages(records)
        threads = ConsumerThreads(records, bus, consumers)
        threads.start()
        names = {thread.name for thread in threading.enumerate()}
        assert {"outbox-relay", "consumer-transcribe", "consumer-correct"} <= names
        assert threads.stop() == []
        assert not names & {"outbox-relay"} & {thread.name for thread in threading.enumerate()}

    def test_a_wake_goes_through_all_stages_without_waiting_for_a_poll(self, records, bus):
        _, corrected, consumers = two_stages(records)
        threads = ConsumerThreads(records, bus, consumers, idle_s=60)
        threads.start()
        wait_until(lambda: corrected == ["a1"])
        time.sleep(0.05)
        with records.transaction() as tx:
            tx.emit(Event(RECORDING_INGESTED, "a2", {}))
        threads.wake()
        took_s = wait_until(lambda: corrected == ["a1", "a2"])
        assert threads.stop() == []
        assert took_s < 5

    def test_without_a_wake_it_is_noticed_by_looking(self, records, bus):
        _, corrected, consumers = two_stages(records)
        threads = ConsumerThreads(records, bus, consumers, idle_s=0.02)
        threads.start()
        wait_until(lambda: corrected == ["a1"])
        with records.transaction() as tx:
            tx.emit(Event(RECORDING_INGESTED, "a2", {}))
        wait_until(lambda: corrected == ["a1", "a2"])
        threads.stop()

    def test_a_bus_that_is_away_for_a_while_is_logged_shown_and_survived(
        self, records, bus, monkeypatch, caplog
    ):
        stage, _, consumers = two_stages(records)
        receive, away = bus.receive, threading.Event()
        away.set()

        def sometimes(*args, **options):
            if away.is_set():
                raise UnavailableError("the bus is away")
            return receive(*args, **options)

        monkeypatch.setattr(bus, "receive", sometimes)
        threads = ConsumerThreads(records, bus, consumers, idle_s=0.01)
        threads.start()
        wait_until(lambda: "consumer-transcribe" in threads.errors)
        assert "the bus is away" in threads.errors["consumer-transcribe"]
        away.clear()
        wait_until(lambda: stage.seen == ["a1"])
        wait_until(lambda: not threads.errors)
        threads.stop()
        assert "the bus is away" in caplog.text
