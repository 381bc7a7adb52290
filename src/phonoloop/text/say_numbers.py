"""Numbers with all that stands beside them, said: units, money, ranges, telephone numbers, codes."""

from __future__ import annotations

import re
from functools import lru_cache

from phonoloop.text.lexicon import Lexicon, Unit, letter_names, signs
from phonoloop.text.numbers import digits_to_words, fraction_to_words, number_to_words
from phonoloop.text.said import Place, Said

#: what a number looks like: 1.234.567,8; 1 234 567; 1,234,567.8; 3,5; 3.5; 12
_NUMBER = (
    r"(?:[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?(?![0-9]|\.[0-9])"
    r"|[0-9]{1,3}(?: [0-9]{3}){2,}(?![0-9])"
    r"|[0-9]{1,3}(?:,[0-9]{3}){2,}(?:\.[0-9]+)?(?![0-9]|,[0-9])"
    r"|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+(?![0-9])"
    r"|[0-9]+,[0-9]+(?![0-9]|[.,][0-9])"
    r"|[0-9]+\.[0-9]+(?![0-9]|[.,][0-9])"
    r"|[0-9]+)"
)
_AMOUNT = re.compile(_NUMBER)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?")
_ENGLISH = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}){2,}(?:\.[0-9]+)?|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+")
#: more digits than this are a name and not an amount
_LONGEST_AMOUNT = 15

_PHONE = re.compile(
    r"\+[0-9]{1,3}(?:[ .-]?[0-9]{2,4}){2,4}(?![0-9])"
    r"|\(\+?[0-9]{2,4}\) ?[0-9]{2,4}(?:[ .-]?[0-9]{2,4}){1,3}(?![0-9])"
    r"|0[0-9]{2,3}(?:[ .-]?[0-9]{2,4}){2,3}(?![0-9])"
    r"|1[89]00[ .-]?(?:[0-9]{4}|[0-9]{2}[ .-]?[0-9]{2})(?![0-9])"
)
_PHONE_DIGITS = range(8, 14)
_SHORT_CALL = re.compile(r"1[0-9]{2,4}(?![0-9]|[.,/-][0-9])")
_PLAIN = re.compile(r"[0-9]{3,}(?![0-9]|[.,/][0-9])")
_PLATE = re.compile(r"[0-9]{2}-?[A-ZĐ][A-Z0-9]?[- ][0-9]{3}\.?[0-9]{1,2}(?![0-9])")
_DOCUMENT = re.compile(r"([0-9]{1,6})/(?:([0-9]{4})/)?((?:[A-ZĐƯ][\w&]*)(?:-[A-ZĐƯ][\w&]*)*)")
_HEIGHT = re.compile(r"([0-9]{1,3})(?:(m)([0-9]{2}|[14-9])|(tr)([0-9]))(?!\w)")
_PRODUCT = re.compile(rf"{_NUMBER}(?: ?[x×*] ?{_NUMBER})+")
_TIMES = re.compile(r" ?[x×*] ?")
_SCORE = re.compile(r"([0-9]{1,3}) ?- ?([0-9]{1,3})(?![0-9/]|[.,-][0-9])")
_SLASHED = re.compile(r"([0-9]+) ?/ ?([0-9]+)(?:/([0-9]+))*(?![0-9]|[.,][0-9])")
_RATIO = re.compile(r"([0-9]+) ?: ?([0-9]+)(?![0-9:])")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){2,}(?![0-9])")
_LETTERED = re.compile(r"([0-9]{1,4})([A-ZĐ]{1,3}[0-9]{0,3})(?![\w])")
_SCALES = re.compile(r"(?: ?(?:nghìn|ngàn|triệu|tỷ|trăm))+(?!\w)")
_SIGN = re.compile(r"(>=|<=|[=<>≥≤≈~±×÷+]) ?")
_NUMERAL = re.compile(r"[IVXLC]+(?!\w)")
_SHORT_YEAR = re.compile(r"[0-9]{4}[-–]$")
_BARE_UNIT = re.compile(r"(?<!\w)[kcdm]?m$")
_PER = re.compile(r"/([^\W\d_]+[0-9²³]?)(?!\w)")
_MONEY_ENDS = re.compile(r"(?:đồng|đ|₫|VND|VNĐ|vnđ|USD|đô la|euro|EUR|k|tr|nghìn|ngàn|triệu|tỷ|%|phần trăm)$")
_MONEY_SIGNS = {"$": "đô la", "€": "ơ rô", "£": "bảng Anh", "¥": "yên"}
_PER_WORDS = frozenset(
    ("tháng", "năm", "ngày", "giờ", "tuần", "phút", "lần", "người", "vụ", "quý", "đêm", "suất")
)
#: one letter that may be a unit with a space before it
_SPACED_LETTERS = frozenset("mgl%°đ₫$€‰º")


def say_amount(written: str) -> str:
    """One number as it stands in a text."""
    written = written.replace(" ", "")
    if _ENGLISH.fullmatch(written):
        written = written.replace(",", "").replace(".", ",")
    elif _THOUSANDS.fullmatch(written):
        written = written.replace(".", "")
    elif "." in written:
        whole, _, rest = written.partition(".")
        return f"{_integer(whole)} chấm {fraction_to_words(rest)}"
    whole, _, fraction = written.partition(",")
    return _integer(whole) + (f" phẩy {fraction_to_words(fraction)}" if fraction else "")


def _integer(digits: str) -> str:
    """`05` is năm; longer ones that begin with 0, and endless ones, are read digit by digit."""
    if len(digits) > _LONGEST_AMOUNT or (digits[0] == "0" and len(digits) > 2):
        return digits_to_words(digits)
    return number_to_words(int(digits))


def say_phone(place: Place) -> Said | None:
    match = place.match(_PHONE)
    if match is None:
        return None
    digits = [ch for ch in match[0] if ch.isdigit()]
    if len(digits) not in _PHONE_DIGITS:
        return None
    plus = "cộng " if "+" in match[0] else ""
    return place.said(match, plus + digits_to_words("".join(digits)), "phone", 0.95)


def say_digits(place: Place) -> Said | None:
    """Account numbers, codes and short numbers to call, by the word before them."""
    match = place.match(_PLAIN)
    if match is not None and place.cued("digits", reach=4) and not place.cued("year"):
        return place.said(match, digits_to_words(match[0]), "digits.code", 0.9)
    match = place.match(_SHORT_CALL)
    if match is not None and place.words_before(1) in (["gọi"], ["đài"], ["hotline"]):
        return place.said(match, digits_to_words(match[0]), "digits.call", 0.9)
    return None


def say_plate(place: Place) -> Said | None:
    match = place.match(_PLATE)
    if match is None:
        return None
    names = [letter_names()[ch] if ch.isalpha() else digits_to_words(ch) for ch in match[0] if ch.isalnum()]
    return place.said(match, " ".join(names), "digits.plate", 0.9)


def say_document(place: Place) -> Said | None:
    """15/2020/NĐ-CP and 12/NQ-CP: the number of a law or decision."""
    match = place.match(_DOCUMENT)
    if match is None or match[3] in place.lexicon.units:
        return None
    numbers = [_integer(number) for number in (match[1], match[2]) if number]
    words = [*numbers, say_code(match[3], place.lexicon)]
    return place.said(match, " trên ".join(words), "code.document", 0.8)


def say_code(code: str, lexicon: Lexicon) -> str:
    """NĐ-CP → nghị định chính phủ, QH13 → quy hát mười ba."""
    if code in lexicon.codes:
        return lexicon.codes[code]
    parts = [part for part in code.split("-") if part]
    return " ".join(lexicon.codes.get(part) or spell(part) for part in parts)


def spell(code: str) -> str:
    """Capitals by name, digits as a number of up to two, longer ones digit by digit."""
    parts = re.findall(r"[0-9]+|.", code)
    return " ".join(_spell_part(part) for part in parts if part.isalnum())


def _spell_part(part: str) -> str:
    if part.isascii() and part.isdigit():
        return digits_to_words(part) if len(part) > 2 or part[0] == "0" else number_to_words(int(part))
    return letter_names().get(part.upper(), part)


def say_height(place: Place) -> Said | None:
    """1m65 and 1tr5."""
    match = place.match(_HEIGHT)
    if match is None:
        return None
    unit, more = ("mét", match[3]) if match[2] else ("triệu", match[5])
    return place.said(match, f"{_integer(match[1])} {unit} {_integer(more)}", "unit.height", 0.95)


def say_product(place: Place) -> Said | None:
    match = place.match(_PRODUCT)
    if match is None:
        return None
    words = " nhân ".join(say_amount(part) for part in _TIMES.split(match[0]))
    end, unit = _unit_after(place, match.end())
    return Said(place.at, end, f"{words} {unit.spoken}" if unit else words, "number.product", 0.95)


def say_score(place: Place) -> Said | None:
    match = place.match(_SCORE)
    if match is None or not place.cued("score", reach=3):
        return None
    return place.said(match, f"{_integer(match[1])} {_integer(match[2])}", "number.score", 0.9)


def say_slashed(place: Place) -> Said | None:
    """2/3 is a fraction, 15/3 a house: whatever was no date."""
    match = place.match(_SLASHED)
    if match is None:
        return None
    numbers = [re.sub(r"\s", "", part) for part in match[0].split("/")]
    if len(numbers) == 2 and 0 < int(numbers[0]) < int(numbers[1]) and not place.cued("house"):
        return place.said(match, f"{_integer(numbers[0])} phần {_part(numbers[1])}", "number.fraction", 0.9)
    return place.said(match, " trên ".join(map(_integer, numbers)), "number.slashed", 0.8)


def _part(digits: str) -> str:
    return "tư" if digits == "4" else _integer(digits)


def say_ratio(place: Place) -> Said | None:
    match = place.match(_RATIO)
    if match is None:
        return None
    return place.said(match, f"{_integer(match[1])} trên {_integer(match[2])}", "number.ratio", 0.8)


def say_version(place: Place) -> Said | None:
    match = place.match(_VERSION)
    if match is None or _THOUSANDS.fullmatch(match[0]):
        return None
    return place.said(match, " chấm ".join(map(_integer, match[0].split("."))), "number.version", 0.9)


def say_lettered(place: Place) -> Said | None:
    """4G, 1A, 12A1: a number with a letter that is no unit."""
    match = place.match(_LETTERED)
    if match is None or match[2] in place.lexicon.units:
        return None
    return place.said(match, f"{_integer(match[1])} {spell(match[2])}", "code.lettered", 0.9)


def say_bare_unit(place: Place) -> Said | None:
    """m3 and km2 without a number before them."""
    before = _BARE_UNIT.search(place.text[max(0, place.at - 3) : place.at])
    digit = place.text[place.at]
    if before is None or digit not in "23" or place.text[place.at + 1 : place.at + 2].isalnum():
        return None
    unit = place.lexicon.units.get(before[0] + digit)
    if unit is None:
        return None
    return Said(place.at - len(before[0]), place.at + 1, unit.spoken, "unit.bare", 0.9)


def say_ordinal(place: Place) -> Said | None:
    """thứ 4 → thứ tư, hạng 1 → hạng nhất."""
    match = place.match(_AMOUNT)
    if match is None or match[0] not in ("1", "4", "01", "04"):
        return None
    if place.cued("ordinal") or (match[0] in ("1", "01") and place.cued("first")):
        return place.said(match, "nhất" if match[0].endswith("1") else "tư", "number.ordinal", 0.95)
    return None


def say_number(place: Place) -> Said | None:
    """Any number, with the unit behind it."""
    match = place.match(_AMOUNT)
    if match is None:
        return None
    if _SHORT_YEAR.search(place.text[max(0, place.at - 5) : place.at]) and len(match[0]) == 2:
        words = digits_to_words(match[0]) if match[0][0] == "0" else say_amount(match[0])
        return place.said(match, words, "number.cardinal", 0.9)  # 2001-02
    return _measured(place, match, say_amount(match[0]))


def _measured(place: Place, match: re.Match[str], words: str) -> Said:
    end = match.end()
    scales = _SCALES.match(place.text, end)
    if scales is not None:
        words, end = f"{words} {scales[0].strip()}", scales.end()
    end, unit = _unit_after(place, end)
    if unit is None:
        return Said(match.start(), end, words, "number.cardinal" if scales is None else "number.scaled")
    words = f"{words} {unit.spoken}"
    if unit.kind == "scale":  # 100k đồng
        end, more = _unit_after(place, end)
        words = f"{words} {more.spoken}" if more else words
    return Said(match.start(), end, words, f"unit.{unit.kind}")


def _unit_after(place: Place, end: int) -> tuple[int, Unit | None]:
    """The unit behind a number, and where it ends."""
    match = _unit_pattern(place.lexicon).match(place.text, end)
    if match is None:
        return end, None
    symbol = match[1]
    if match[0][0] == " " and len(symbol) == 1 and symbol not in _SPACED_LETTERS:
        return end, None
    return match.end(), place.lexicon.units[symbol]


@lru_cache(maxsize=8)
def _unit_pattern(lexicon: Lexicon) -> re.Pattern[str]:
    listed = "|".join(re.escape(symbol) for symbol in sorted(lexicon.units, key=len, reverse=True))
    return re.compile(rf" ?({listed})(?!\w|'\w)")


def say_money(place: Place) -> Said | None:
    """$100, €1.5 triệu: the sign in front is said behind."""
    match = _AMOUNT.match(place.text, place.at + 1 + (place.text[place.at + 1] == " "))
    if match is None:
        return None
    number = match[0].replace(".", ",") if re.fullmatch(r"[0-9]+\.[0-9]{1,2}", match[0]) else match[0]
    scales = _SCALES.match(place.text, match.end())
    words = say_amount(number) + (f" {scales[0].strip()}" if scales else "")
    end = scales.end() if scales else match.end()
    return Said(place.at, end, f"{words} {_MONEY_SIGNS[place.text[place.at]]}", "unit.money")


def say_dash(place: Place) -> Said | None:
    """A dash before a number: a range behind another number, a minus, or a hyphen of a name."""
    text, dash = place.text, place.at
    start = dash - (text[dash - 1 : dash] == " ")
    end = dash + 1 + (text[dash + 1] == " ")
    joins = start == place.last_end and (start == dash) == (end == dash + 1)
    if joins or (start == place.last_end and text[dash] in "–—"):
        return _range(place, start, end)
    if end > dash + 1 or text[dash] not in "-−" or not text[end].isdigit():
        return None
    said = say_number(Place(text, end, place.lexicon))
    if said is None:
        return None
    if dash > 0 and text[dash - 1].isalpha():  # COVID-19, Su-27
        return Said(dash, said.end, said.words, "code.hyphen", 0.9)
    if dash == 0 or text[dash - 1] in ' ([=<>“"':
        return Said(dash, said.end, f"âm {said.words}", f"{said.rule}.negative", 0.95)
    return None


def _range(place: Place, start: int, end: int) -> Said | None:
    if not place.text[end].isdigit() and _NUMERAL.match(place.text, end) is None:
        return None
    return Said(start, end, "đến", "number.range", 0.95)


def say_sign(place: Place) -> Said | None:
    """2+3=5, y ≤ 10."""
    match = place.match(_SIGN)
    words = signs("number").get(match[1]) if match else None
    if match is None or words is None:
        return None
    start = place.at - (place.text[place.at - 1 : place.at] == " ")
    return Said(start, match.end(), words, "number.sign", 0.9)


def say_per(place: Place) -> Said | None:
    """đồng/kg → đồng một ki lô gam; người/km2 → người trên ki lô mét vuông."""
    match = place.match(_PER)
    if match is None:
        return None
    unit = place.lexicon.units.get(match[1])
    money = _MONEY_ENDS.search(place.text[: place.at][-12:]) is not None
    if money or match[1] in _PER_WORDS:
        return place.said(match, f"một {unit.spoken if unit else match[1]}", "unit.per", 0.9)
    if unit is None or unit.kind == "scale":
        return None
    return place.said(match, f"trên {unit.spoken}", "unit.per", 0.9)


RULES = (
    say_phone,
    say_digits,
    say_plate,
    say_document,
    say_height,
    say_product,
    say_score,
    say_slashed,
    say_ratio,
    say_version,
    say_lettered,
    say_bare_unit,
    say_ordinal,
    say_number,
)
