"""One spelling for Vietnamese text: Unicode, letters of old fonts, place of the tone mark, i and y.

None of it changes which word is meant. What is not a Vietnamese syllable stays as it is, also within
web addresses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

from phonoloop.text.addresses import address_spans
from phonoloop.text.corrections import Correction, Rewritten, apply, compose
from phonoloop.text.syllables import parse
from phonoloop.text.tables import read_table
from phonoloop.text.vietnamese import place_tone

# takes no width but is a letter or a mark, not a format character, by its category
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f]+[^\W\d_]*)*")
#: words that hold anything from which the spelling could be changed
_SUSPECT = re.compile(r"[^\x00-\x7f]|[Qq][Uu][Ii]")
_LOOSE_MARK = re.compile("[\u0302\u0306]")
#: a tone mark that was typed before the circumflex or breve of its vowel; nothing else stands on it
_TONE_FIRST = re.compile(
    "(?:(?<=[aeoAEO])([\u0300\u0301\u0303\u0309])(\u0302)|(?<=[aA])([\u0300\u0301\u0303\u0309])(\u0306))(?![\u0300-\u036f])"
)


def visible(text: str) -> str:
    """Composed (NFC), without invisible characters, one space between words."""
    if text.isascii() and text.isprintable():
        return _SPACE.sub(" ", text).strip()
    kept = "".join(map(_seen, _INVISIBLE.sub("", text)))
    return _SPACE.sub(" ", _composed(kept)).strip()


def clean(text: str) -> Rewritten:
    """As `visible`, with what was changed."""
    wanted = visible(text)
    return Rewritten(text) if wanted == text else Rewritten(wanted, tuple(_cleanings(text)))


def respell(text: str) -> Rewritten:
    """Letters of old fonts, tone marks and i/y of composed text."""
    changes = tuple(_respellings(text))
    return Rewritten(apply(text, changes), changes) if changes else Rewritten(text)


def normalise(text: str) -> Rewritten:
    """`clean`, then `respell`: one way of writing each Vietnamese syllable. Idempotent."""
    cleaned = clean(text)
    spelled = respell(cleaned.text)
    return Rewritten(spelled.text, joined(text, cleaned, spelled))


def joined(text: str, first: Rewritten, second: Rewritten) -> tuple[Correction, ...]:
    """The corrections of two stages in a row, against the first one's input."""
    if not first.corrections or not second.corrections:
        return first.corrections or second.corrections
    return compose(text, first.corrections, second.corrections)


@lru_cache(maxsize=4096)
def _seen(ch: str) -> str:
    category = unicodedata.category(ch)
    if category in ("Cf", "Cs"):  # zero width, direction marks; halves of characters
        return ""
    return " " if category in ("Cc", "Cn", "Co", "Zl", "Zp", "Zs") else ch


def _composed(text: str) -> str:
    """NFC, also where the tone mark was typed first (`e\u0301\u0302` → `ế`)."""
    if unicodedata.is_normalized("NFC", text) and not _LOOSE_MARK.search(text):
        return text
    return unicodedata.normalize("NFC", _TONE_FIRST.sub(r"\2\1\4\3", unicodedata.normalize("NFD", text)))


def _cleanings(text: str) -> Iterator[Correction]:
    """Between words a gap that is not one space, within words what changed."""
    done = 0
    for start, end, word in _seen_words(text):
        gap = text[done:start]
        if gap != (" " if done else ""):
            yield Correction(done, start, gap, " " if done else "", "unicode.space")
        if word != text[start:end]:
            yield Correction(start, end, text[start:end], word, "unicode.composed")
        done = end
    if done < len(text):
        yield Correction(done, len(text), text[done:], "", "unicode.space")


def _seen_words(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, word as it will be) of what stands between white space once invisibles are gone."""
    places = [at for at, ch in enumerate(text) if not _INVISIBLE.match(ch) and _seen(ch)]
    kept = "".join(_seen(text[at]) for at in places)
    for match in re.finditer(r"\S+", kept):
        yield places[match.start()], places[match.end() - 1] + 1, _composed(match[0])


def _respellings(text: str) -> Iterator[Correction]:
    if not _SUSPECT.search(text):
        return
    addresses = address_spans(text)
    for match in _WORD.finditer(text):
        word = match[0]
        if not _SUSPECT.search(word):
            continue
        wanted, rule = respelled(word)
        if wanted == word or any(start <= match.start() < end for start, end in addresses):
            continue
        if rule != "spelling.i_y" or not _is_exception(text, match, word.lower()):
            yield Correction(match.start(), match.end(), word, wanted, rule)


@lru_cache(maxsize=65_536)
def respelled(word: str) -> tuple[str, str]:
    """A word in the one spelling, in its case, and the rule that changed it last."""
    rule, lower = "", word.lower()
    mended = _mended(lower)
    if mended != lower:
        rule, lower = "unicode.legacy", mended
    placed = place_tone(lower)
    if placed != lower:
        rule, lower = "spelling.tone", placed
    same_sound = i_y().get(lower, ("",))[0]
    if same_sound:
        rule, lower = "spelling.i_y", same_sound
    return (_in_case_of(word, lower), rule) if rule else (word, "")


def _mended(lower: str) -> str:
    """Letters of old fonts replaced, where that makes a syllable."""
    if not any(ch in _legacy_letters() for ch in lower):
        return lower
    mended = "".join(_legacy_letters().get(ch, ch) for ch in lower)
    return mended if parse(mended) is not None else lower


def _in_case_of(word: str, lower: str) -> str:
    """`lower` in the case of `word`: all capitals, a capital first, or letter by letter."""
    if word.islower():
        return lower
    if word.isupper() and len(word) > 1:
        return lower.upper()
    if word[:1].isupper() and word[1:] == word[1:].lower():
        return lower[:1].upper() + lower[1:]
    if len(word) != len(lower):
        return lower
    return "".join(new.upper() if old.isupper() else new for old, new in zip(word, lower, strict=True))


@lru_cache(maxsize=1)
def i_y() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Spelling → (the one that is kept, phrases in which it is right after all)."""
    return {
        line["from"]: (line["to"], () if line["not_in"] == "-" else tuple(line["not_in"].split(", ")))
        for line in read_table("i_y.tsv")
    }


@lru_cache(maxsize=1)
def _legacy_letters() -> Mapping[str, str]:
    return {chr(int(line["from"], 16)): chr(int(line["to"], 16)) for line in read_table("legacy_letters.tsv")}


def _is_exception(text: str, match: re.Match[str], lower: str) -> bool:
    around = text[max(0, match.start() - 16) : match.end() + 16].lower()
    return any(phrase in around for phrase in i_y().get(place_tone(lower), ("", ()))[1])
