"""ARPA files: the text form of back-off n-gram models that other programs read.

A header with counts, a section a length with `log10 probability<TAB>words<TAB>log10 weight`, `\\end\\`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.text.ngram import (
    BEGIN,
    END,
    NEVER,
    RESERVED,
    UNKNOWN,
    NgramModel,
    build,
    find_rows,
)
from phonoloop.text.ngram_estimate import MOST_ORDER

#: lines made at a time, so that memory stays flat
_BLOCK = 100_000
#: other spellings of `<unk>`, `<s>` and `</s>`
_ALIASES = {"<UNK>": UNKNOWN, "<S>": BEGIN, "</S>": END}


def write_arpa(model: NgramModel, path: Path) -> None:
    """As `NgramModel.to_arpa`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as out:
            _write(model, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write(model: NgramModel, out: TextIO) -> None:
    out.write("\\data\\\n")
    for n, count in enumerate(model.counts, start=1):
        out.write(f"ngram {n}={count}\n")
    for n in range(model.order):
        out.write(f"\n\\{n + 1}-grams:\n")
        for start in range(0, model.counts[n], _BLOCK):
            out.writelines(_lines(model, n, np.arange(start, min(start + _BLOCK, model.counts[n]))))
    out.write("\n\\end\\\n")


def _lines(model: NgramModel, n: int, rows: np.ndarray) -> Iterator[str]:
    level = model.levels[n]
    texts = [" ".join(map(model.words.__getitem__, ids)) for ids in _ids(model, n, rows)]
    scores = level.log10[rows].tolist()
    if n + 1 == model.order:
        return (f"{score:.7g}\t{text}\n" for score, text in zip(scores, texts, strict=True))
    weights = level.backoff[rows].tolist()
    return (f"{s:.7g}\t{t}\t{w:.7g}\n" for s, t, w in zip(scores, texts, weights, strict=True))


def _ids(model: NgramModel, n: int, rows: np.ndarray) -> list[list[int]]:
    """The words of n-grams of level n, as ids."""
    columns = []
    for level in range(n, 0, -1):
        keys = model.levels[level].keys[rows]
        columns.append(keys % len(model.words))
        rows = keys // len(model.words)
    columns.append(rows)
    return np.stack(columns[::-1], axis=1).tolist()


# ---------------------------------------------------------------- reading


@dataclass(slots=True)
class _Section:
    """One length: words as ids (m, n), and the numbers of each; `lines` where each stood."""

    ids: np.ndarray
    log10: np.ndarray
    backoff: np.ndarray
    lines: np.ndarray


class _Lines:
    """The lines of a file that are not empty, with their numbers; refuses what is not UTF-8."""

    def __init__(self, path: Path) -> None:
        self.path, self.number, self.section = path, 0, "the beginning"
        self._file = path.open("rb")

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        for raw in self._file:
            self.number += 1
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                raise self.damaged(f"this is not UTF-8 ({error.reason})") from error
            if line:
                yield line

    def damaged(self, why: str, line: int | None = None) -> InputError:
        return InputError(
            f"line {line or self.number}, in {self.section}: {why}",
            code="lm.damaged",
            subject=str(self.path),
            hint="Write or fetch the model again; `phonoloop train lm` writes one",
        )


def read_arpa(path: Path) -> NgramModel:
    """As `NgramModel.from_arpa`."""
    try:
        lines = _Lines(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(
            "there is no language model here",
            code="lm.missing",
            subject=str(path),
            hint="Name an ARPA file, or a folder under models/lm",
        ) from error
    try:
        return _read(lines)
    finally:
        lines.close()


def _read(lines: _Lines) -> NgramModel:
    rows = iter(lines)
    counts, line = _header(lines, rows)
    words: dict[str, int] = {word: i for i, word in enumerate(RESERVED)}
    keys, log10, backoff = [], [], []
    for n, count in enumerate(counts):
        if line != f"\\{n + 1}-grams:":
            raise lines.damaged(f"the section of {n + 1}-grams is missing, here is {line[:60]!r}")
        lines.section = f"the section of {n + 1}-grams"
        section, line = _section(lines, rows, n=n, top=n + 1 == len(counts), words=words)
        if len(section.ids) != count:
            raise lines.damaged(f"it has {len(section.ids)} n-grams, the header says {count}")
        key, order = _keys(lines, section, keys, len(words))
        if n == 0:
            section, key, order = _every_word(section, len(words))
        keys.append(key)
        log10.append(section.log10[order])
        backoff.append(section.backoff[order])
    if line != "\\end\\":
        raise lines.damaged("\\end\\ is missing: the file ends too early, or has a section too many")
    return build(list(words), keys, log10, backoff, about={"source": lines.path.name})


def _header(lines: _Lines, rows: Iterator[str]) -> tuple[list[int], str]:
    for line in rows:
        if line == "\\data\\":
            break
    else:
        raise lines.damaged("there is no \\data\\ section: this is no ARPA file")
    lines.section = "the \\data\\ section"
    counts: list[int] = []
    line = ""
    for line in rows:
        if not line.startswith("ngram "):
            break
        counts.append(_count(lines, line, len(counts) + 1))
    if not counts or len(counts) > MOST_ORDER:
        raise lines.damaged(f"it names {len(counts)} lengths of n-grams, 1 to {MOST_ORDER} can be read")
    return counts, line


def _count(lines: _Lines, line: str, n: int) -> int:
    name, _, count = line.removeprefix("ngram ").partition("=")
    if name.strip() != str(n) or not count.strip().isdecimal():
        raise lines.damaged(f"{line[:60]!r} does not say how many {n}-grams there are")
    return int(count)


def _section(
    lines: _Lines, rows: Iterator[str], *, n: int, top: bool, words: dict[str, int]
) -> tuple[_Section, str]:
    """Reads to the next line that begins with a backslash; that line too."""
    ids: list[int] = []
    scores: list[tuple[float, float]] = []
    numbers: list[int] = []
    line = ""
    for line in rows:
        if line[0] == "\\" and (line.endswith("-grams:") or line == "\\end\\"):
            break
        fields = line.split()
        if len(fields) not in ((n + 2,) if top else (n + 2, n + 3)):
            wanted = f"a number, {n + 1} words and a weight"
            raise lines.damaged(f"{line[:60]!r} is not {wanted}; a section's heading may be missing")
        scores.append(_numbers(lines, fields, n))
        ids.extend(_word_ids(lines, fields[1 : n + 2], words))
        numbers.append(lines.number)
    else:
        line = ""
    score, weight = np.array(scores, np.float64).reshape(-1, 2).T
    section = _Section(np.array(ids, np.int64).reshape(-1, n + 1), score, weight, np.array(numbers))
    return section, line


def _numbers(lines: _Lines, fields: Sequence[str], n: int) -> tuple[float, float]:
    try:
        score = float(fields[0])
        weight = float(fields[n + 2]) if len(fields) == n + 3 else 0.0
    except ValueError as error:
        raise lines.damaged(f"a number was expected ({error})") from error
    if score > 0 or math.isnan(score) or not math.isfinite(weight):
        raise lines.damaged(f"{fields[0]} and {weight} are no logarithms of a probability and a weight")
    return max(score, NEVER), weight


def _word_ids(lines: _Lines, fields: Sequence[str], words: dict[str, int]) -> list[int]:
    if len(fields) == 1:  # single words come first and make up the vocabulary
        word = _ALIASES.get(fields[0], fields[0])
        return [words.setdefault(word, len(words))]
    found = [words.get(word, words.get(_ALIASES.get(word, ""), -1)) for word in fields]
    if -1 in found:
        raise lines.damaged(f"{fields[found.index(-1)]!r} is not among the single words")
    return found


def _keys(
    lines: _Lines, section: _Section, below: Sequence[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keys in ascending order, and the order that brings them there."""
    rows = section.ids[:, 0]
    for n in range(1, section.ids.shape[1]):
        if n > 1:
            rows = find_rows(below[n - 1], rows)
            _check_found(lines, section, rows, n)
        rows = rows * size + section.ids[:, n]
    order = np.argsort(rows, kind="stable")
    keys = rows[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        raise lines.damaged("this n-gram is there twice", int(section.lines[order[twice[0] + 1]]))
    return keys, order


def _check_found(lines: _Lines, section: _Section, rows: np.ndarray, n: int) -> None:
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise lines.damaged(
            f"its first {n} words are not among the {n}-grams", int(section.lines[missing[0]])
        )


def _every_word(section: _Section, size: int) -> tuple[_Section, np.ndarray, np.ndarray]:
    """A row for each word: `<unk>`, `<s>` and `</s>` may be missing in the file."""
    log10, backoff = np.full(size, NEVER), np.zeros(size)
    ids = section.ids[:, 0]
    log10[ids], backoff[ids] = section.log10, section.backoff
    every = np.arange(size)
    return _Section(every[:, None], log10, backoff, every), every, every
