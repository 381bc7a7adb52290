"""Abbreviations, acronyms, Roman numerals and codes with letters, said."""

from __future__ import annotations

import re

from phonoloop.text.numbers import number_to_words, roman_to_number
from phonoloop.text.said import Place, Said
from phonoloop.text.say_numbers import spell
from phonoloop.text.syllables import parse

_WORD = re.compile(r"[\w&]+")
_CODE = re.compile(r"([A-ZĐ]{1,4})-?([0-9]{1,4})([A-ZĐ0-9]{0,4})(?!\w)")
#: as much as an abbreviation can be, with what it may hold
_TOKEN = re.compile(r"[\w&./-]+(?: HCM(?!\w)| hcm(?!\w))?:?")
_LONGEST_KEY = 24
_ROMAN = re.compile(r"[IVXLCDM]+(?!\w)")
_ROMAN_COMMON = re.compile(r"[IVX]{2,}")
#: what may stand between an abbreviation and the name or number it goes with
_DOT = re.compile(r"(?: ?\.)? ?")
_ACRONYM = re.compile(r"[A-ZĐƯ]{2,5}")
#: three consonants in a row cannot be read as a word
_UNREADABLE = re.compile(r"[^AEIOUY]{3}|^[^AEIOUY]{2}|[^AEIOUY]{2}$|^[^AEIOUY]*$|^[A-ZĐ]{2,3}$")
_MONARCHS = {1: "đệ nhất", 2: "đệ nhị", 3: "đệ tam", 4: "đệ tứ"}
#: longer lines in capitals are shouted, and what stands in them is no acronym
_AROUND = 60
_SHOUTED = re.compile(r"[A-ZÀ-ỸĐ]{2,} [A-ZÀ-ỸĐ]{2,} [A-ZÀ-ỸĐ]{2,}")


def say_abbreviation(place: Place) -> Said | None:
    """As the tables have it."""
    for key in _candidates(place):
        entry, end = place.lexicon.abbreviations[key], place.at + len(key)
        following = place.text[end : end + 1]
        if entry.before == "any" and not following.isalnum():
            if not entry.spoken:
                return Said(place.at, end, key, "abbreviation.kept")
            return Said(place.at, end, entry.spoken, "abbreviation", 0.95)
        dot = _DOT.match(place.text, end)
        if entry.before != "any" and dot and _goes_with(place.text[dot.end() : dot.end() + 1], entry.before):
            return Said(place.at, dot.end(), entry.spoken, "abbreviation.name", 0.9)
        if entry.before == "title" and not following.isalnum():
            return Said(place.at, end, entry.spoken, "abbreviation", 0.9)
    return None


def _candidates(place: Place) -> list[str]:
    """The spellings of the table that begin here, the longest first."""
    known = place.lexicon.abbreviations
    token = _TOKEN.match(place.text, place.at)
    if token is None:
        return []
    longest = token[0][:_LONGEST_KEY]
    keys = (longest[:end] for end in range(len(longest), 0, -1))
    return [key for key in keys if key in known and _is_whole(key, longest[len(key) : len(key) + 1])]


def _is_whole(key: str, following: str) -> bool:
    return following != "&" and not (following.isalpha() and key[-1].isalpha())


def _goes_with(following: str, before: str) -> bool:
    if following.isascii() and following.isdigit():
        return before in ("name", "title", "number")
    return before in ("name", "title", "capital") and following.isupper()


def say_roman(place: Place) -> Said | None:
    """Any Roman numeral behind a word that is counted; II, XIX and the like anywhere."""
    match = place.match(_ROMAN)
    value = roman_to_number(match[0]) if match else None
    if match is None or value is None:
        return None
    if place.cued("roman"):
        return place.said(match, _counted(value, ordinal=place.cued("ordinal")), "number.roman", 0.95)
    if not _ROMAN_COMMON.fullmatch(match[0]):
        return None
    return place.said(match, _monarch(place, value) or number_to_words(value), "number.roman", 0.8)


def _counted(value: int, *, ordinal: bool) -> str:
    if ordinal and value in (1, 4):
        return "nhất" if value == 1 else "tư"
    return number_to_words(value)


def _monarch(place: Place, value: int) -> str:
    """Elizabeth II: a foreign name stands before it."""
    name = re.search(r"(\w+) $", place.text[max(0, place.at - 24) : place.at])
    foreign = name is not None and name[1][0].isupper() and parse(name[1]) is None
    return _MONARCHS.get(value, "") if foreign else ""


def say_code(place: Place) -> Said | None:
    """A4, VTV1, H5N1, F-16, VN123."""
    match = place.match(_CODE)
    if match is None:
        return None
    return place.said(match, spell(match[0].replace("-", "")), "code.letters", 0.9)


def say_acronym(place: Place) -> Said | None:
    """FPT → ép pê tê, unless it can be read as a word or the whole line is in capitals."""
    match = place.match(_WORD)
    if match is None or not _ACRONYM.fullmatch(match[0]):
        return None
    word = match[0]
    if (
        parse(word) is not None
        or _SHOUTED.search(place.text[max(0, place.at - _AROUND) : place.at + _AROUND])
        or not _UNREADABLE.search(word)
    ):
        return None
    return place.said(match, spell(word), "acronym", 0.8)


def say_and(place: Place) -> Said | None:
    return Said(place.at, place.at + 1, "và", "number.sign", 0.95)


RULES = (say_roman, say_abbreviation, say_code, say_acronym)
SINGLE_RULES = (say_roman, say_abbreviation, say_code)
