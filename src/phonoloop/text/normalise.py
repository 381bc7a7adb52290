"""One way of writing for texts that are compared or trained on.

Vietnamese text is brought into its spoken form first (`spoken.to_spoken`): `10` and `mười` are the same
word said aloud. The digits of other languages stay as they are. What comes out depends on the version,
so `NORMALISER_VERSION` stands beside every figure that was computed on it.

The same model scored 18 to 102 on one corpus under different normalisations: figures with
different versions must not be compared.
"""

from __future__ import annotations

import re
import unicodedata

from phonoloop.text.addresses import address_spans
from phonoloop.text.spelling import normalise, respell, visible
from phonoloop.text.spoken import has_unspoken, speak, to_spoken
from phonoloop.text.vietnamese import place_tone
from phonoloop.text.written import to_written

#: changes whenever `for_scoring` could give another text for any input
NORMALISER_VERSION = "spoken-vi-2"
#: the language of texts that do not say theirs
DEFAULT_LANGUAGE = "vi"

# what looks like an apostrophe or a hyphen inside a word
_QUOTES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u2032\u02bc\u02b9\u00b4\u0060\uff07"), "'")
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2212\ufe63\uff0d"), "-")
_DASHES = "\u2012\u2013\u2014\u2015"
_SAME = _QUOTES | _HYPHENS

#: what is neither a letter, a digit nor a space
_SIGN = re.compile(r"[^\w ]|_")
_BETWEEN_WORD_CHARACTERS = frozenset("'-")
_BETWEEN_DIGITS = frozenset(".,:/-" + _DASHES)

#: words that say the same number in another part of the country, and the one that is scored
_VARIANT = re.compile(r"\b(?:ngàn|bẩy|rưởi|(?:(?<=trăm )|(?<=nghìn )|(?<=ngàn ))lẻ|(?<=mươi )(?:bốn|nhăm))\b")
_VARIANTS = {"ngàn": "nghìn", "bẩy": "bảy", "rưởi": "rưỡi", "lẻ": "linh", "bốn": "tư", "nhăm": "lăm"}
#: spoken text seldom holds more to say, and never for long
_MOST_ROUNDS = 4


def is_vietnamese(language: str) -> bool:
    """Whether a language tag (`vi`, `vi-VN`, `VI_vn`) names Vietnamese."""
    return re.split(r"[-_]", language, maxsplit=1)[0].lower() == "vi"


def display(text: str) -> str:
    """The text for people: composed (NFC), without invisible characters, one space between words.

    Case, punctuation and tone placement stay as they were written.
    """
    return visible(text)


def for_scoring(text: str, language: str = DEFAULT_LANGUAGE) -> str:
    """The text that error rates are counted on.

    Lower case, NFC, straight apostrophes and hyphens; punctuation and symbols become spaces
    unless they stand inside a word (`e-mail`, `don't`) or number; Vietnamese tone marks stand where the
    older style puts them (`hòa`, `khỏe`, `thủy`). Vietnamese also: numbers, dates, units and
    abbreviations as they are said, i and y in one spelling, number words of the north (`một ngàn lẻ
    năm` is `một nghìn linh năm`). Idempotent; takes any string.
    """
    plain = for_training(text, language)
    return _VARIANT.sub(_common, plain) if is_vietnamese(language) else plain


def for_training(text: str, language: str = DEFAULT_LANGUAGE) -> str:
    """The text a recogniser learns to write: as `for_scoring`, with the number words that were used.

    Fillers (`ờ`, `ừm`) stay: they were said.
    """
    shown = visible(text)
    if not is_vietnamese(language):
        return _plain(shown)
    plain = _spoken(shown)
    for _ in range(_MOST_ROUNDS):  # without its capitals and signs, more may be an abbreviation
        if not (has_unspoken(plain) or address_spans(shown)):
            break
        shown, plain = plain, _spoken(plain)
        if shown == plain:
            break
    return plain


def _spoken(text: str) -> str:
    return _plain(speak(respell(text).text).text)


def _common(match: re.Match[str]) -> str:
    return _VARIANTS[match[0]]


def _plain(text: str) -> str:
    """Lower case, without punctuation, tone marks in their place."""
    lower = unicodedata.normalize("NFC", text.translate(_SAME).lower())
    kept = _SIGN.sub(_Signs(lower), lower)
    return " ".join(map(place_tone, kept.split()))


class _Signs:
    """What becomes of each sign of a text, asked from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mark = -1  # the last combining mark that was seen to stand on a letter or digit

    def __call__(self, match: re.Match[str]) -> str:
        """The sign itself, what stands for it, or a space."""
        ch, at = match[0], match.start()
        if unicodedata.category(ch).startswith("M"):
            if not self._in_word(at - 1):
                return " "
            self._mark = at
            return ch
        before = self._text[at - 1] if at else " "
        after = self._text[at + 1] if at + 1 < len(self._text) else " "
        if ch in _BETWEEN_DIGITS and before.isdecimal() and after.isdecimal():
            return "-" if ch in _DASHES else ch
        inside = ch in _BETWEEN_WORD_CHARACTERS and self._in_word(at - 1) and after.isalnum()
        return ch if inside else " "

    def _in_word(self, at: int) -> bool:
        return at >= 0 and (self._text[at].isalnum() or at == self._mark)


__all__ = [
    "DEFAULT_LANGUAGE",
    "NORMALISER_VERSION",
    "display",
    "for_scoring",
    "for_training",
    "is_vietnamese",
    "normalise",
    "to_spoken",
    "to_written",
]
