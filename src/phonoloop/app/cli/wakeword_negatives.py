"""`phonoloop wakeword negatives`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonoloop.app.cli.common import emit, table

if TYPE_CHECKING:
    from phonoloop.wakeword.samples import Written

#: different texts to choose from, for each that is written
_CHOICE = 8


@click.command()
@click.option("--phrase", required=True, help="The wake word.")
@click.option("--language", default="en", show_default=True, help="A language of espeak-ng: en-us, vi, de, …")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to fill."
)
@click.option("--count", type=click.IntRange(1, 2000), default=50, show_default=True, help="How many WAVs.")
@click.option(
    "--words", "words_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="More words."
)
@click.option(
    "--piper-voice",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A Piper voice; repeatable.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def negatives(
    phrase: str, language: str, words_file: Path | None, piper_voice: tuple[Path, ...], **options: Any
) -> None:
    """Write what is near the phrase as WAVs, to listen and reject.

    The nearest of each kind, a fifth of them doubtful ones that training leaves out anyway, and
    negatives.tsv. Where one sounds like the phrase, write an x into its column `rejected` and give the
    table to `wakeword train`.
    """
    from phonoloop.app.voices import voices_at_hand
    from phonoloop.wakeword.confusables import find_confusables
    from phonoloop.wakeword.phrase import read_phrase
    from phonoloop.wakeword.samples import write_samples
    from phonoloop.wakeword.words import frequent_words, joined, read_words

    count, seed = options["count"], options["seed"]
    own = frequent_words(language)
    words = joined(read_words(words_file), own) if words_file else own
    with voices_at_hand(piper_voice) as (espeak, synthesizers):
        heard = read_phrase(phrase, language, espeak)
        found = find_confusables(heard, espeak, count=_CHOICE * count, seed=seed, words=words)
        written = write_samples(options["out"], heard, found, synthesizers, count=count, seed=seed)
    emit(options["as_json"], _body(written), lambda: _lines(written))


def _body(written: Written) -> dict[str, Any]:
    return {"table": str(written.table), "negatives": [asdict(row) for row in written.rows]}


def _lines(written: Written) -> Iterator[str]:
    rows = [
        (row.file, row.text, row.ipa, f"{row.distance:.2f}", "yes" if row.used else "doubtful", row.voice)
        for row in written.rows
    ]
    yield from table(("file", "text", "sounds", "distance", "used", "voice"), rows)
    yield f"{len(rows)} files and {written.table}"
