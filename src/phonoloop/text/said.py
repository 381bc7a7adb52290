"""What the rules of the spoken form are asked and answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from phonoloop.text.lexicon import Lexicon, cues

_WORDS = re.compile(r"[^\W_]+")
#: as far back as each further cue word can stand
_REACH_CHARS = 12


@dataclass(frozen=True, slots=True)
class Said:
    """Words for text[start:end]."""

    start: int
    end: int
    words: str
    rule: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text that is to be said.

    Attributes:
        last_end: where the last thing that was said ended; -1 where nothing was.
    """

    text: str
    at: int
    lexicon: Lexicon
    last_end: int = -1

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.match(self.text, self.at)

    def words_before(self, count: int) -> list[str]:
        """The last words before the place, in lower case, at most `count`."""
        window = self.text[max(0, self.at - _REACH_CHARS * count) : self.at]
        return _WORDS.findall(window.lower())[-count:]

    def cued(self, kind: str, reach: int = 1) -> bool:
        """Whether a cue of `cues.tsv` is among the last `reach` words (two-word cues count as one)."""
        words = self.words_before(reach + 1)
        wanted = cues()[kind]
        singles = words[-reach:]
        pairs = [f"{one} {two}" for one, two in pairwise(words)]
        return any(word in wanted for word in (*singles, *pairs))

    def said(self, match: re.Match[str], words: str, rule: str, confidence: float = 1.0) -> Said:
        return Said(match.start(), match.end(), words, rule, confidence)
