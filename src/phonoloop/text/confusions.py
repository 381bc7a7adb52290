"""Words that recognisers take for others that sound alike, mended where no other reading makes sense.

The table that ships holds phrases that are no Vietnamese as they are heard (`bổ xung` for `bổ sung`).
Users add what their recogniser gets wrong. It is only for what machines wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from phonoloop.core.errors import ManifestError
from phonoloop.text.corrections import Correction, Rewritten, apply
from phonoloop.text.lexicon import read_user_table
from phonoloop.text.spelling import normalise
from phonoloop.text.tables import read_table

RULE = "confusion"


@dataclass(frozen=True, eq=False)
class Confusions:
    """Phrase as it is heard (lower case) → what was said, and how sure that is."""

    table: Mapping[str, tuple[str, float]]

    @classmethod
    def shipped(cls) -> Confusions:
        return _shipped()

    @classmethod
    def extended(cls, folder: Path) -> Confusions:
        """With `confusions.tsv` of a folder, whose lines win.

        Raises:
            ManifestError: `text.table`, naming the line that cannot be read.
        """
        own = read_user_table(folder / "confusions.tsv", "confusions")
        return _built([*read_table("confusions.tsv"), *own]) if own else _shipped()

    def mend(self, text: str) -> Rewritten:
        """The text with every phrase of the table replaced, its first letter in its case."""
        changes = tuple(self._change(match) for match in self._pattern.finditer(text)) if self.table else ()
        return Rewritten(apply(text, changes), changes) if changes else Rewritten(text)

    def _change(self, match: re.Match[str]) -> Correction:
        meant, confidence = self.table[" ".join(match[0].lower().split())]
        if match[0].isupper():
            meant = meant.upper()
        elif match[0][0].isupper():
            meant = meant[0].upper() + meant[1:]
        return Correction(match.start(), match.end(), match[0], meant, RULE, confidence)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        phrases = sorted(self.table, key=len, reverse=True)
        listed = "|".join(re.escape(phrase) for phrase in phrases)
        return re.compile(rf"(?<!\w)(?:{listed})(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1)
def _shipped() -> Confusions:
    return _built(read_table("confusions.tsv"))


def _built(lines: list[dict[str, str]]) -> Confusions:
    table = {}
    for line in lines:
        table[normalise(line["heard"]).text.lower()] = (line["meant"], _confidence(line))
    return Confusions({heard: entry for heard, entry in table.items() if heard != entry[0]})


def _confidence(line: Mapping[str, str]) -> float:
    try:
        value = float(line["confidence"].replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ManifestError(
            f"the confidence of {line['heard']!r} is {line['confidence']!r}",
            code="text.table",
            subject="confusions.tsv",
            hint="Write a number from 0 to 1, such as 0.9",
        )
    return value
