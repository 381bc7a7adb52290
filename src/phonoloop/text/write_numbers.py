"""Numbers with their units, shares and telephone numbers, written in digits."""

from __future__ import annotations

from phonoloop.text.lexicon import Unit
from phonoloop.text.numbers import BILLION, DIGIT_OF, MILLION, Spelled
from phonoloop.text.spoken_run import Run, Wrote

#: so many digits in a row are a telephone or account number whatever stands before them
_LONG_NUMBER = 7
_CODE, _CALL = 3, range(3, 6)
#: units of time and money before which `một` rather means a or an
_ONE_STAYS = frozenset(("giờ", "phút", "giây", "đồng", "đô", "mét", "lít"))
#: what nothing is counted in: không đồng ý is a refusal
_ZERO_BEFORE = frozenset(("phần", "độ", "giờ", "phút"))
#: a number behind these may count what follows: ngày một đông, cấp một văn bằng
_LOOSE = frozenset(("ngày", "kỳ", "cấp", "nhóm", "đội", "tổ", "đợt", "bài", "khối", "tuyến"))
#: `năm` is a year behind these
_YEARS_AFTER = frozenset(
    ("nhiêu", "mấy", "nhiều", "hàng", "từng", "những", "các", "vài", "mỗi", "cả", "trăm")
)
_SCALE_WORDS = frozenset(("tỷ", "tỉ", "triệu"))


def write_digits(run: Run, at: int) -> Wrote | None:
    """không chín một hai … → 0912…, gọi một một ba → gọi 113."""
    plus = run.word(at) == "cộng"
    start = end = at + plus
    while run.word(end) in DIGIT_OF:
        end += 1
    count = end - start
    digits = "".join(str(DIGIT_OF[word]) for word in run.words[start:end])
    coded = count >= _CODE and any(run.cued("digits", before) for before in range(at - 4, at))
    called = count in _CALL and run.word(at - 1) in ("gọi", "đài", "hotline")
    if count >= _LONG_NUMBER or coded or called:
        return Wrote(at, end, ("+" if plus else "") + digits, "phone", 0.9)
    return None


def write_room(run: Run, at: int) -> Wrote | None:
    """phòng ba linh năm → phòng 305."""
    hundreds, ones = DIGIT_OF.get(run.word(at), 0), DIGIT_OF.get(run.word(at + 2), 0)
    if not (hundreds and ones and run.word(at + 1) in ("linh", "lẻ") and run.cued("counted", at - 1)):
        return None
    return Wrote(at, at + 3, str(hundreds * 100 + ones), "number.code", 0.9)


def write_pair(run: Run, at: int) -> Wrote | None:
    """chín chín phần trăm → 99%; hai ba phần trăm may be two or three."""
    first, second = DIGIT_OF.get(run.word(at), 0), DIGIT_OF.get(run.word(at + 1), 0)
    if not first or not second or second == first + 1 or run.words[at + 2 : at + 4] != ["phần", "trăm"]:
        return None
    return Wrote(at, at + 4, f"{first}{second}%", "unit.percent", 0.8)


def write_height(run: Run, at: int) -> Wrote | None:
    """một mét sáu lăm → 1m65."""
    metres = DIGIT_OF.get(run.word(at), 0)
    rest = run.number(at + 2) if metres and run.word(at + 1) == "mét" else None
    if rest is None or rest.fraction or not 10 <= rest.value < 100 or run.unit(rest.end):
        return None
    return Wrote(at, rest.end, f"{metres}m{rest.value}", "unit.height", 0.9)


def write_share(run: Run, at: int) -> Wrote | None:
    """một phần ba → 1/3."""
    above = run.number(at)
    if above is None or above.fraction or run.word(above.end) != "phần":
        return None
    if run.word(above.end + 1) == "tư":
        return Wrote(at, above.end + 2, f"{above.value}/4", "number.fraction", 0.9)
    below = run.number(above.end + 1)
    if below is None or below.fraction or not 0 < above.value < below.value <= 100:
        return None
    return Wrote(at, below.end, f"{above.value}/{below.value}", "number.fraction", 0.9)


def write_range(run: Run, at: int) -> Wrote | None:
    """từ ba đến năm ngày → từ 3 đến 5 ngày."""
    low = run.number(at + 1) if run.word(at) == "từ" else None
    high = run.number(low.end + 1) if low and run.word(low.end) == "đến" else None
    if low is None or high is None or run.word(high.end) in ("tháng", "giờ", "phần"):
        return None
    if run.unit(high.end) or low.value >= 10 or high.value >= 10 or low.fraction or high.fraction:
        return None  # each is written by itself
    name = run.text[run.spans[at][0] : run.spans[at][1]]
    return Wrote(at, high.end, f"{name} {low.value} đến {high.value}", "number.range", 0.9)


def write_number(run: Run, at: int) -> Wrote | None:
    """Any number that is not a single digit, and those that measure or count."""
    found = run.number(at)
    if found is None:
        return None
    end, text = found.end, _in_digits(run, at, found)
    while found.point == "." and run.word(end) == "chấm" and run.word(end + 1) in DIGIT_OF:
        end, text = end + 2, f"{text}.{DIGIT_OF[run.word(end + 1)]}"
    if found.fraction and run.word(end) in _SCALE_WORDS and not run.follows("unscaled", end + 1):
        end, text = end + 1, f"{text} {run.word(end)}"
    unit = run.unit(end)
    if not _is_worth_it(run, at, found, unit is not None):
        return None
    if unit is None:
        return Wrote(at, end, text, _rule(found))
    return Wrote(at, unit[1], _with_unit(text, unit[0]), f"unit.{unit[0].kind}")


def _rule(found: Spelled) -> str:
    return "number.decimal" if found.fraction else "number.cardinal"


def _with_unit(number: str, unit: Unit) -> str:
    return f"{number}{unit.symbol}" if unit.back == "joined" else f"{number} {unit.symbol}"


def _is_worth_it(run: Run, at: int, found: Spelled, has_unit: bool) -> bool:
    if found.value >= 10 or found.fraction:
        return True
    if _is_alone(run, at, found):
        return found.value > 0  # `không` alone is an answer
    following = run.word(found.end)
    if found.value == 1 and following in _ONE_STAYS:
        alone = at == 0 and found.end + 1 == len(run.words)
        return alone or (following == "giờ" and run.follows("part", found.end + 1))
    if following == "đồng" and run.follows("unpaid", found.end + 1):
        return _is_counted(run, at, found)
    if found.value == 0 and following not in _ZERO_BEFORE:
        return False
    if run.word(at) == "năm" and run.word(at - 1) in _YEARS_AFTER:
        return False
    if run.word(at - 1) in DIGIT_OF and not run.cued("counted", at - 2):
        return False  # ba bốn tuổi: three or four
    if has_unit or run.follows("unit", found.end) or run.measures(found.end):
        return True
    return _is_counted(run, at, found)


def _is_counted(run: Run, at: int, found: Spelled) -> bool:
    """Whether a single digit is the number of something: lớp bốn, but mỗi ngày hai bữa."""
    first = run.text[run.spans[at][0]]
    if not run.cued("counted", at - 1) or run.follows("times", found.end) or first.isupper():
        return False
    following = run.word(found.end)
    if run.word(at - 1) in _LOOSE:
        return following == "tháng"
    return (run.word(at - 2), run.word(at - 1)) != ("trong", "số")


def _in_digits(run: Run, at: int, found: Spelled) -> str:
    sign = "-" if found.negative else ""
    if found.fraction:
        return f"{sign}{_grouped(run, at, found)}{found.point}{found.fraction}"
    return sign + (_scaled(run, at, found) or _grouped(run, at, found))


def _is_alone(run: Run, at: int, found: Spelled) -> bool:
    """Whether the text is this number and nothing else."""
    return at == 0 and found.end == len(run.words) and run.is_whole_text


def _scaled(run: Run, at: int, found: Spelled) -> str:
    """5 triệu, 2,5 tỷ, 12.500 tỷ: where the number was said with one such word at its end."""
    if _is_alone(run, at, found) and found.value <= MILLION:
        return ""
    last = run.word(found.end - 1)
    halved = last in ("rưỡi", "rưởi")
    scale_word = run.word(found.end - 2) if halved else last
    if scale_word not in _SCALE_WORDS:
        return ""
    scale = MILLION if scale_word == "triệu" else BILLION
    whole, rest = divmod(found.value, scale)
    if scale == MILLION and whole >= 1000:
        return ""
    return f"{whole:,}".replace(",", ".") + (",5" if halved and rest else "") + f" {scale_word}"


def _grouped(run: Run, at: int, found: Spelled) -> str:
    """Dots between thousands, but not in what is a name or stands alone."""
    if (_is_alone(run, at, found) and not found.fraction) or run.cued("counted", at - 1):
        return str(found.value)
    return f"{found.value:,}".replace(",", ".")


RULES = (
    write_digits,
    write_room,
    write_pair,
    write_height,
    write_share,
    write_range,
    write_number,
)
