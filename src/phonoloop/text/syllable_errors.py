"""Which part of a Vietnamese syllable was heard wrongly: its tone, its onset or its rime.

Reference and hypothesis are aligned with as few errors as possible and, among such alignments, so that
replaced syllables sound near. A syllable that was left out or put in is an error in all three parts; one
that was replaced is an error in the parts that differ.

Onsets and rimes are compared as they sound by the orthography, in no dialect: `c`, `k` and `qu` are one
onset, `i` and `y` one rime, the rounding of `quả` belongs to its rime (`oa`). Words that are no Vietnamese
syllable have no parts: in a reference they are left out, in a hypothesis they miss all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from phonoloop.text.alignment import Counts, Edit, Op, align_nearest
from phonoloop.text.phonetics import distance_matrix
from phonoloop.text.syllables import Syllable, onsets, parse, rimes

PARTS = ("tone", "onset", "rime")
#: what a confusion names where the syllable has no onset, and where what was heard is no syllable
NO_ONSET, NO_SYLLABLE = "·", "?"
#: a text is Vietnamese where at least two thirds of its words are syllables of it
_VIETNAMESE_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class SyllableParts:
    """Errors by part, over the Vietnamese syllables of a reference. They add up over utterances.

    Attributes:
        confusions: (part, said, heard) → how often; only what differs.
        words: all words of the reference, also those that are no syllables.
    """

    tone: Counts = Counts()
    onset: Counts = Counts()
    rime: Counts = Counts()
    confusions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    words: int = 0

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
    for op in ops:
        # a recogniser may leave out the tone of a syllable that must have one (`bat`)
        said, heard = _parts(parse(op.reference)), _parts(parse(op.hypothesis, any_tone=True))
        for part in PARTS:
            _count(counts[part], op.edit, said and said[part], heard and heard[part])
        for key in _confused(op, said, heard):
            confusions[key] = confusions.get(key, 0) + 1
    return SyllableParts(*(Counts(*counts[part]) for part in PARTS), confusions, words)


def _count(numbers: list[int], edit: Edit, said: str | None, heard: str | None) -> None:
    """Adds one step to substitutions, deletions, insertions and reference of a part."""
    numbers[0] += edit in (Edit.MATCH, Edit.SUBSTITUTE) and said is not None and said != heard
    numbers[1] += edit is Edit.DELETE and said is not None
    numbers[2] += edit is Edit.INSERT and heard is not None
    numbers[3] += said is not None


def _confused(
    op: Op, said: Mapping[str, str] | None, heard: Mapping[str, str] | None
) -> list[tuple[str, str, str]]:
    if op.edit is not Edit.SUBSTITUTE or said is None:
        return []
    names = heard or dict.fromkeys(PARTS, NO_SYLLABLE)
    return [(part, said[part], names[part]) for part in PARTS if said[part] != names[part]]


@lru_cache(maxsize=1 << 16)
def _parts(syllable: Syllable | None) -> dict[str, str] | None:
    """Tone, onset and rime as they are compared and named."""
    if syllable is None:
        return None
    return {
        "tone": syllable.tone,
        "onset": onsets()[syllable.onset].sound or NO_ONSET,
        "rime": _rime(syllable),
    }


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
    """What of one part was taken for what, the most frequent first."""
    found = [Confusion(*key, times) for key, times in parts.confusions.items() if key[0] == part]
    return sorted(found, key=lambda one: (-one.times, one.said, one.heard))[:most]
