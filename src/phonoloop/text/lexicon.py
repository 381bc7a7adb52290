"""The words and signs that the spoken and the written form go by: our tables, and the user's beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from phonoloop.core.errors import ManifestError
from phonoloop.text.tables import read_table

#: tables that a file of the same name in the user's folder adds to
EXTENDABLE = ("abbreviations", "units", "fillers")


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """What is said for it, empty where it stays; `before` as in `abbreviations.tsv`."""

    spoken: str
    before: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit under one of its symbols; `back` and `kind` as in `units.tsv`."""

    symbol: str
    spoken: str
    back: str
    kind: str


@dataclass(frozen=True, eq=False)
class Lexicon:
    """All tables. Compared by identity: loading one is slow enough to keep it.

    Attributes:
        abbreviations: by spelling; those inside document numbers are in `codes`.
        units: by symbol, the first table line of a symbol first.
        fillers: filler → where it counts.
    """

    abbreviations: Mapping[str, Abbreviation]
    codes: Mapping[str, str]
    units: Mapping[str, Unit]
    fillers: Mapping[str, str]

    @classmethod
    def shipped(cls) -> Lexicon:
        """What comes with the package."""
        return _shipped()

    @classmethod
    def extended(cls, folder: Path) -> Lexicon:
        """With the user's tables in a folder; the shipped one where there are none.

        Raises:
            ManifestError: `text.table`, naming the line that cannot be read.
        """
        own = {name: read_user_table(folder / f"{name}.tsv", name) for name in EXTENDABLE}
        return _built(own) if any(own.values()) else _shipped()

    @cached_property
    def units_spoken(self) -> Mapping[tuple[str, ...], Unit]:
        """Units whose words are written as a symbol again, by their words."""
        first: dict[tuple[str, ...], Unit] = {}
        for unit in self.units.values():
            if unit.back != "no":
                first.setdefault(tuple(unit.spoken.lower().split()), unit)
        return first

    @cached_property
    def measure_words(self) -> frozenset[tuple[str, ...]]:
        """The words of every unit of measure, money and time."""
        return frozenset(
            tuple(unit.spoken.lower().split()) for unit in self.units.values() if unit.kind != "scale"
        )


@lru_cache(maxsize=1)
def _shipped() -> Lexicon:
    return _built({})


def _built(own: Mapping[str, list[dict[str, str]]]) -> Lexicon:
    lines = {name: [*read_table(f"{name}.tsv"), *own.get(name, [])] for name in EXTENDABLE}
    entries = [(key, line) for line in lines["abbreviations"] for key in line["written"].split("|")]
    return Lexicon(
        abbreviations={
            key: Abbreviation("" if line["spoken"] == "=" else line["spoken"], line["before"])
            for key, line in entries
            if line["before"] != "code"
        },
        codes={key: line["spoken"] for key, line in entries if line["before"] == "code"},
        units=dict(_units(lines["units"])),
        fillers={line["filler"]: line["where"] for line in lines["fillers"]},
    )


def _units(lines: Iterable[Mapping[str, str]]) -> Iterable[tuple[str, Unit]]:
    for line in lines:
        symbols = line["symbol"].split("|")
        unit = Unit(symbols[0], line["spoken"], line["back"], line["kind"])
        yield from ((symbol, unit) for symbol in symbols)


@lru_cache(maxsize=1)
def cues() -> Mapping[str, frozenset[str]]:
    """Kind of cue → words in lower case, as in `cues.tsv`."""
    return {
        line["kind"]: frozenset(word.strip().lower() for word in line["words"].split(","))
        for line in read_table("cues.tsv")
    }


@lru_cache(maxsize=1)
def letter_names() -> Mapping[str, str]:
    """Capital letter → its name."""
    return {line["letter"]: line["spoken"] for line in read_table("letters.tsv")}


@lru_cache(maxsize=1)
def holidays() -> frozenset[str]:
    """Days that are known by their date, as `day/month`."""
    return frozenset(line["day"] for line in read_table("holidays.tsv"))


@lru_cache(maxsize=2)
def signs(where: str) -> Mapping[str, str]:
    """Sign → what is said, for `number` or `address`."""
    return {line["sign"]: line["spoken"] for line in read_table("symbols.tsv") if line["where"] == where}


def read_user_table(path: Path, name: str) -> list[dict[str, str]]:
    """The lines of a user's table with the columns of ours of that name; none where there is no file.

    Raises:
        ManifestError: `text.table`, naming the line that cannot be read.
    """
    if not path.is_file():
        return []
    columns = list(read_table(f"{name}.tsv")[0])
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise _table_error(str(path), "this table is not UTF-8") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#") and line.split("\t") != columns:
            rows.append(_user_row(line, columns, f"{path}:{number}"))
    return rows


def _user_row(line: str, columns: list[str], where: str) -> dict[str, str]:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != len(columns) or not all(cells):
        raise _table_error(where, f"this line needs {len(columns)} columns: {', '.join(columns)}")
    return dict(zip(columns, cells, strict=True))


def _table_error(subject: str, message: str) -> ManifestError:
    return ManifestError(
        message,
        code="text.table",
        subject=subject,
        hint="Columns stand between tabs; the table of the same name in phonoloop/text/tables shows how",
    )
