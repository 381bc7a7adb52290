"""How far apart two sounds are, for any language that can be written in the International Phonetic Alphabet.

A sound is a string such as `tʃ`, `aː`, `iə`, `ŋ͡m` or `˧˥` (a tone). Consonants are compared by place, manner
and voice, vowels by height, backness and rounding, tones by their contour and by whether the voice creaks:
the features of the IPA chart, taken as distances as in Kondrak, Phonetic Alignment and Similarity,
Computers and the Humanities 37 (2003). The weights are ours; they were set by hand, not learned.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from phonoloop.text.tables import read_table

#: where along the mouth, from the lips down
_PLACES = {
    "labial": 0.0,
    "labiodental": 0.5,
    "dental": 2.0,
    "alveolar": 2.5,
    "postalveolar": 3.5,
    "retroflex": 4.0,
    "palatal": 5.0,
    "velar": 6.5,
    "uvular": 7.5,
    "pharyngeal": 8.5,
    "glottal": 9.5,
}
_FARTHEST_PLACE = 5.0
#: manner → how far it goes on, sonorant, nasal, lateral, rhotic, click
_MANNERS = {
    "stop": (0.0, 0, 0, 0, 0, 0),
    "affricate": (0.5, 0, 0, 0, 0, 0),
    "fricative": (1.0, 0, 0, 0, 0, 0),
    "nasal": (0.0, 1, 1, 0, 0, 0),
    "lateral": (0.5, 1, 0, 1, 0, 0),
    "tap": (0.5, 1, 0, 0, 1, 0),
    "trill": (0.7, 1, 0, 0, 1, 0),
    "approximant": (1.0, 1, 0, 0, 0, 0),
    "click": (0.0, 0, 0, 0, 0, 1),
}
_MANNER_WEIGHTS = (0.35, 0.35, 0.2, 0.2, 0.2, 0.5)
_VOICES = {"voiceless": 0.0, "voiced": 1.0, "implosive": 1.4}
_PLACE, _MANNER, _VOICE = 0.42, 0.40, 0.13
_HEIGHT, _BACK, _ROUNDED = 0.50, 0.30, 0.12
_HEIGHTS, _BACKS = 6, 4
#: marks on a sound → what one more or less of it is worth
_MARKS = {
    "ː": 0.12,
    "ˑ": 0.06,
    "\u0303": 0.10,
    "ʰ": 0.10,
    "ʼ": 0.10,
    "ʷ": 0.06,
    "ʲ": 0.06,
    "ˤ": 0.10,
    "˞": 0.06,
}
#: what is told apart by no language that matters here, ties, stress and syllable marks
_IGNORED = frozenset("\u0361\u035c\u032a\u033a\u0329\u032f\u031a\u0306\u031f\u0320\u031e\u031d\u0308ᵝˈˌ.|‿'")
_HALF_VOWELS = {"j": "i", "w": "u", "ɥ": "y", "ɰ": "ɯ"}
_LEVELS = {"˩": 1, "˨": 2, "˧": 3, "˦": 4, "˥": 5}
_CREAK = "ˀ"
_CONTOUR, _VOICE_QUALITY, _FARTHEST_CONTOUR = 0.75, 0.25, 2.5
#: sounds that come and go cost half of what others cost
_WEAK = frozenset("ʔhɦəjwɥɰ")


@dataclass(frozen=True, slots=True)
class _Sound:
    """A sound in its parts: consonants and vowels as the tables name them, levels of a tone, or a symbol
    that is none of these."""

    consonants: tuple[str, ...] = ()
    vowels: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    creaks: bool = False
    marks: frozenset[str] = frozenset()
    unknown: str = ""


@lru_cache(maxsize=1 << 16)
def sound_distance(one: str, other: str) -> float:
    """0 (the same) to 1, the same both ways. An empty sound, and a symbol that the tables do not hold, are 1
    from everything but themselves."""
    if one == other:
        return 0.0
    a, b = sorted((_sound(one), _sound(other)), key=repr)
    if a.unknown or b.unknown:
        return float(a != b)
    marks = sum(_MARKS[mark] for mark in a.marks ^ b.marks)
    return min(1.0, _without_marks(a, b) + marks)


def is_vowel(sound: str) -> bool:
    """Whether it can be the middle of a syllable: a vowel, a diphthong, or a consonant that is marked so."""
    return bool(_sound(sound).vowels) or "\u0329" in unicodedata.normalize("NFD", sound)


def is_tone(sound: str) -> bool:
    """Chao's letters, or digits as espeak-ng writes tones."""
    return bool(_sound(sound).levels) or sound.isdigit()


def _without_marks(a: _Sound, b: _Sound) -> float:
    if a.levels and b.levels:
        return _tone_distance(a, b)
    if a.consonants and b.consonants and not (a.vowels or b.vowels):
        return _lists_distance(a.consonants, b.consonants, _consonant_distance)
    if a.vowels and b.vowels and not (a.consonants or b.consonants):
        return _lists_distance(a.vowels, b.vowels, _vowel_distance)
    return _mixed_distance(a, b)


def _mixed_distance(a: _Sound, b: _Sound) -> float:
    """A half vowel is a quarter of the way from its vowel to the consonants."""
    consonants, vowels = a.consonants or b.consonants, a.vowels or b.vowels
    if a.levels or b.levels or len(consonants) != 1 or consonants[0] not in _HALF_VOWELS or not vowels:
        return 1.0
    return 0.25 + 0.75 * _lists_distance((_HALF_VOWELS[consonants[0]],), vowels, _vowel_distance)


def _lists_distance(a: tuple[str, ...], b: tuple[str, ...], distance: Callable[[str, str], float]) -> float:
    """Of diphthongs and the like: each is stretched to the length of the longer one."""
    n = max(len(a), len(b))
    return sum(distance(a[i * len(a) // n], b[i * len(b) // n]) for i in range(n)) / n


def _consonant_distance(one: str, other: str) -> float:
    (places, manner, voice), (other_places, other_manner, other_voice) = (
        _consonants()[one],
        _consonants()[other],
    )
    there = [min(abs(p - q) for q in other_places) for p in places]
    back = [min(abs(p - q) for q in places) for p in other_places]
    place = min(1.0, (sum(there) / len(there) + sum(back) / len(back)) / 2 / _FARTHEST_PLACE)
    differences = zip(_MANNER_WEIGHTS, _MANNERS[manner], _MANNERS[other_manner], strict=True)
    manners = min(1.0, sum(weight * abs(x - y) for weight, x, y in differences))
    return _PLACE * place + _MANNER * manners + _VOICE * abs(_VOICES[voice] - _VOICES[other_voice])


def _vowel_distance(one: str, other: str) -> float:
    (height, back, rounded), (other_height, other_back, other_rounded) = _vowels()[one], _vowels()[other]
    return (
        _HEIGHT * abs(height - other_height) / _HEIGHTS
        + _BACK * abs(back - other_back) / _BACKS
        + _ROUNDED * (rounded != other_rounded)
    )


def _tone_distance(a: _Sound, b: _Sound) -> float:
    """Contours are compared at their beginning, middle and end."""
    apart = sum(abs(x - y) for x, y in zip(_contour(a.levels), _contour(b.levels), strict=True)) / 3
    return _CONTOUR * min(1.0, apart / _FARTHEST_CONTOUR) + _VOICE_QUALITY * (a.creaks != b.creaks)


def _contour(levels: tuple[int, ...]) -> tuple[float, float, float]:
    middle = len(levels) // 2
    between = levels[middle] if len(levels) % 2 else (levels[middle - 1] + levels[middle]) / 2
    return levels[0], between, levels[-1]


@lru_cache(maxsize=4096)
def _sound(text: str) -> _Sound:
    decomposed = unicodedata.normalize("NFD", text).replace("c\u0327", "ç")
    letters = "".join(ch for ch in decomposed if ch not in _IGNORED)
    if letters and all(ch in _LEVELS or ch == _CREAK for ch in letters) and letters != _CREAK:
        return _Sound(levels=tuple(_LEVELS[ch] for ch in letters if ch != _CREAK), creaks=_CREAK in letters)
    marks = frozenset(ch for ch in letters if ch in _MARKS)
    parts = _parts("".join(ch for ch in letters if ch not in _MARKS))
    if not parts:
        return _Sound(unknown=text or "nothing")
    return _Sound(
        consonants=tuple(part for part in parts if part in _consonants()),
        vowels=tuple(part for part in parts if part in _vowels()),
        marks=marks,
    )


def _parts(letters: str) -> list[str]:
    """Symbols of the tables, the longest first; nothing where one is in no table."""
    parts: list[str] = []
    while letters:
        found = next(
            (letters[:n] for n in (2, 1) if letters[:n] in _consonants() or letters[:n] in _vowels()), ""
        )
        if not found:
            return []
        parts.append(found)
        letters = letters[len(found) :]
    return parts


@lru_cache(maxsize=1)
def _consonants() -> dict[str, tuple[tuple[float, ...], str, str]]:
    return {
        line["symbol"]: (tuple(_PLACES[p] for p in line["place"].split("+")), line["manner"], line["voice"])
        for line in read_table("ipa_consonants.tsv")
    }


@lru_cache(maxsize=1)
def _vowels() -> dict[str, tuple[int, int, bool]]:
    return {
        line["symbol"]: (int(line["height"]), int(line["back"]), line["rounded"] == "yes")
        for line in read_table("ipa_vowels.tsv")
    }


def sequence_distance(one: Sequence[str], other: Sequence[str]) -> float:
    """How far apart two words or phrases sound, 0 to 1, the same both ways.

    The cheapest way to turn one into the other by replacing (`sound_distance`), leaving out and putting in
    sounds (1, for weak ones such as `h`, `ə`, `ʔ` one half), over the length of the longer one.
    """
    shorter, longer = sorted((tuple(one), tuple(other)), key=lambda sounds: (len(sounds), sounds))
    if not longer:
        return 0.0
    above = [0.0]
    for sound in shorter:
        above.append(above[-1] + lone_cost(sound))
    for sound in longer:
        above = _next_row(above, sound, shorter)
    return min(1.0, above[-1] / len(longer))


def _next_row(above: list[float], sound: str, columns: Sequence[str]) -> list[float]:
    row = [above[0] + lone_cost(sound)]
    for at, column in enumerate(columns):
        row.append(
            min(
                above[at] + sound_distance(sound, column),
                above[at + 1] + lone_cost(sound),
                row[at] + lone_cost(column),
            )
        )
    return row


def lone_cost(sound: str) -> float:
    """What leaving out or putting in this sound costs in `sequence_distance`."""
    return 0.5 if sound in _WEAK else 1.0
