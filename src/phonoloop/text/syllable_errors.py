"""Which part of a Vietnamese syllable was heard wrongly: its tone, its onset or its rime.

Reference and hypothesis are aligned with as few errors as possible and, among such alignments, so that
replaced syllables sound near. A syllable that was left out or put in is an error in all three parts; one
that was replaced is an error in the parts that differ.

Onsets and rimes are compared as they sound by the orthography, in no dialect: `c`, `k` and `qu` are one
onset, `i` and `y` one rime, the rounding of `quả` belongs to its rime (`oa`).

Words of a reference that are no Vietnamese syllable are left out. In a hypothesis they are compared as far
as they can be read: `thườmg` has the tone and the onset of `thường` and no rime, `12` has nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from phonoloop.text.alignment import Counts, Edit, Op, align_nearest
from phonoloop.text.phonetics import distance_matrix
from phonoloop.text.syllables import Syllable, onsets, parse, rimes, tone_of, without_tone

PARTS = ("tone", "onset", "rime")
#: what a confusion names where the syllable has no onset, and where what was heard has no such part
NO_ONSET, NO_PART = "·", "?"
_NOTHING_HEARD = dict.fromkeys(PARTS, NO_PART)
_VIETNAMESE_LETTERS = frozenset("aăâbcdđeêghiklmnoôơpqrstuưvxy")
_VOWELS = frozenset("aăâeêioôơuưy")
_LONGEST_READ = 20
#: a text is Vietnamese where at least two thirds of its words are syllables of it
_VIETNAMESE_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class SyllableParts:
    """Errors by part, over the Vietnamese syllables of a reference. They add up over utterances.

    Attributes:
        confusions: (part, said, heard) → how often; only what differs.
        words: all words of the reference, also those that are no syllables.
        misspelled: words that were heard in place of a syllable and are none.
    """

    tone: Counts = Counts()
    onset: Counts = Counts()
    rime: Counts = Counts()
    confusions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    words: int = 0
    misspelled: int = 0

    def __add__(self, other: SyllableParts) -> SyllableParts:
        confusions = dict(self.confusions)
        for key, times in other.confusions.items():
            confusions[key] = confusions.get(key, 0) + times
        return SyllableParts(
            self.tone + other.tone,
            self.onset + other.onset,
            self.rime + other.rime,
            confusions,
            self.words + other.words,
            self.misspelled + other.misspelled,
        )

    @property
    def vietnamese(self) -> bool:
        """Whether the references are Vietnamese, so that the rates mean something."""
        return self.tone.reference > 0 and self.tone.reference >= _VIETNAMESE_SHARE * self.words


@dataclass(frozen=True, slots=True)
class Confusion:
    """`said` was heard as `heard`, so many times."""

    part: str
    said: str
    heard: str
    times: int


def part_errors(reference: str, hypothesis: str) -> SyllableParts:
    """Errors by part of two texts in the scoring form.

    Raises:
        ResourceError: `text.too_long`, above 200 million pairs of syllables.
    """
    ref, hyp = split_syllables(reference), split_syllables(hypothesis)
    if ref == hyp:
        counted = Counts(reference=sum(parse(word) is not None for word in ref))
        return SyllableParts(counted, counted, counted, words=len(ref))
    return _counted(align_nearest(ref, hyp, distance_matrix(ref, hyp, letters=False)), words=len(ref))


def split_syllables(text: str) -> list[str]:
    """Vietnamese writes one syllable between two spaces, or hyphens (`xi-măng` is two)."""
    return text.replace("-", " ").split()


def _counted(ops: Iterable[Op], *, words: int) -> SyllableParts:
    counts = {part: [0, 0, 0, 0] for part in PARTS}
    confusions: dict[tuple[str, str, str], int] = {}
    misspelled = 0
    for op in ops:
        said, heard = _parts(op.reference), _heard_parts(op.hypothesis)
        replaced = op.edit is Edit.SUBSTITUTE and said is not None
        misspelled += replaced and heard["rime"] == NO_PART
        for part in PARTS:
            _count(counts[part], op.edit, said and said[part], heard[part])
            if replaced and said[part] != heard[part]:
                key = part, said[part], heard[part]
                confusions[key] = confusions.get(key, 0) + 1
    return SyllableParts(*(Counts(*counts[part]) for part in PARTS), confusions, words, misspelled)


def _count(numbers: list[int], edit: Edit, said: str | None, heard: str) -> None:
    """Adds one step to substitutions, deletions, insertions and reference of a part."""
    numbers[0] += edit is Edit.SUBSTITUTE and said is not None and said != heard
    numbers[1] += edit is Edit.DELETE and said is not None
    numbers[2] += edit is Edit.INSERT and heard != NO_PART
    numbers[3] += said is not None


@lru_cache(maxsize=1 << 16)
def _parts(word: str) -> dict[str, str] | None:
    """Tone, onset and rime of a syllable as they are compared and named."""
    syllable = parse(word)
    return _named(syllable) if syllable else None


@lru_cache(maxsize=1 << 16)
def _heard_parts(word: str) -> dict[str, str]:
    """A recogniser may leave out the tone of a syllable that must have one (`bat`), or write none."""
    syllable = parse(word, any_tone=True)
    if syllable is not None:
        return _named(syllable)
    bare, tone = without_tone(word), tone_of(word)
    if len(bare) > _LONGEST_READ or tone is None or not bare or not _VIETNAMESE_LETTERS.issuperset(bare):
        return _NOTHING_HEARD
    onset = next((o for o in _longest_first() if bare.startswith(o)), None)
    if onset is None and bare[0] not in _VOWELS:
        return _NOTHING_HEARD | {"tone": tone}
    return {"tone": tone, "onset": _onset(onset or ""), "rime": NO_PART}


@lru_cache(maxsize=1)
def _longest_first() -> list[str]:
    return sorted(filter(None, onsets()), key=len, reverse=True)


def _named(syllable: Syllable) -> dict[str, str]:
    return {"tone": syllable.tone, "onset": _onset(syllable.onset), "rime": _rime(syllable)}


def _onset(written: str) -> str:
    return onsets()[written].sound or NO_ONSET


def _rime(syllable: Syllable) -> str:
    """The usual spelling of the rime (`i` for `y`, `oa` in `quả`)."""
    rime = rimes()[syllable.rime]
    glide = "w" if syllable.onset == "qu" else rime.glide
    return _usual_spellings().get((glide, rime.vowel, rime.end), f"(qu){syllable.rime}")


@lru_cache(maxsize=1)
def _usual_spellings() -> dict[tuple[str, str, str], str]:
    """By sound; of several spellings the first of the table. `quốc` has none without its qu."""
    found: dict[tuple[str, str, str], str] = {}
    for written, rime in rimes().items():
        found.setdefault((rime.glide, rime.vowel, rime.end), written)
    return found


def top_confusions(parts: SyllableParts, part: str, most: int = 10) -> list[Confusion]:
    """What of one part was taken for what, the most frequent first; without what could not be read."""
    readable = {key: times for key, times in parts.confusions.items() if key[0] == part and key[2] != NO_PART}
    found = [Confusion(*key, times) for key, times in readable.items()]
    return sorted(found, key=lambda one: (-one.times, one.said, one.heard))[:most]
