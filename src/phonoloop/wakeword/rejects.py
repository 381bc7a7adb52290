"""A table of spoken negatives that a person listens to, and what that person rejected.

`negatives.tsv`: columns between tabs, a line for each WAV beside it. Whoever finds that one sounds like the
phrase writes anything into its last column, `rejected`, and gives the table to the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phonoloop.core.errors import ManifestError

COLUMNS = ("file", "text", "kind", "distance", "voice", "ipa", "used", "rejected")


@dataclass(frozen=True, slots=True)
class HeardNegative:
    """A line of the table. `used`: whether training would take it, or it was doubtful already."""

    file: str
    text: str
    kind: str
    distance: float
    voice: str
    ipa: str
    used: bool = True
    rejected: str = ""

    @property
    def line(self) -> str:
        used = "yes" if self.used else "no"
        cells = (
            self.file,
            self.text,
            self.kind,
            f"{self.distance:.3f}",
            self.voice,
            self.ipa,
            used,
            self.rejected,
        )
        return "\t".join(" ".join(cell.split()) for cell in cells)


def write_table(path: Path, rows: Sequence[HeardNegative]) -> None:
    lines = ["\t".join(COLUMNS), *(row.line for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rejected_texts(path: Path) -> list[str]:
    """The texts of the lines that have something in their column `rejected`, or of all lines where there is
    no such column.

    Raises:
        ManifestError: `wakeword.rejects`, it cannot be read or has no column `text`.
    """
    try:
        lines = [
            line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, f"it cannot be read ({error})") from error
    head = [name.strip() for name in lines[0]] if lines else []
    if "text" not in head:
        raise _unusable(path, "it has no column `text`")
    text = head.index("text")
    mark = head.index("rejected") if "rejected" in head else None
    rows = (row for row in lines[1:] if len(row) > text)
    return [row[text] for row in rows if mark is None or (len(row) > mark and row[mark].strip())]


def _unusable(path: Path, reason: str) -> ManifestError:
    return ManifestError(
        f"this is no table of negatives: {reason}",
        code="wakeword.rejects",
        subject=str(path),
        hint="Give the negatives.tsv that `phonoloop wakeword negatives` wrote, with marks in `rejected`",
    )
