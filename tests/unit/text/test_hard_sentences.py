"""What a careful speaker expects of hard sentences: `hard_sentences.tsv`, one class after the other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from phonoloop.text.corrections import apply
from phonoloop.text.normalise import normalise, to_spoken, to_written

TABLE = Path(__file__).with_name("hard_sentences.tsv")
FORMS = {"normalised": normalise, "spoken": to_spoken, "written": to_written}
BAR = 0.98


def sentences() -> list[list[str]]:
    """(class, form, given, expected) of each line."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [list(map(unescaped, line.split("\t"))) for line in lines if not line.startswith("#")]


def unescaped(cell: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), cell)


def by_class() -> dict[str, list[list[str]]]:
    classes = defaultdict(list)
    for line in sentences():
        classes[f"{line[0]}, {line[1]}"].append(line)
    return classes


def wrong(lines: list[list[str]]) -> list[tuple[str, str, str]]:
    """(given, what came out, expected) where they differ."""
    made = [(given, FORMS[form](given).text, expected) for _, form, given, expected in lines]
    return [line for line in made if line[1] != line[2]]


def test_there_are_three_hundred_of_them():
    assert len(sentences()) >= 300
    assert len({tuple(line[1:3]) for line in sentences()}) == len(sentences())


def test_nearly_all_come_out_as_expected():
    failed = wrong(sentences())
    assert len(failed) <= (1 - BAR) * len(sentences()), failed


@pytest.mark.parametrize("name", by_class())
def test_no_class_of_them_is_left_out(name):
    lines = by_class()[name]
    failed = wrong(lines)
    assert len(failed) <= max(1, len(lines) // 10), failed


def test_each_change_can_be_traced():
    for _, form, given, _ in sentences():
        rewritten = FORMS[form](given)
        assert apply(given, rewritten.corrections) == rewritten.text
        assert all(change.rule and 0 < change.confidence <= 1 for change in rewritten.corrections)
