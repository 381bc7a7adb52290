"""`phonoloop voice coverage`: which sounds a voice lacks, and sentences that have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from phonoloop.app.cli.common import emit
from phonoloop.voice.coverage import (
    ENOUGH,
    Coverage,
    Suggestion,
    coverage_of,
    read_sentences,
    sentences_to_record,
)
from phonoloop.voice.metadata import read_texts
from phonoloop.voice.texts import ClipText

_LISTED = 40


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option("--language", default="", help="As espeak-ng names it: vi, en-us, …; the clips' if not given.")
@click.option(
    "--text",
    "text_file",
    type=click.Path(path_type=Path),
    help="Text like the voice is to speak: says what is missing, and sentences are picked from it.",
)
@click.option(
    "--sentences", type=click.IntRange(0), default=10, show_default=True, help="How many to suggest."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def coverage(folder: Path, language: str, text_file: Path | None, sentences: int, *, as_json: bool) -> None:
    """Which sounds, and which pairs of sounds, the clips in DIR have and lack.

    With --text FILE also sentences to record, those first that bring most of what is missing. Needs the
    extra `phonoloop[espeak]`.
    """
    from phonoloop.adapters.espeak import EspeakSynthesizer

    texts = read_texts(folder)
    language = language or _language_of(texts)
    reference = read_sentences(text_file) if text_file else []
    with EspeakSynthesizer() as espeak:
        found = coverage_of(texts, espeak, language, reference=reference)
        picked = sentences_to_record(found, reference, espeak, language, most=sentences)
    view = {"language": language} | found.to_dict() | {"record": [one.to_dict() for one in picked]}
    emit(as_json, view, lambda: _lines(view, found, picked))


def _language_of(texts: Sequence[ClipText]) -> str:
    counts = Counter(text.language for text in texts if text.language)
    if not counts:
        raise click.UsageError("Nobody has said the language of these clips: give --language.")
    return counts.most_common(1)[0][0]


def _lines(view: dict[str, Any], found: Coverage, picked: Sequence[Suggestion]) -> Iterator[str]:
    yield f"{found.clips} clips, {len(found.heard.phonemes)} sounds, {view['diphones']} pairs of sounds."
    if found.unread:
        yield f"{len(found.unread)} clips have nothing that can be read: {' '.join(found.unread[:3])} …"
    if found.wanted.diphones:
        yield f"{found.share:.1%} of the pairs in what it is compared with have been heard."
    yield _list("Missing sounds", found.missing_phonemes)
    yield _list(
        f"Sounds heard fewer than {ENOUGH} times",
        [f"{one} ({found.heard.phonemes[one]})" for one in found.rare_phonemes],
    )
    yield _list("Missing pairs, most wanted first", view["missing_diphones"])
    if picked:
        yield "To record:"
    for number, one in enumerate(picked, start=1):
        yield f"{number:3}. {one.text}"


def _list(heading: str, items: Sequence[str]) -> str:
    more = f" … and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return f"{heading}: {' '.join(items[:_LISTED]) or 'none'}{more}"
