"""One way of writing for texts that are compared or trained on.

This is the plain one: letters, digits and their places. It spells nothing out (numbers, dates and
abbreviations stay as they are) and corrects nothing. What it gives depends on its version, so
`NORMALISER_VERSION` stands beside every figure that was computed on its output.

The same model scored 18 to 102 on one corpus under different normalisations: figures with
different versions must not be compared.
"""

from __future__ import annotations

import re
import unicodedata

from phonoloop.text.vietnamese import place_tone

#: changes whenever `for_scoring` could give another text for any input
NORMALISER_VERSION = "basic-vi-1"

# what looks like an apostrophe or a hyphen inside a word
_QUOTES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u2032\u02bc\u02b9\u00b4\u0060\uff07"), "'")
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2212\ufe63\uff0d"), "-")
_DASHES = "\u2012\u2013\u2014\u2015"
_SAME = _QUOTES | _HYPHENS

# takes no width but is a letter or a mark, not a format character, by its category
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_SPACE = re.compile(r"\s+")
_BETWEEN_WORD_CHARACTERS = frozenset("'-")
_BETWEEN_DIGITS = frozenset(".,:/-" + _DASHES)


def display(text: str) -> str:
    """The text for people: composed (NFC), without invisible characters, one space between words.

    Case, punctuation and tone placement stay as they were written.
    """
    visible = "".join(_seen(ch) for ch in _INVISIBLE.sub("", text))
    return _SPACE.sub(" ", unicodedata.normalize("NFC", visible)).strip()


def for_scoring(text: str) -> str:
    """The text that error rates are counted on.

    Lower case, NFC, straight apostrophes and hyphens; punctuation and symbols become spaces
    unless they stand inside a word (`e-mail`, `don't`, `1.000`, `10:30`); Vietnamese tone marks
    stand where the older style puts them (`hòa`, `khỏe`, `thủy`). Idempotent; takes any string.
    """
    lower = unicodedata.normalize("NFC", display(text).translate(_SAME).lower())
    kept = "".join(_kept(lower, at) for at in range(len(lower)))
    return " ".join(place_tone(word) for word in kept.split())


def for_training(text: str) -> str:
    """The text a recogniser learns to write: at present the same as it is scored on.

    Fillers (`ờ`, `ừm`) stay: they were said.
    """
    return for_scoring(text)


def _seen(ch: str) -> str:
    category = unicodedata.category(ch)
    if category in ("Cf", "Cs"):  # zero width, direction marks; halves of characters
        return ""
    return " " if category in ("Cc", "Cn", "Co", "Zl", "Zp", "Zs") else ch


def _kept(text: str, at: int) -> str:
    """What becomes of one character: itself, what stands for it, or a space."""
    ch = text[at]
    if ch == " " or ch.isalnum():
        return ch
    before = text[at - 1] if at else " "
    if unicodedata.category(ch).startswith("M"):
        return ch if _has_base(text, at) else " "
    after = text[at + 1] if at + 1 < len(text) else " "
    if ch in _BETWEEN_DIGITS and before.isdecimal() and after.isdecimal():
        return "-" if ch in _DASHES else ch
    inside = ch in _BETWEEN_WORD_CHARACTERS and _in_word(text, at - 1) and after.isalnum()
    return ch if inside else " "


def _in_word(text: str, at: int) -> bool:
    return at >= 0 and (text[at].isalnum() or _has_base(text, at))


def _has_base(text: str, at: int) -> bool:
    """Whether a run of combining marks that ends here stands on a letter or digit."""
    while at >= 0 and unicodedata.category(text[at]).startswith("M"):
        at -= 1
    return at >= 0 and text[at].isalnum()
