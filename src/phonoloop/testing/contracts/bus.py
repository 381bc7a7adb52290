"""What every event bus does.

A test class inherits from the suite and gives it a fixture `make(**options)`: a function that opens the
bus of this test with `max_attempts` and `clock`. Called again it opens the same one again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from phonoloop.core.errors import NotFoundError
from phonoloop.core.events import Event
from phonoloop.core.ports import EventBus
from phonoloop.testing.entities import ManualClock

Make = Callable[..., EventBus]


def an_event(subject: str = "s", kind: str = "a", **data) -> Event:
    return Event(kind, subject, data)


def subjects(deliveries) -> str:
    return "".join(delivery.event.subject for delivery in deliveries)


class LogContract:
    """What was published, once, in order."""

    def test_the_log_holds_events_as_they_were(self, make: Make):
        event = Event("a.b", "chủ đề", {"text": "xin chào", "n": [1, None, {"x": 0.5}]}, source="/here")
        make().publish([event])
        (entry,) = make().tail()
        assert entry.event == event
        assert entry.offset >= 1

    def test_an_id_is_published_once(self, make: Make):
        bus = make()
        early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        bus.publish([Event("a", "s", {}, time=early), Event("a", "s", {}, time=late), an_event("t")])
        bus.publish([Event("a", "s", {}, time=late)])
        assert [(e.event.subject, e.event.time == early) for e in bus.tail()] == [("s", True), ("t", False)]

    def test_publishing_nothing_is_nothing(self, make: Make):
        bus = make()
        bus.publish([])
        assert bus.tail() == []

    def test_the_tail_goes_on_where_one_stopped(self, make: Make):
        bus = make()
        bus.publish([an_event(s) for s in "abcde"])
        first = bus.tail(limit=2)
        rest = bus.tail(after=first[-1].offset)
        assert "".join(entry.event.subject for entry in first + rest) == "abcde"
        assert bus.tail(after=rest[-1].offset) == []
        offsets = [entry.offset for entry in first + rest]
        assert offsets == sorted(set(offsets))


class DeliveryContract:
    """Each consumer, each event of its types, in order, until it is settled."""

    def test_the_oldest_come_first_and_are_leased(self, make: Make):
        bus = make()
        bus.publish([an_event(s) for s in "abcde"])
        assert subjects(bus.receive("c", ["a"], limit=2)) == "ab"
        assert subjects(bus.receive("c", ["a"])) == "c"
        assert subjects(bus.receive("c", ["a"], limit=10)) == "de"
        assert bus.receive("c", ["a"], limit=10) == []

    def test_a_delivery_says_what_it_is(self, make: Make):
        bus, event = make(), an_event("s", n=1)
        bus.publish([event])
        (delivery,) = bus.receive("c", ["a"])
        assert (delivery.event, delivery.consumer, delivery.attempt) == (event, "c", 1)

    def test_a_consumer_sees_its_types_only_in_the_order_of_the_log(self, make: Make):
        bus = make()
        bus.publish([an_event("1", "x"), an_event("2", "y"), an_event("3", "z"), an_event("4", "x")])
        assert subjects(bus.receive("c", ["z", "x"], limit=2)) == "13"
        assert subjects(bus.receive("c", ["z", "x"], limit=2)) == "4"

    def test_no_types_no_events(self, make: Make):
        bus = make()
        bus.publish([an_event()])
        assert bus.receive("c", [], limit=5) == []

    def test_a_new_consumer_sees_the_log_from_its_beginning(self, make: Make):
        bus = make()
        bus.publish([an_event(s) for s in "ab"])
        for delivery in bus.receive("first", ["a"], limit=5):
            bus.ack(delivery)
        bus.publish([an_event("c")])
        assert subjects(bus.receive("first", ["a"], limit=5)) == "c"
        assert subjects(bus.receive("second", ["a"], limit=5)) == "abc"

    def test_a_type_that_a_consumer_takes_up_later_is_seen_from_its_beginning(self, make: Make):
        bus = make()
        bus.publish([an_event("1", "x"), an_event("2", "y"), an_event("3", "x")])
        assert subjects(bus.receive("c", ["x"], limit=5)) == "13"
        assert subjects(bus.receive("c", ["x", "y"], limit=5)) == "2"

    def test_what_was_settled_does_not_come_again(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event()])
        bus.ack(bus.receive("c", ["a"])[0])
        clock.now += timedelta(days=1)
        assert bus.receive("c", ["a"]) == []
        assert bus.dead() == []

    def test_another_opener_goes_on(self, make: Make):
        make().publish([an_event(s) for s in "ab"])
        bus = make()
        bus.ack(bus.receive("c", ["a"])[0])
        assert subjects(make().receive("c", ["a"], limit=5)) == "b"

    def test_receivers_at_once_share_the_work(self, make: Make):
        bus = make()
        bus.publish([an_event(str(i)) for i in range(60)])
        got: list[str] = []

        def work() -> None:
            while deliveries := bus.receive("c", ["a"], limit=4):
                for delivery in deliveries:
                    got.append(delivery.event.subject)
                    bus.ack(delivery)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(got) == Counter(str(i) for i in range(60))

    def test_publishers_and_a_receiver_at_once_lose_nothing(self, make: Make):
        bus = make()

        def publish(name: str) -> None:
            for i in range(20):
                bus.publish([an_event(f"{name}{i}")])

        threads = [threading.Thread(target=publish, args=(name,)) for name in "xyz"]
        for thread in threads:
            thread.start()
        got: list[str] = []
        while any(thread.is_alive() for thread in threads) or len(got) < 60:
            deliveries = bus.receive("c", ["a"], limit=7)
            got += [delivery.event.subject for delivery in deliveries]
            if not deliveries and not any(thread.is_alive() for thread in threads):
                break
        got += [d.event.subject for d in bus.receive("c", ["a"], limit=100)]
        assert Counter(got) == Counter(f"{name}{i}" for name in "xyz" for i in range(20))


class AgainContract:
    """Leases, retries, dead letters, replays."""

    def test_unsettled_it_comes_again_when_the_lease_ends(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event()])
        bus.receive("c", ["a"], lease_s=60)
        clock.now += timedelta(seconds=59)
        assert bus.receive("c", ["a"]) == []
        clock.now += timedelta(seconds=1)
        assert [d.attempt for d in bus.receive("c", ["a"])] == [2]

    def test_what_comes_again_is_older_than_what_is_new(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event(s) for s in "abc"])
        bus.receive("c", ["a"], lease_s=1)
        clock.now += timedelta(seconds=1)
        assert subjects(bus.receive("c", ["a"], limit=2)) == "ab"

    def test_leases_of_somebody_who_is_gone_can_be_ended(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event("a"), an_event("b")])
        (gone,) = bus.receive("c", ["a"], lease_s=3600)
        (tried,) = bus.receive("c", ["a"])
        bus.retry(tried, delay_s=60, code="x", reason="y")
        assert bus.end_leases() == 1
        assert bus.end_leases() == 0
        bus.ack(gone)  # it was not gone after all: its answer is late
        (again,) = bus.receive("c", ["a"], limit=2)  # what waits for its next attempt goes on waiting
        assert (again.event.subject, again.attempt) == ("a", 2)

    @pytest.mark.parametrize("settle", ["ack", "retry", "bury"])
    @pytest.mark.parametrize("again", [True, False], ids=["leased to another", "not leased"])
    def test_a_late_answer_settles_nothing(self, make: Make, clock: ManualClock, settle: str, again: bool):
        bus = make(clock=clock)
        bus.publish([an_event()])
        (late,) = bus.receive("c", ["a"], lease_s=1)
        clock.now += timedelta(seconds=1)
        holders = bus.receive("c", ["a"], lease_s=1) if again else []
        arguments = {
            "ack": {},
            "retry": {"delay_s": 900.0, "code": "x", "reason": ""},
            "bury": {"code": "x", "reason": ""},
        }
        getattr(bus, settle)(late, **arguments[settle])
        assert bus.dead() == []
        clock.now += timedelta(seconds=1)
        assert [d.attempt for d in bus.receive("c", ["a"])] == [2 + len(holders)]

    def test_a_retry_waits_and_counts(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event("a"), an_event("b")])
        bus.retry(bus.receive("c", ["a"])[0], delay_s=10, code="x", reason="not now")
        assert subjects(bus.receive("c", ["a"], limit=5)) == "b"
        clock.now += timedelta(seconds=10)
        assert [(d.event.subject, d.attempt) for d in bus.receive("c", ["a"], limit=5)] == [("a", 2)]

    def test_after_the_last_attempt_it_is_a_dead_letter(self, make: Make, clock: ManualClock):
        bus, event = make(clock=clock, max_attempts=3), an_event()
        bus.publish([event])
        for _ in range(3):
            bus.retry(bus.receive("c", ["a"])[0], delay_s=0, code="disk.full", reason="no room")
        assert bus.receive("c", ["a"]) == []
        (letter,) = bus.dead()
        assert (letter.consumer, letter.event, letter.attempts) == ("c", event, 3)
        assert (letter.code, letter.reason, letter.at) == ("disk.full", "no room", clock.now)

    def test_an_event_that_kills_its_consumer_ends_as_a_dead_letter(self, make: Make, clock: ManualClock):
        bus = make(clock=clock, max_attempts=2)
        bus.publish([an_event("poison"), an_event("good")])
        for _ in range(2):
            assert subjects(bus.receive("c", ["a"], lease_s=1)) == "poison"
            clock.now += timedelta(seconds=1)
        assert subjects(bus.receive("c", ["a"])) == "good"
        assert [(d.event.subject, d.code, d.attempts) for d in bus.dead()] == [
            ("poison", "event.abandoned", 2)
        ]

    def test_attempts_without_an_answer_can_have_a_limit_of_their_own(self, make: Make, clock: ManualClock):
        bus = make(clock=clock, max_attempts=2, max_unanswered=3)
        bus.publish([an_event()])
        for attempt in (1, 2, 3):
            assert [d.attempt for d in bus.receive("c", ["a"], lease_s=1)] == [attempt]
            clock.now += timedelta(seconds=1)
        assert bus.receive("c", ["a"]) == []
        assert [letter.attempts for letter in bus.dead()] == [3]

    def test_buried_is_dead_at_once_for_this_consumer(self, make: Make):
        bus = make()
        bus.publish([an_event()])
        bus.bury(bus.receive("c", ["a"])[0], code="audio.empty", reason="no samples")
        assert [(d.consumer, d.code, d.attempts) for d in bus.dead()] == [("c", "audio.empty", 1)]
        assert bus.dead("other") == []
        assert len(bus.dead("c")) == 1
        assert len(bus.receive("other", ["a"])) == 1

    def test_a_replay_delivers_anew(self, make: Make, clock: ManualClock):
        bus = make(clock=clock)
        bus.publish([an_event("a"), an_event("b")])
        bus.bury(bus.receive("c", ["a"])[0], code="x", reason="")
        bus.ack(bus.receive("c", ["a"])[0])
        (letter,) = bus.dead()
        bus.replay(letter.letter_id)
        assert bus.dead() == []
        (delivery,) = bus.receive("c", ["a"], limit=5)
        assert (delivery.event.subject, delivery.attempt) == ("a", 1)
        bus.ack(delivery)
        assert bus.receive("c", ["a"], limit=5) == []

    def test_a_replayed_letter_can_die_again(self, make: Make):
        bus = make()
        bus.publish([an_event()])
        bus.bury(bus.receive("c", ["a"])[0], code="x", reason="")
        bus.replay(bus.dead()[0].letter_id)
        bus.bury(bus.receive("c", ["a"])[0], code="y", reason="")
        assert [letter.code for letter in bus.dead()] == ["y"]

    def test_replaying_what_is_not_there(self, make: Make):
        with pytest.raises(NotFoundError) as refusal:
            make().replay("nothing")
        assert refusal.value.code == "event.no_dead_letter"


class BusContract(LogContract, DeliveryContract, AgainContract):
    """The whole of it."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()
