"""Dates and times of day, said."""

from __future__ import annotations

import re

from phonoloop.text.lexicon import cues, holidays
from phonoloop.text.numbers import number_to_words
from phonoloop.text.said import Place, Said

_DAY, _MONTH, _YEAR = r"(0?[1-9]|[12][0-9]|3[01])", r"(0?[1-9]|1[0-2])", r"([0-9]{4})"
_NO_MORE = r"(?![0-9]|[/.,-][0-9])"
_ISO = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(?![0-9]|-[0-9])")
_FULL = re.compile(rf"{_DAY}([/.-]){_MONTH}\2{_YEAR}{_NO_MORE}")
_FULL_SPACED = re.compile(rf"{_DAY} ?/ ?{_MONTH} ?/ ?{_YEAR}{_NO_MORE}")
_SPAN = re.compile(rf"{_DAY} ?[-–—] ?{_DAY}/{_MONTH}(?:/{_YEAR})?{_NO_MORE}")
_MONTH_YEAR = re.compile(rf"{_MONTH} ?[/.–—-] ?{_YEAR}{_NO_MORE}(?!/)")
_DAY_MONTH = re.compile(rf"{_DAY} ?([/.–—-]) ?{_MONTH}(?![0-9]|[.,/][0-9]|/[A-ZĐ]|%)")
_MONTH_ALONE = re.compile(rf"{_MONTH}(?![0-9]|[.,/-][0-9])")

_CLOCK = re.compile(r"([01]?[0-9]|2[0-4])[:]([0-5][0-9])(?:[:]([0-5][0-9]))?(?![0-9:])")
_HOURS = re.compile(r"([0-9]{1,3}) ?[hH](?: ?([0-5][0-9]))?(?:(?<=[0-9])(?:[p']|ph))?(?!\w)")
_SOUTHERN = re.compile(r"([01]?[0-9]|2[0-4]) ?g ?([0-5][0-9])(?![\w%]|[.,/-][0-9])")
_SOUTHERN_HOUR = re.compile(r"([01]?[0-9]|2[0-4]) ?g(?!\w)")
_HOUR_FOLLOWS = re.compile(r" (?:sáng|trưa|chiều|tối|đêm|khuya)(?!\w)| ?[-–] ?[0-9]{1,2} ?g(?!\w)")
_MINUTES = re.compile(r"([0-9]{1,3})['′](?: ?([0-5]?[0-9])(?:[\"”″]|'')?)?(?!\w)")
_MINUTES_FOLLOW = re.compile(r" ?phút")


def say_iso_date(place: Place) -> Said | None:
    match = place.match(_ISO)
    if match is None:
        return None
    return place.said(match, _date(match[3], match[2], match[1]), "date.full")


def say_full_date(place: Place) -> Said | None:
    match = place.match(_FULL)
    if match is not None:
        return place.said(match, _date(match[1], match[3], match[4]), "date.full")
    match = place.match(_FULL_SPACED)
    return place.said(match, _date(match[1], match[2], match[3]), "date.full") if match else None


def say_days(place: Place) -> Said | None:
    """10-12/5: two days of one month."""
    match = place.match(_SPAN)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return place.said(match, f"{_number(match[1])} đến {_date(match[2], match[3], match[4])}", "date.days")


def say_month(place: Place) -> Said | None:
    """4/2020 and, behind `tháng`, 4."""
    match = place.match(_MONTH_YEAR)
    before = place.words_before(1)
    if match is not None and (before == ["tháng"] or ("/" in match[0] and not place.cued("house"))):
        return place.said(match, _month_and_year(before, match), "date.month")
    if before == ["tháng"]:
        match = place.match(_MONTH_ALONE)
        return place.said(match, _month(match[1]), "date.month") if match else None
    return None


def _month_and_year(before: list[str], match: re.Match[str]) -> str:
    year = f"năm {_number(match[2])}"
    if before in (["quý"], ["kỳ"], ["đợt"]):
        return f"{_number(match[1])} {year}"
    return f"{'' if before == ['tháng'] else 'tháng '}{_month(match[1])} {year}"


def say_day_and_month(place: Place) -> Said | None:
    """20/11, with a dash or a full stop only behind a word such as `ngày`."""
    match = place.match(_DAY_MONTH)
    if match is None:
        return None
    day, sign, month = match.groups()
    if sign == "/":
        certain = not place.cued("house") and _is_day_without_cue(place, int(day), int(month))
    else:
        certain = place.cued("date") and not _is_counted(place, match.end())
    return place.said(match, _date(day, month), "date.day", 1.0 if sign == "/" else 0.9) if certain else None


def _is_counted(place: Place, end: int) -> bool:
    """Whether something is counted by what ends here: sáng 10 - 12 người is no date."""
    word = re.match(r" ?([^\W\d_]+|%)", place.text[end : end + 16])
    return word is not None and (word[1].lower() in cues()["times"] or word[1] in place.lexicon.units)


def _is_day_without_cue(place: Place, day: int, month: int) -> bool:
    """Rather a day than a fraction: a word of time stands before it, it is a holiday, or no fraction."""
    if (day, month) == (24, 7):
        return False
    known = f"{day}/{month}" in holidays() or day > month
    return known or place.cued("date") or "ngày" in place.words_before(6)


def _date(day: str, month: str, year: str | None = None) -> str:
    words = f"{_number(day)} tháng {_month(month)}"
    return f"{words} năm {_number(year)}" if year else words


def _month(month: str) -> str:
    return "tư" if int(month) == 4 else _number(month)


def _number(digits: str) -> str:
    return number_to_words(int(digits))


def say_clock(place: Place) -> Said | None:
    """10:30, 10:30:15; not where a ratio is spoken of."""
    match = place.match(_CLOCK)
    if match is None or place.cued("ratio", reach=2):
        return None
    hours, minutes, seconds = match.groups()
    if seconds:
        words = f"{_number(hours)} giờ {_number(minutes)} phút {_number(seconds)} giây"
        return place.said(match, words, "time.seconds")
    return place.said(match, _time(place, match, hours, minutes), "time.clock")


def say_hours(place: Place) -> Said | None:
    """10h, 10h30, and 10g30 as it is written in the south."""
    match = place.match(_HOURS) or place.match(_SOUTHERN)
    if match is not None:
        return place.said(match, _time(place, match, match[1], match[2]), "time.hours")
    match = place.match(_SOUTHERN_HOUR)
    if match is None:
        return None
    follows = _HOUR_FOLLOWS.match(place.text, match.end()) is not None
    if not follows and not place.cued("hour") and not _ends_range(place):
        return None
    return place.said(match, _time(place, match, match[1], None), "time.hours", 0.8)


def _ends_range(place: Place) -> bool:
    """8 g - 10 g: another hour stands before the dash."""
    return re.search(r"[0-9] ?g ?[-–] ?$", place.text[max(0, place.at - 8) : place.at]) is not None


def _time(place: Place, match: re.Match[str], hours: str, minutes: str | None) -> str:
    words = f"{_number(hours)} giờ"
    if not minutes or int(minutes) == 0:
        return words
    unit_follows = _MINUTES_FOLLOW.match(place.text, match.end()) is not None
    unit = " phút" if int(minutes) < 10 and not unit_follows else ""
    return f"{words} {_number(minutes)}{unit}"


def say_minutes(place: Place) -> Said | None:
    """3'20" and 90'."""
    match = place.match(_MINUTES)
    if match is None:
        return None
    words = f"{_number(match[1])} phút" + (f" {_number(match[2])} giây" if match[2] else "")
    return place.said(match, words, "time.minutes", 0.9)


RULES = (
    say_iso_date,
    say_full_date,
    say_days,
    say_month,
    say_day_and_month,
    say_clock,
    say_hours,
    say_minutes,
)
