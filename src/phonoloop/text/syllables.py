"""Vietnamese syllables as they are written: onset, rime and tone.

The tables `tables/onsets.tsv` and `tables/rimes.tsv` say what a syllable can be; everything here follows
from them. Sources: Thompson, A Vietnamese Reference Grammar (1987), chapters 2 and 3; Đoàn Thiện Thuật,
Ngữ âm tiếng Việt (1977).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from phonoloop.core.errors import InputError
from phonoloop.text.tables import read_table

#: the six tones and the combining character that writes each
TONES = {
    "ngang": "",
    "huyền": "\u0300",
    "sắc": "\u0301",
    "hỏi": "\u0309",
    "ngã": "\u0303",
    "nặng": "\u0323",
}
_TONE_OF_MARK = {mark: tone for tone, mark in TONES.items() if mark}
#: syllables that end in a stop have one of two tones
_STOPS, _TONES_OF_STOPS = frozenset(("c", "ch", "p", "t")), ("sắc", "nặng")
_NO_ONSET = "·"
_NOTHING = "-"
_MARKED = "ăâêôơư"
#: no syllable is longer than `nghiêng`; its marks may stand apart
_LONGEST = 7 * 3


@dataclass(frozen=True, slots=True)
class Syllable:
    """One syllable in letters.

    Attributes:
        onset: as written (`ngh`, `qu`, `gi`), empty where the syllable begins with its vowel.
        rime: as written, without tone mark, in full where `gi` has swallowed its `i` (`giếng` is gi + iêng).
        tone: one of `TONES`.
    """

    onset: str
    rime: str
    tone: str


@dataclass(frozen=True, slots=True)
class Rime:
    """A line of `rimes.tsv`: `glide` is `w` or empty, `vowel` and `end` are in letters; `after` holds the
    onsets after which alone it is written, and is empty where no rule holds."""

    glide: str
    vowel: str
    end: str
    after: frozenset[str]


@dataclass(frozen=True, slots=True)
class Onset:
    """A line of `onsets.tsv`; `sound` is the usual spelling of the same sound (`c` for k and qu)."""

    sound: str
    before: tuple[str, ...]
    rounded: bool


def parse(word: str, *, any_tone: bool = False) -> Syllable | None:
    """The syllable that a word is, in any case and composed or not; None when it is none.

    The tone mark may stand on any of the vowels (`hoà`, `hòa`, `tóan`); `i` and `y` stay as they are
    written (`kĩ`, `kỹ`).

    Args:
        any_tone: take syllables that end in c, ch, p or t with any tone too. None is Vietnamese
            (`bat`, `còc`), but recognisers and people without a Vietnamese keyboard write them.
    """
    found = _parse(word) if len(word) <= _LONGEST else None  # long words are not worth keeping
    if found is None or any_tone or found.tone in _TONES_OF_STOPS:
        return found
    return None if rimes()[found.rime].end in _STOPS else found


@lru_cache(maxsize=65_536)
def _parse(word: str) -> Syllable | None:
    bare, marks = _split_tone(word.lower())
    parts = _spellings().get(bare)
    if parts is None or len(marks) > 1:
        return None
    return Syllable(*parts, _TONE_OF_MARK[marks] if marks else "ngang")


def without_tone(word: str) -> str:
    """The word without any tone mark, composed; the other marks and the case stay (`Tiếng` → `Tiêng`)."""
    return _split_tone(word)[0]


def _split_tone(word: str) -> tuple[str, str]:
    decomposed = unicodedata.normalize("NFD", word)
    marks = "".join(ch for ch in decomposed if ch in _TONE_OF_MARK)
    bare = "".join(ch for ch in decomposed if ch not in _TONE_OF_MARK)
    return unicodedata.normalize("NFC", bare), marks


@lru_cache(maxsize=65_536)
def compose(syllable: Syllable) -> str:
    """The syllable in lower case, composed, the tone mark where the older style puts it (`hòa`, `thủy`).

    Raises:
        InputError: `syllable.unknown`, for parts that Vietnamese does not put together.
    """
    written = _written(syllable.onset, syllable.rime)
    if _spellings().get(written) != (syllable.onset, syllable.rime) or syllable.tone not in TONES:
        raise InputError(
            f"there is no such syllable: {syllable.onset!r} + {syllable.rime!r}, {syllable.tone}",
            code="syllable.unknown",
            hint="onsets.tsv and rimes.tsv in phonoloop/text/tables list what there is",
        )
    vowels, coda = _split_vowels(written[_onset_length(syllable.onset, written) :])
    at = len(written) - len(coda) - len(vowels) + _tone_position(vowels, has_coda=bool(coda))
    return unicodedata.normalize("NFC", written[: at + 1] + TONES[syllable.tone] + written[at + 1 :])


def _onset_length(onset: str, written: str) -> int:
    """`gi` keeps its i for the tone where no other vowel follows it (`gì`, `gìn`)."""
    if onset == "gi" and not _split_vowels(written[2:])[0]:
        return 1
    return len(onset)


def _split_vowels(rime: str) -> tuple[str, str]:
    vowels = rime.rstrip("bcghkmnpt")
    return vowels, rime[len(vowels) :]


def _tone_position(vowels: str, *, has_coda: bool) -> int:
    """Which vowel of a group carries the tone: the last with a mark of its own; without one the
    last before a consonant, the middle of three, else the first."""
    marked = [i for i, vowel in enumerate(vowels) if vowel in _MARKED]
    if marked:
        return marked[-1]
    if has_coda:
        return len(vowels) - 1
    return 1 if len(vowels) == 3 else 0


def tone_of(word: str) -> str | None:
    """The tone that a word's mark writes, whether or not it is a syllable; None with several marks."""
    _, marks = _split_tone(word)
    if len(marks) > 1:
        return None
    return _TONE_OF_MARK[marks] if marks else "ngang"


def strip_marks(text: str) -> str:
    """Latin letters without any marks, đ as d, in their case: what is typed without a Vietnamese keyboard.

    Works on composed characters (NFC) and gives one character for each, so positions stay. Other scripts,
    and marks that no composed letter holds, stay as they are.
    """
    return "".join(map(_plain_letter, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _plain_letter(ch: str) -> str:
    if ch in "đĐ":
        return "d" if ch == "đ" else "D"
    base = unicodedata.normalize("NFD", ch)[:1]
    return base if base.isascii() and base.isalpha() else ch


def all_syllables() -> Iterator[Syllable]:
    """Every syllable that the orthography allows, said or not: about 20,000."""
    for onset, rime in _spellings().values():
        stopped = rimes()[rime].end in _STOPS
        for tone in _TONES_OF_STOPS if stopped else TONES:
            yield Syllable(onset, rime, tone)


@lru_cache(maxsize=1)
def onsets() -> dict[str, Onset]:
    """By spelling; the empty onset is the empty string."""
    return {
        _empty(line["onset"]): Onset(
            _empty(line["sound"]), tuple(line["before"].split(" ")), line["rounded"] == "yes"
        )
        for line in read_table("onsets.tsv")
    }


@lru_cache(maxsize=1)
def rimes() -> dict[str, Rime]:
    """By spelling, without tone marks."""
    return {
        line["rime"]: Rime(_empty(line["glide"]), line["vowel"], _empty(line["end"]), _after(line["after"]))
        for line in read_table("rimes.tsv")
    }


def _after(cell: str) -> frozenset[str]:
    return frozenset() if cell == _NOTHING else frozenset(map(_empty, cell.split(" ")))


def _empty(cell: str) -> str:
    return "" if cell in (_NO_ONSET, _NOTHING) else cell


@lru_cache(maxsize=1)
def _spellings() -> dict[str, tuple[str, str]]:
    """Every syllable without tone mark, as written → onset and rime."""
    return {
        _written(onset, rime): (onset, rime) for onset in onsets() for rime in rimes() if _goes(onset, rime)
    }


def _written(onset: str, rime: str) -> str:
    return onset + (rime.removeprefix("i") if onset == "gi" else rime)


def _goes(onset: str, rime: str) -> bool:
    """Whether an onset is written before a rime."""
    first, second = onsets()[onset], rimes()[rime]
    if second.after and onset not in second.after:
        return False
    if second.glide and not first.rounded:
        return False
    if not rime.startswith(first.before):
        return False
    if onset == "gi":
        return _goes_with_gi(rime)
    if onset == "qu":
        return rime != "ia"
    return onset != "" or not rime.startswith("iê")  # yên, yêu


def _goes_with_gi(rime: str) -> bool:
    """`gia` is gi + a and `giết` gi + iêt: of two rimes that would be written alike, one."""
    if rime in ("ia", "iu"):
        return False
    return not (rime.startswith("ê") and f"i{rime}" in rimes())
