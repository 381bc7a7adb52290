"""Word, character and syllable errors by minimum edit distance.

The functions compare texts as they are given. `score` brings both into the scoring form first and
is what evaluations use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phonoloop.text.alignment import Counts, Edit, Op, align, count
from phonoloop.text.normalise import DEFAULT_LANGUAGE, for_scoring, is_vietnamese
from phonoloop.text.syllable_errors import SyllableParts, part_errors, split_syllables

__all__ = [
    "Counts",
    "Edit",
    "Op",
    "Scores",
    "align",
    "by_class",
    "char_errors",
    "count",
    "score",
    "syllable_errors",
    "total",
    "word_errors",
]


@dataclass(frozen=True, slots=True)
class Scores:
    """The counts of one utterance or of many.

    Attributes:
        parts: errors by tone, onset and rime, of the Vietnamese syllables among the words.
    """

    words: Counts = Counts()
    characters: Counts = Counts()
    syllables: Counts = Counts()
    parts: SyllableParts = SyllableParts()

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.words + other.words,
            self.characters + other.characters,
            self.syllables + other.syllables,
            self.parts + other.parts,
        )


def score(reference: str, hypothesis: str, language: str = DEFAULT_LANGUAGE) -> Scores:
    """All counts of texts brought into the scoring form of their language (`NORMALISER_VERSION`); `parts`
    of Vietnamese only."""
    ref, hyp = for_scoring(reference, language), for_scoring(hypothesis, language)
    parts = part_errors(ref, hyp) if is_vietnamese(language) else SyllableParts()
    return Scores(word_errors(ref, hyp), char_errors(ref, hyp), syllable_errors(ref, hyp), parts)


def word_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in what stands between spaces (in Vietnamese that is mostly one syllable each)."""
    return count(reference.split(), hypothesis.split())


def char_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in characters; one space between words counts as a character."""
    return count(" ".join(reference.split()), " ".join(hypothesis.split()))


def syllable_errors(reference: str, hypothesis: str) -> Counts:
    """Errors in syllables as Vietnamese writes them: between spaces and hyphens (`xi-măng` is two)."""
    return count(split_syllables(reference), split_syllables(hypothesis))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum; its rate is the rate over all tokens, not the mean of rates."""
    return sum(counts, Counts())


def by_class(items: Iterable[tuple[str, Counts]]) -> dict[str, Counts]:
    """Sums by class (dialect, speaker, phrase…), in the order of the classes' names."""
    sums: dict[str, Counts] = {}
    for name, counts in items:
        sums[name] = sums.get(name, Counts()) + counts
    return dict(sorted(sums.items()))
