"""Tables that people who do not program can read and check: columns between tabs, `#` begins a comment."""

from __future__ import annotations

from importlib import resources


def read_rows(name: str) -> list[dict[str, str]]:
    """The lines of one of our tables, each by the names in the table's first line."""
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    head, *lines = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return [dict(zip(head, line, strict=True)) for line in lines]
