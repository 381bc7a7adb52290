"""How Vietnamese sounds in three dialects, and how near two words sound.

`north` is Hanoi, `centre` is Huế, `south` is Saigon: each is the common way of speaking there, not
everybody's. The sounds stand in `tables/onset_sounds.tsv`, `rime_sounds.tsv` and `tone_sounds.tsv`, with
their sources.

The distance of two syllables is a weighted sum over the five places of a syllable (onset, glide, vowel,
end, tone), each compared by the features of `phonoloop.text.ipa`. What a dialect does not tell apart is at
distance 0 in it. Texts of several words are aligned syllable by syllable.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.text.ipa import sound_distance
from phonoloop.text.syllables import Syllable, all_syllables, onsets, parse, rimes, strip_marks
from phonoloop.text.tables import read_table

DIALECTS = ("north", "centre", "south")
#: what each place of a syllable adds to a distance at most
WEIGHTS = {"onset": 0.30, "glide": 0.08, "vowel": 0.27, "end": 0.15, "tone": 0.20}
#: longer words are not compared by their letters and not kept: they are the same or not
_LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class Sounds:
    """The five places of a spoken syllable in the International Phonetic Alphabet; `glide` and `end` may be
    empty. The onset of a syllable that begins with its vowel is `ʔ`."""

    onset: str
    glide: str
    vowel: str
    end: str
    tone: str

    def phones(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.onset, self.glide, self.vowel, self.end, self.tone)))


def phones(word: str, dialect: str = "north") -> tuple[str, ...]:
    """The sounds of a syllable, its tone last (`tiếng` → t iə ŋ ˧˥); none where the word is no Vietnamese
    syllable. A syllable that lacks the tone it should have (`bat`) sounds as it is written.

    Raises:
        InputError: `text.dialect`.
    """
    found = sounds(word, dialect)
    return found.phones() if found else ()


def sounds(word: str, dialect: str = "north") -> Sounds | None:
    """As `phones`, by place."""
    _check(dialect)
    syllable = parse(word, any_tone=True)
    return _sounds(syllable, dialect) if syllable else None


@lru_cache(maxsize=1 << 16)
def _sounds(syllable: Syllable, dialect: str) -> Sounds:
    rime = rimes()[syllable.rime]
    rounded = bool(rime.glide) or syllable.onset == "qu"
    onset, glide = _onset(onsets()[syllable.onset].sound, dialect, rounded=rounded)
    vowel, end = _rime_table()[rime.vowel, rime.end, dialect]
    return Sounds(onset, glide, vowel, end, _tone_table()[syllable.tone, dialect])


def _onset(sound: str, dialect: str, *, rounded: bool) -> tuple[str, str]:
    """The onset and what is rounded after it."""
    line = _onset_table()[sound]
    if not rounded:
        return line[dialect], ""
    merged = line.get(f"{dialect}+w", "-")
    return (line[dialect], "w") if merged == "-" else (merged, "")


def sounds_same(one: str, other: str, dialect: str = "north") -> bool:
    """Whether two texts sound the same in a dialect (`dành` and `giành`; in the south `vác` and `dát`)."""
    _check(dialect)
    first, second = (_heard_words(text, dialect) for text in (one, other))
    return first == second


def _heard_words(text: str, dialect: str) -> list[tuple[str, ...]]:
    return [phones(word, dialect) or (word,) for word in _words(text)]


def distance(one: str, other: str, dialect: str = "north") -> float:
    """How far apart two texts sound, 0 (the same) to 1, the same both ways.

    Words that are no Vietnamese syllables are compared by their letters without marks. Syllables are
    aligned; one more or less counts 1, and the sum is over the number of syllables in the longer text.

    Raises:
        InputError: `text.dialect`.
    """
    _check(dialect)
    if one == other:
        return 0.0
    first, second = sorted((_words(one), _words(other)), key=lambda words: (len(words), words))
    if len(second) == 1 and len(first) == 1:
        return word_distance(first[0], second[0], dialect)
    return _aligned(first, second, dialect) / len(second) if second else 0.0


def _aligned(first: Sequence[str], second: Sequence[str], dialect: str) -> float:
    above = [float(i) for i in range(len(first) + 1)]
    for word in second:
        row = [above[0] + 1]
        for at, column in enumerate(first):
            same = above[at] + word_distance(word, column, dialect)
            row.append(min(same, above[at + 1] + 1, row[at] + 1))
        above = row
    return above[-1]


def word_distance(one: str, other: str, dialect: str = "north") -> float:
    """As `distance`, of single words in lower case and composed: the fastest for one pair."""
    if max(len(one), len(other)) > _LONGEST_WORD:
        return float(one != other)
    a, b = _places(one, dialect), _places(other, dialect)
    if a is None or b is None:
        return _letters_distance(*sorted((one, other)))
    onset, rime, tone = _tables(dialect).lists
    return onset[a[0]][b[0]] + rime[a[1]][b[1]] + tone[a[2]][b[2]]


def distance_matrix(
    ones: Sequence[str], others: Sequence[str], dialect: str = "north", *, letters: bool = True
) -> np.ndarray:
    """`word_distance` of every pair, by table: (len(ones), len(others)) float32.

    Args:
        letters: compare words that are no syllables by their letters, which is slow for many; otherwise
            they are 0 from themselves and 1 from all others.

    Raises:
        InputError: `text.dialect`.
    """
    _check(dialect)
    tables = _tables(dialect)
    rows, foreign_rows = _all_places(ones, dialect)
    columns, foreign_columns = _all_places(others, dialect)
    matrix = tables.onset[np.ix_(rows[:, 0], columns[:, 0])]
    matrix += tables.rime[np.ix_(rows[:, 1], columns[:, 1])]
    matrix += tables.tone[np.ix_(rows[:, 2], columns[:, 2])]
    foreign = foreign_rows[:, None] | foreign_columns[None, :]
    if not letters:
        matrix[foreign] = _differ(ones, others)[foreign]
        return matrix
    for i, j in np.argwhere(foreign):
        matrix[i, j] = word_distance(ones[i], others[j], dialect)
    return matrix


def _differ(ones: Sequence[str], others: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    rows, columns = (
        np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64)
        for words in (ones, others)
    )
    return rows[:, None] != columns[None, :]


def _all_places(words: Sequence[str], dialect: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) places, and (n,) whether a word has none."""
    found = [_places(word, dialect) if len(word) <= _LONGEST_WORD else None for word in words]
    numbers = np.array([places or (0, 0, 0) for places in found], dtype=np.int64).reshape(len(words), 3)
    return numbers, np.array([places is None for places in found], dtype=bool)


@dataclass(frozen=True, slots=True)
class _Tables:
    """Weighted distances in one dialect between all onsets, between all that follows them but for the tone,
    and between all tones: square float32 arrays, and the same as lists, which are faster for one value.

    Attributes:
        numbers: the row of each, by its sounds.
    """

    onset: np.ndarray
    rime: np.ndarray
    tone: np.ndarray
    numbers: tuple[dict[tuple[str, ...], int], ...]
    lists: tuple[list[list[float]], ...]


@lru_cache(maxsize=len(DIALECTS))
def _tables(dialect: str) -> _Tables:
    spoken = {_parts(_sounds(syllable, dialect)) for syllable in all_syllables()}
    numbers = tuple(
        {part: row for row, part in enumerate(sorted(set(kind)))} for kind in zip(*spoken, strict=True)
    )
    names = (("onset",), ("glide", "vowel", "end"), ("tone",))
    onset, rime, tone = (_square(list(rows), places) for rows, places in zip(numbers, names, strict=True))
    return _Tables(onset, rime, tone, numbers, (onset.tolist(), rime.tolist(), tone.tolist()))


def _parts(heard: Sounds) -> tuple[tuple[str, ...], ...]:
    return (heard.onset,), (heard.glide, heard.vowel, heard.end), (heard.tone,)


def _square(parts: list[tuple[str, ...]], places: Sequence[str]) -> np.ndarray:
    weights = [WEIGHTS[place] for place in places]
    return np.array(
        [
            [
                sum(w * sound_distance(x, y) for w, x, y in zip(weights, one, other, strict=True))
                for other in parts
            ]
            for one in parts
        ],
        dtype=np.float32,
    )


@lru_cache(maxsize=1 << 17)
def _places(word: str, dialect: str) -> tuple[int, int, int] | None:
    """Its rows in the tables; None where it is no syllable."""
    heard = sounds(word, dialect)
    if heard is None:
        return None
    onset, rime, tone = (
        rows[part] for rows, part in zip(_tables(dialect).numbers, _parts(heard), strict=True)
    )
    return onset, rime, tone


@lru_cache(maxsize=1 << 16)
def _letters_distance(one: str, other: str) -> float:
    """Edit distance over letters, over the longer word's length; marks alone count a third of a letter."""
    if one == other:
        return 0.0
    above = [float(i) for i in range(len(other) + 1)]
    for letter in one:
        row = [above[0] + 1]
        for at, column in enumerate(other):
            same = above[at] + _letter_distance(letter, column)
            row.append(min(same, above[at + 1] + 1, row[at] + 1))
        above = row
    return above[-1] / max(len(one), len(other))


def _letter_distance(one: str, other: str) -> float:
    if one == other:
        return 0.0
    return 1 / 3 if strip_marks(one) == strip_marks(other) else 1.0


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).lower().replace("-", " ").split()


def _check(dialect: str) -> None:
    if dialect not in DIALECTS:
        raise InputError(
            f"there are no sounds of a dialect {dialect!r}",
            code="text.dialect",
            hint=f"Take one of {', '.join(DIALECTS)}",
        )


@lru_cache(maxsize=1)
def _onset_table() -> dict[str, dict[str, str]]:
    return {line["onset"].replace("·", ""): line for line in read_table("onset_sounds.tsv")}


@lru_cache(maxsize=1)
def _rime_table() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Vowel and end in letters, dialect → vowel and end as they sound."""
    found = {}
    for line in read_table("rime_sounds.tsv"):
        for dialect in DIALECTS:
            vowel, _, end = line[dialect].partition(" ")
            found[line["vowel"], line["end"].replace("-", ""), dialect] = vowel, end
    return found


@lru_cache(maxsize=1)
def _tone_table() -> dict[tuple[str, str], str]:
    return {
        (line["tone"], dialect): line[dialect]
        for line in read_table("tone_sounds.tsv")
        for dialect in DIALECTS
    }
