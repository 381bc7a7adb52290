"""Dates and times of day, written."""

from __future__ import annotations

from phonoloop.text.numbers import DIGIT_OF
from phonoloop.text.spoken_run import Run, Wrote

_EVERY = frozenset(("mỗi", "hàng", "hằng", "vài", "mấy", "nhiều", "từng", "nửa"))
_DAY_WORDS = ("ngày", "mùng", "mồng", "hôm")


def _small(run: Run, at: int, most: int) -> tuple[int, int] | None:
    """A plain number up to `most` and where it ends."""
    found = run.number(at)
    if found is None or found.fraction or found.negative or found.value > most:
        return None
    return found.value, found.end


def _month(run: Run, at: int) -> tuple[int, int] | None:
    if run.word(at) == "tư":
        return 4, at + 1
    found = _small(run, at, 12)
    return found if found and found[0] else None


def _year(run: Run, at: int) -> tuple[int, int] | None:
    """A year in full, or as people say it: một chín bảy lăm."""
    found = run.number(at)
    if found and 1000 <= found.value <= 2999 and not found.fraction:
        return found.value, found.end
    first, second = DIGIT_OF.get(run.word(at), 0), DIGIT_OF.get(run.word(at + 1), -1)
    if first not in (1, 2) or second < 0:
        return None
    rest = _small(run, at + 2, 99)
    if rest is None:
        return None
    if rest[0] < 10:
        last = DIGIT_OF.get(run.word(at + 3), -1)
        return (first * 1000 + second * 100 + rest[0] * 10 + last, at + 4) if last >= 0 else None
    return first * 1000 + second * 100 + rest[0], rest[1]


def write_date(run: Run, at: int) -> Wrote | None:
    """ngày hai tháng chín → ngày 2 tháng 9; with no `ngày` before it: 2/9/1945."""
    day = _small(run, at, 31)
    month = _month(run, day[1] + 1) if day and run.word(day[1]) == "tháng" else None
    if day is None or month is None or not day[0]:
        return None
    year = _year(run, month[1] + 1) if run.word(month[1]) == "năm" else None
    end = year[1] if year else month[1]
    if run.word(at - 1) in _DAY_WORDS:
        text = f"{day[0]} tháng {month[0]}" + (f" năm {year[0]}" if year else "")
        return Wrote(at, end, text, "date.full" if year else "date.day")
    if year:
        return Wrote(at, end, f"{day[0]}/{month[0]}/{year[0]}", "date.full", 0.95)
    if run.follows("times", end) or not (run.cued("date", at - 1) or day[0] > 12):
        return None
    return Wrote(at, end, f"{day[0]}/{month[0]}", "date.day", 0.8)


def write_month(run: Run, at: int) -> Wrote | None:
    """tháng tư năm hai nghìn không trăm linh năm → tháng 4 năm 2005."""
    month = _month(run, at + 1) if run.word(at) == "tháng" else None
    if month is None or run.follows("times", month[1]) or _is_no_month(run, at):
        return None
    year = _year(run, month[1] + 1) if run.word(month[1]) == "năm" else None
    name = run.text[run.spans[at][0] : run.spans[at][1]]
    if year:
        return Wrote(at, year[1], f"{name} {month[0]} năm {year[0]}", "date.month")
    if month[0] == 1 and run.word(month[1]):
        return None  # mỗi tháng một …
    return Wrote(at, month[1], f"{name} {month[0]}", "date.month", 0.9)


def _is_no_month(run: Run, at: int) -> bool:
    """Months are counted (mỗi tháng ba lần, hai tháng), or it is a name (Cách mạng Tháng Tám)."""
    before = run.word(at - 1)
    is_name = run.text[run.spans[at + 1][0]].isupper()
    return is_name or before in _EVERY or before in DIGIT_OF or before == "mười"


def write_year(run: Run, at: int) -> Wrote | None:
    year = _year(run, at) if run.word(at - 1) == "năm" else None
    return Wrote(at, year[1], str(year[0]), "date.year", 0.95) if year else None


def write_time(run: Run, at: int) -> Wrote | None:
    """mười giờ ba mươi → 10h30, bảy giờ năm phút → 7h05, with seconds 10:30:15."""
    hour = _small(run, at, 24)
    if hour is None or run.word(hour[1]) != "giờ":
        return None
    minutes = _small(run, hour[1] + 1, 59)
    if minutes is None:
        return None
    has_unit = run.word(minutes[1]) == "phút"
    if not has_unit and minutes[0] < 10:
        return None
    end = minutes[1] + has_unit
    seconds = _small(run, end, 59) if has_unit else None
    if seconds and run.word(seconds[1]) == "giây":
        return Wrote(at, seconds[1] + 1, f"{hour[0]}:{minutes[0]:02}:{seconds[0]:02}", "time.seconds", 0.9)
    if has_unit and any(run.cued("lasting", before) for before in (at - 1, at - 2)):
        return Wrote(at, end, f"{hour[0]} giờ {minutes[0]} phút", "time.lasting", 0.9)
    return Wrote(at, end, f"{hour[0]}h{minutes[0]:02}", "time.clock", 0.9)


RULES = (write_date, write_month, write_year, write_time)
