"""What the commands share: options, output, errors, progress."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from phonoloop.app.bootstrap import App, open_app
from phonoloop.app.settings import load_settings
from phonoloop.core.errors import (
    CancelledError,
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
    PhonoloopError,
    ResourceError,
    UnavailableError,
)

EXIT_CODES = (
    (InputError, 2),
    (NotFoundError, 3),
    (ConflictError, 4),
    (IntegrityError, 5),
    (ResourceError, 6),
    (UnavailableError, 7),
    (CancelledError, 8),
)


def exit_code(error: PhonoloopError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def error_body(error: PhonoloopError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "subject": error.subject, "hint": error.hint}


def fail(error: PhonoloopError) -> int:
    """Says an error to a person, or as JSON where `--json` was asked for; returns the exit code."""
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error_body(error)}, ensure_ascii=False))
    else:
        click.echo(f"Error [{error.code}] {error}", err=True)
    return exit_code(error)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--data` and `--json`; the command gets `app` and `as_json`."""

    @click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @functools.wraps(command)
    def with_app(*args: Any, data_dir: Path | None, as_json: bool, **options: Any) -> Any:
        with open_app(load_settings({"data_dir": data_dir})) as app:
            return command(*args, app=app, as_json=as_json, **options)

    return with_app


def decoding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what sets the decoding; the command gets `wish`."""

    @click.option("--beam", type=click.IntRange(0, 512), default=0, help="Width of a beam search.")
    @click.option("--lm", default="", help="Language model: `current`, its id, or the path of an ARPA file.")
    @click.option("--hotword", "hot_words", multiple=True, help="WORD or WORD:WEIGHT to expect; repeatable.")
    @click.option("--lexicon", is_flag=True, help="Only words that the language model knows.")
    @click.option("--rescore", default="", help="A second language model that ranks the readings anew.")
    @click.option("--alpha", type=float, help="Weight of the language model instead of the tuned one.")
    @click.option("--beta", type=float, help="What a word earns instead of what was tuned.")
    @functools.wraps(command)
    def with_wish(*args: Any, **options: Any) -> Any:
        from phonoloop.app.decoding import DecodingWish

        names = ("beam", "lm", "hot_words", "lexicon", "alpha", "beta", "rescore")
        given = {name: options.pop(name) for name in names}
        return command(*args, wish=DecodingWish(**given, nbest=options.pop("nbest", 0)), **options)

    return with_wish


def emit(as_json: bool, value: Any, lines: Callable[[], Iterable[str]]) -> None:
    """Prints `value` as one line of JSON, or the lines for a person."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, default=str))
        return
    for line in lines():
        click.echo(line)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Aligned columns; numbers to the right."""
    body = [[str(cell) for cell in row] for row in rows]
    numeric = [
        bool(body)
        and all(row[i].replace(".", "").replace("-", "").replace("%", "").strip().isdigit() for row in body)
        for i in range(len(headings))
    ]
    widths = [max(len(row[i]) for row in [list(headings), *body]) for i in range(len(headings))]
    for row in [list(headings), *body]:
        yield "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()


@contextmanager
def progress(label: str, *, enabled: bool = True) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error; call with a share of 1 and a few words. Nothing where it is no terminal
    or JSON is printed."""
    if not enabled or not sys.stderr.isatty():
        yield lambda share, words: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(label, total=1.0, words="")
        yield lambda share, words: bars.update(bar, completed=share, words=words)


__all__ = [
    "App",
    "common_options",
    "decoding_options",
    "emit",
    "error_body",
    "exit_code",
    "fail",
    "progress",
    "table",
]
