"""Vietnamese numbers in words and back.

Written in the northern standard of schoolbooks (`nghìn`, `linh`, `hai mươi tư`, `mười lăm`); read in
every usual variant (`ngàn`, `lẻ`, `tỉ`, `bẩy`, `nhăm`, `hai mốt`, `một triệu hai`, `nghìn rưỡi`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from phonoloop.core.errors import InputError

DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
THOUSAND, MILLION, BILLION = 10**3, 10**6, 10**9

#: how each word may stand in a number, variants included
DIGIT_OF = {word: value for value, word in enumerate(DIGITS)} | {"bẩy": 7}
_AFTER_TENS = {"mốt": 1, "hai": 2, "ba": 3, "bốn": 4, "tư": 4, "lăm": 5, "nhăm": 5, "sáu": 6}
_AFTER_TENS |= {"bảy": 7, "bẩy": 7, "tám": 8, "chín": 9}
_AFTER_TEN = {word: value for word, value in _AFTER_TENS.items() if word not in ("mốt", "tư")} | {"một": 1}
_AFTER_ODD = {word: value for word, value in DIGIT_OF.items() if value} | {"tư": 4, "lăm": 5, "mốt": 1}
_SHORT = {"mốt": 1, "lăm": 5, "nhăm": 5}
_ODD = frozenset(("linh", "lẻ"))
_SCALES = {"nghìn": THOUSAND, "ngàn": THOUSAND, "triệu": MILLION}
_BILLIONS = frozenset(("tỷ", "tỉ"))
#: words in which `tỷ`, `triệu`, `nghìn` before them are no number: tỷ lệ, triệu phú
_NOT_SCALED = frozenset(("lệ", "trọng", "giá", "suất", "số", "phú", "mỉ", "tập", "hồi", "chứng"))
_HALF = frozenset(("rưỡi", "rưởi"))

#: every word that a number can begin with
STARTS = frozenset((*DIGIT_OF, "mười", "âm"))


@dataclass(frozen=True, slots=True)
class Spelled:
    """A number found in words.

    Attributes:
        value: the whole part.
        fraction: the digits after the comma, as they were said; empty for whole numbers.
        end: index of the first word that does not belong to it.
        negative: said with `âm`.
        point: `,` where `phẩy` was said, `.` where `chấm` was.
    """

    value: int
    end: int
    fraction: str = ""
    negative: bool = False
    point: str = ","

    @property
    def number(self) -> int | Decimal:
        sign = "-" if self.negative else ""
        return Decimal(f"{sign}{self.value}.{self.fraction}") if self.fraction else int(f"{sign}{self.value}")


def number_to_words(number: int | Decimal) -> str:
    """A number in words: 1005 → `một nghìn không trăm linh năm`, Decimal("3.50") → `ba phẩy năm mươi`.

    Raises:
        InputError: `number.not_finite`, for NaN and the infinities.
    """
    if isinstance(number, Decimal):
        return _decimal(number)
    if number < 0:
        return f"âm {_whole(-number)}"
    return _whole(number)


def _decimal(number: Decimal) -> str:
    if not number.is_finite():
        raise InputError(f"{number} has no words", code="number.not_finite", hint="Give a finite number")
    whole, _, fraction = f"{number.copy_abs():f}".partition(".")
    sign = "âm " if number < 0 else ""
    return sign + _whole(int(whole)) + (f" phẩy {fraction_to_words(fraction)}" if fraction else "")


def fraction_to_words(digits: str) -> str:
    """What follows the comma: two digits as a number, anything else digit by digit."""
    if len(digits) == 2 and digits[0] != "0":
        return _whole(int(digits))
    return digits_to_words(digits)


def digits_to_words(digits: str) -> str:
    """Digit by digit, as telephone numbers are read."""
    return " ".join(DIGITS[int(digit)] for digit in digits)


def _whole(number: int) -> str:
    if number >= BILLION:
        above, below = divmod(number, BILLION)
        return f"{_whole(above)} tỷ" + (f" {_below_billion(below, padded=True)}" if below else "")
    return _below_billion(number, padded=False)


def _below_billion(number: int, *, padded: bool) -> str:
    millions, thousands, ones = number // MILLION, number // THOUSAND % THOUSAND, number % THOUSAND
    parts = []
    if millions:
        parts += [_hundreds(millions, padded=padded), "triệu"]
    if thousands or (ones >= 100 and (parts or padded)):
        parts += [_hundreds(thousands, padded=bool(thousands and (parts or padded))), "nghìn"]
    if ones or not (parts or padded):
        parts.append(_hundreds(ones, padded=bool(parts) or padded))
    return " ".join(parts)


def _hundreds(number: int, *, padded: bool) -> str:
    """Three digits; padded says the hundreds even where there are none, as within a larger number."""
    hundreds, rest = divmod(number, 100)
    if not hundreds and not padded:
        return _tens(rest)
    head = f"{DIGITS[hundreds]} trăm"
    if not rest:
        return head
    return f"{head} linh {DIGITS[rest]}" if rest < 10 else f"{head} {_tens(rest)}"


def _tens(number: int) -> str:
    tens, ones = divmod(number, 10)
    if not tens:
        return DIGITS[ones]
    head = "mười" if tens == 1 else f"{DIGITS[tens]} mươi"
    return f"{head} {_ones(ones, tens)}" if ones else head


def _ones(ones: int, tens: int) -> str:
    if ones == 5:
        return "lăm"
    if tens > 1 and ones in (1, 4):
        return "mốt" if ones == 1 else "tư"
    return DIGITS[ones]


def words_to_number(text: str) -> int | Decimal:
    """The number that a text is, wholly: `hai triệu rưỡi` → 2500000, `ba phẩy năm` → Decimal("3.5").

    Raises:
        InputError: `number.not_words`, where the text is anything but one number.
    """
    words = text.lower().split()
    found = read_number(words)
    if words == ["nửa"] or words == ["một", "nửa"]:
        return Decimal("0.5")
    if found is None or found.end != len(words):
        raise InputError(
            f"{text!r} is not a number in Vietnamese words",
            code="number.not_words",
            hint="Such as: một trăm linh năm, ba phẩy mười bốn, âm hai",
        )
    return found.number


def read_number(words: Sequence[str], at: int = 0) -> Spelled | None:
    """The longest number that begins at a word (lower case); None where there is none."""
    negative = at < len(words) and words[at] == "âm"
    start = at + negative
    found = _read_whole(words, start)
    if found is None:
        return None
    value, end = found
    point = {"phẩy": ",", "phảy": ",", "chấm": "."}.get(_word(words, end), "")
    fraction = _read_fraction(words, end + 1) if point else None
    if fraction is None:
        return Spelled(value, end, negative=negative)
    return Spelled(value, fraction[1], fraction[0], negative, point)


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _scale(words: Sequence[str], at: int) -> int:
    """What `nghìn`, `triệu` or `tỷ` at a place multiplies by; 0 where none stands there."""
    word = _word(words, at)
    if (word not in _SCALES and word not in _BILLIONS) or _word(words, at + 1) in _NOT_SCALED:
        return 0
    return _SCALES.get(word, BILLION)


def _read_whole(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """With `tỷ`, once or several times: `nghìn tỷ`, `tỷ tỷ`."""
    found = _read_below_billion(words, at)
    while found is not None and _scale(words, found[1]) == BILLION:
        value, end = found[0] * BILLION, found[1] + 1
        if _word(words, end) in _HALF:
            return value + BILLION // 2, end + 1
        found = _after_billions(words, value, end)
    return found


def _after_billions(words: Sequence[str], value: int, end: int) -> tuple[int, int]:
    rest = _read_below_billion(words, end, last_scale=BILLION)
    if rest is None or (rest[1] == end + 1 and _word(words, rest[1]) in _BILLIONS):
        return value, end  # `hai tỷ ba tỷ` are two numbers
    return value + rest[0], rest[1]


def _read_below_billion(words: Sequence[str], at: int, *, last_scale: int = 0) -> tuple[int, int] | None:
    """`last_scale` is what the number so far was counted in: 0 at its start."""
    total, begun = 0, at
    while True:
        group = _read_hundreds(words, at, after_scale=bool(last_scale))
        if group is None:
            break
        value, end = group
        scale = _scale(words, end)
        scale = scale if scale < BILLION else 0
        if not scale:
            added = _last_group(words, at, group, last_scale)
            return (total + added, end) if added is not None else _so_far(total, at, begun)
        if last_scale and scale >= last_scale:
            break
        total, at, last_scale = total + value * scale, end + 1, scale
        if _word(words, at) in _HALF:
            return total + scale // 2, at + 1
    return _so_far(total, at, begun)


def _so_far(total: int, at: int, begun: int) -> tuple[int, int] | None:
    return (total, at) if at > begun else None


def _last_group(words: Sequence[str], at: int, group: tuple[int, int], last_scale: int) -> int | None:
    """What the last group adds: `một nghìn hai` is 1200. None where it is not part of the number:
    `một nghìn năm` is a thousand years."""
    value, end = group
    if not last_scale or end - at > 1 or value >= 10:
        return value
    return None if words[at] in ("năm", "không") or last_scale > BILLION else value * last_scale // 10


def _read_hundreds(words: Sequence[str], at: int, *, after_scale: bool) -> tuple[int, int] | None:
    first = _word(words, at)
    if after_scale and first in _ODD:
        digit = _AFTER_ODD.get(_word(words, at + 1))
        return (digit, at + 2) if digit else None
    if first in DIGIT_OF and _word(words, at + 1) == "trăm":
        return _after_hundred(words, DIGIT_OF[first] * 100, at + 2)
    return _read_tens(words, at)


def _after_hundred(words: Sequence[str], value: int, at: int) -> tuple[int, int]:
    following = _word(words, at)
    if following in _HALF:
        return value + 50, at + 1
    if following in _ODD and _word(words, at + 1) in _AFTER_ODD:
        return value + _AFTER_ODD[words[at + 1]], at + 2
    tens = _read_tens(words, at)
    if tens is None or following == "không":
        return value, at
    if tens[0] < 10:  # `một trăm hai` is 120; `một trăm năm` a hundred years; `một trăm một hai` counts
        ends = _word(words, at + 1) not in (*_SCALES, *_BILLIONS, *DIGIT_OF, "trăm", "phần", "phẩy")
        return (value + tens[0] * 10, at + 1) if following not in ("năm", "một") and ends else (value, at)
    return value + tens[0], tens[1]


def _read_tens(words: Sequence[str], at: int) -> tuple[int, int] | None:
    first, second = _word(words, at), _word(words, at + 1)
    if first == "mười":
        ones = _AFTER_TEN.get(second, 0)
        return 10 + ones, at + 1 + bool(ones)
    if first not in DIGIT_OF:
        return None
    digit = DIGIT_OF[first]
    if second == "mươi" and digit > 1:
        ones = _AFTER_TENS.get(_word(words, at + 2), 0)
        return digit * 10 + ones, at + 2 + bool(ones)
    if second in _SHORT and digit > 1:
        return digit * 10 + _SHORT[second], at + 2
    return digit, at + 1


def _read_fraction(words: Sequence[str], at: int) -> tuple[str, int] | None:
    """The digits after a comma: `không năm` is 05, `mười bốn` is 14, `một hai năm` is 125."""
    begun, digits = at, ""
    while True:
        group = _read_tens(words, at)
        if group is None or (group[0] >= 10 and digits.strip("0")):
            break
        digits += str(group[0])
        at = group[1]
        if group[0] >= 10:
            break
    if at - begun == 2 == len(digits) and words[at - 1] == "năm" and digits[0] != "0":
        return digits[:1], at - 1  # `ba phẩy năm năm`: three and a half years
    return (digits, at) if digits else None


def roman_to_number(letters: str) -> int | None:
    """The value of a Roman numeral in capitals up to 3,999; None for anything else (`IIII`, `VX`)."""
    value = 0
    for at, letter in enumerate(letters):
        here = _ROMAN.get(letter, 0)
        value += -here if at + 1 < len(letters) and here < _ROMAN.get(letters[at + 1], 0) else here
    return value if value and _roman(value) == letters else None


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_PARTS = (
    *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")),
    *((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
)


def _roman(value: int) -> str:
    letters = ""
    for part, written in _ROMAN_PARTS:
        count, value = divmod(value, part)
        letters += written * count
    return letters
