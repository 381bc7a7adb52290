"""Filters over standard input, line by line: what `phonoloop text …` shares.

Lines end at LF and nowhere else, and keep their ending. Bytes that are no UTF-8 go through as they
came and are counted: nothing is changed that was not understood.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import click

from phonoloop.text.corrections import Rewritten

#: how many lines are named on standard error; the others are counted
_LISTED = 10
#: lines that `rewrite_batches` hands on together
_AT_ONCE = 512
_NOT_UTF8 = {
    "code": "text.not_utf8",
    "message": "this line is not UTF-8",
    "hint": "Convert the file to UTF-8; the line was left as it is",
}
#: what a shell shows for a command whose reader went away
_PIPE_CLOSED = 141


def rewrite_lines(rewrite: Callable[[str], Rewritten], *, as_json: bool) -> None:
    """As `filter_lines`, for what gives a text with corrections; as JSON: {"text", "corrections"}."""
    filter_lines(lambda line: rewrite(line).text, (lambda line: _body(rewrite(line))) if as_json else None)


def rewrite_batches(rewrite_many: Callable[[list[str]], list[Rewritten]], *, as_json: bool) -> None:
    """As `rewrite_lines`, for what is faster with many lines at once."""
    _run(_batched(sys.stdin.buffer, rewrite_many, as_json=as_json))


def filter_lines(line: Callable[[str], str], to_dict: Callable[[str], dict[str, Any]] | None = None) -> None:
    """Runs standard input through a function to standard output, then ends the process.

    Exit code 2 where lines were not UTF-8, 141 where the reader went away, else 0.

    Args:
        line: gets a line without its ending, gives what is written instead.
        to_dict: given, each line becomes one JSON object that this makes of it.
    """
    _run(_answers(sys.stdin.buffer, line, to_dict))


def _run(answers: Iterator[tuple[bool, bytes]]) -> None:
    """Writes the answers and ends the process; see `filter_lines`."""
    refused: list[int] = []
    try:
        for number, answer in enumerate(answers, start=1):
            if answer[0]:
                refused.append(number)
            sys.stdout.buffer.write(answer[1])
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None
    _report(refused)
    raise SystemExit(2 if refused else 0)


def _body(rewritten: Rewritten) -> dict[str, Any]:
    return {
        "text": rewritten.text,
        "corrections": [correction.to_dict() for correction in rewritten.corrections],
    }


def _answers(
    lines: Iterable[bytes], line: Callable[[str], str], to_dict: Callable[[str], dict[str, Any]] | None
) -> Iterator[tuple[bool, bytes]]:
    """For each line: whether it was refused, and what is written for it."""
    for raw in lines:
        body, ending = _split_ending(raw)
        try:
            given = body.decode("utf-8")
        except UnicodeDecodeError as error:
            yield True, raw if to_dict is None else _json_line({"error": _refusal(error)})
            continue
        if to_dict is None:
            yield False, line(given).encode("utf-8") + ending
        else:
            yield False, _json_line(to_dict(given))


def _batched(
    lines: BinaryIO, rewrite_many: Callable[[list[str]], list[Rewritten]], *, as_json: bool
) -> Iterator[tuple[bool, bytes]]:
    """As `_answers`; a person who types gets each line at once."""
    size = 1 if lines.isatty() else _AT_ONCE
    while group := list(islice(lines, size)):
        rewritten = iter(rewrite_many([text for raw in group if (text := _decoded(raw)) is not None]))
        yield from _answers(group, *_next_of(rewritten, as_json=as_json))


def _next_of(rewritten: Iterator[Rewritten], *, as_json: bool) -> tuple[Any, Any]:
    """What `_answers` asks for each line that could be read, in order."""
    return (lambda _: next(rewritten).text), ((lambda _: _body(next(rewritten))) if as_json else None)


def _decoded(raw: bytes) -> str | None:
    try:
        return _split_ending(raw)[0].decode("utf-8")
    except UnicodeDecodeError:
        return None


def _split_ending(raw: bytes) -> tuple[bytes, bytes]:
    for ending in (b"\r\n", b"\n"):
        if raw.endswith(ending):
            return raw[: -len(ending)], ending
    return raw, b""


def _refusal(error: UnicodeDecodeError) -> dict[str, Any]:
    return {**_NOT_UTF8, "byte": error.start}


def _json_line(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode("utf-8")


def _report(refused: list[int]) -> None:
    if not refused:
        return
    listed = ", ".join(map(str, refused[:_LISTED])) + (", …" if len(refused) > _LISTED else "")
    count = "1 line is" if len(refused) == 1 else f"{len(refused):,} lines are"
    click.echo(f"{count} not UTF-8 and left as they came: {listed}", err=True)
