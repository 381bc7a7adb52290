"""What the rules of the written form are asked and answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from phonoloop.text.lexicon import Lexicon, Unit, cues
from phonoloop.text.numbers import Spelled, read_number

_LONGEST_UNIT = 6


@dataclass(frozen=True, slots=True)
class Wrote:
    """Text for the words [start, end) of a run."""

    start: int
    end: int
    text: str
    rule: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Run:
    """Words with only white space between them.

    Attributes:
        spans: [start, end) of each word in the text.
        words: in lower case.
    """

    text: str
    spans: Sequence[tuple[int, int]]
    lexicon: Lexicon
    words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        words = [self.text[start:end].lower() for start, end in self.spans]
        object.__setattr__(self, "words", words)

    def word(self, at: int) -> str:
        """Empty outside of the run."""
        return self.words[at] if 0 <= at < len(self.words) else ""

    def number(self, at: int) -> Spelled | None:
        return read_number(self.words, at) if at < len(self.words) else None

    def cued(self, kind: str, at: int) -> bool:
        """Whether the word, or it and the one before it, is a cue of that kind."""
        wanted = cues()[kind]
        return self.word(at) in wanted or f"{self.word(at - 1)} {self.word(at)}" in wanted

    def follows(self, kind: str, at: int) -> bool:
        """Whether a cue of that kind begins at a word."""
        wanted = cues()[kind]
        return self.word(at) in wanted or f"{self.word(at)} {self.word(at + 1)}" in wanted

    def unit(self, at: int) -> tuple[Unit, int] | None:
        """The longest unit that is written as a symbol from here, and the word behind it."""
        for length in range(min(_LONGEST_UNIT, len(self.words) - at), 0, -1):
            unit = self.lexicon.units_spoken.get(tuple(self.words[at : at + length]))
            if unit is not None:
                return unit, at + length
        return None

    def measures(self, at: int) -> bool:
        """Whether the words of any unit begin here."""
        known = self.lexicon.measure_words
        return any(tuple(self.words[at : at + length]) in known for length in range(1, _LONGEST_UNIT + 1))

    @property
    def is_whole_text(self) -> bool:
        return self.text.strip() == self.text[self.spans[0][0] : self.spans[-1][1]]
