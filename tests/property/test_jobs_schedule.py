"""The daily schedule over every change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.jobs.triggers import due

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight
    "Australia/Lord_Howe",  # changes by half an hour
    "Asia/Ho_Chi_Minh",  # never
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",  # left out 30 December 2011
    "UTC",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(
    datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)
daily = st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23))


@settings(deadline=None, max_examples=50)
@given(cron=daily, zone=zones, start=moments, steps=st.lists(st.integers(1, 36 * 60), max_size=12))
def test_it_fires_at_most_once_a_local_day_and_never_for_the_future(cron, zone, start, steps):
    last, now, fired = start, start, []
    for minutes in steps:
        now += timedelta(minutes=minutes)
        moment = due(cron, last, now, zone)
        if moment is not None:
            assert last < moment <= now
            fired.append(moment)
            last = moment
    dates = [moment.astimezone(zone).date() for moment in fired]
    assert len(set(dates)) == len(dates)


@settings(deadline=None, max_examples=50)
@given(cron=daily, zone=zones, start=moments, hours=st.integers(50, 24 * 40))
def test_nothing_is_forgotten(cron, zone, start, hours):
    """Whatever was missed, the latest occurrence is less than two days old."""
    now = start + timedelta(hours=hours)
    moment = due(cron, start, now, zone)
    assert moment is not None
    assert now - moment < timedelta(hours=49)


@settings(deadline=None, max_examples=50)
@given(cron=daily, zone=zones, start=moments, days=st.integers(1, 20))
def test_looking_often_or_seldom_ends_at_the_same_occurrence(cron, zone, start, days):
    end = start + timedelta(days=days)
    last, now = start, start
    while now < end:
        now = min(end, now + timedelta(hours=7))
        last = due(cron, last, now, zone) or last
    assert due(cron, start, end, zone) == (last if last > start else None)


@settings(deadline=None, max_examples=50)
@given(zone=zones, day=st.dates(datetime(2012, 1, 1).date(), datetime(2029, 12, 31).date()))
def test_every_local_day_has_its_firing(zone, day):
    cron = "0 2 * * *"
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    moment = due(cron, noon - timedelta(hours=30), noon, zone)
    assert moment is not None
    assert moment.astimezone(zone).date() == day
