"""`phonoloop wakeword advise`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonoloop.app.cli.common import emit

if TYPE_CHECKING:
    from phonoloop.wakeword.advise import Advice

_SIGNS = {"bad": "✗", "warning": "!", "note": "·"}


@click.command()
@click.argument("phrase")
@click.option("--language", default="en", show_default=True, help="A language of espeak-ng: en-us, vi, de, …")
@click.option(
    "--words",
    "words_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Words that are said where it listens, one a line, the most frequent first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def advise(phrase: str, language: str, words_file: Path | None, as_json: bool) -> None:
    """Is this a good phrase? Before anything is recorded.

    Counts syllables and sounds, finds what it is confused with, and says good, usable or poor, with reasons
    and better variants. For any language of espeak-ng; of about forty the frequent words are known.
    """
    from phonoloop.adapters.espeak import EspeakSynthesizer
    from phonoloop.wakeword.advise import advise as advise_on
    from phonoloop.wakeword.words import frequent_words, joined, read_words

    own = frequent_words(language)
    words = joined(read_words(words_file), own) if words_file else own
    with EspeakSynthesizer() as espeak:
        advice = advise_on(phrase, language, espeak, words=words)
    emit(as_json, _body(advice), lambda: _lines(advice))


def _body(advice: Advice) -> dict[str, Any]:
    phrase = advice.phrase
    return {
        "phrase": phrase.text,
        "language": phrase.language,
        "verdict": advice.verdict,
        "ipa": phrase.ipa,
        "words": phrase.words,
        "syllables": phrase.syllables,
        "sounds": len(phrase.sounds),
        "findings": [asdict(one) for one in advice.findings],
        "near": [
            {
                "text": one.text,
                "ipa": "".join(one.sounds),
                "distance": round(one.distance, 3),
                "rank": one.rank,
            }
            for one in advice.near
        ],
        "compared_with": advice.compared_with,
        "variants": [asdict(one) for one in advice.variants],
    }


def _lines(advice: Advice) -> Iterator[str]:
    phrase = advice.phrase
    yield f"{phrase.text}  /{phrase.ipa}/  {phrase.language}"
    yield f"{phrase.syllables} syllables, {len(phrase.sounds)} sounds"
    yield f"Verdict: {advice.verdict}"
    for finding in advice.findings:
        yield f"  {_SIGNS[finding.severity]} {finding.text}."
    if not advice.findings:
        yield "  Long enough, varied, and nothing that is said every day is near."
    if advice.near:
        yield f"Nearest among {advice.compared_with} (0 is the same, 1 is far):"
        yield from (f"  {one.distance:.2f}  {one.text}  /{''.join(one.sounds)}/" for one in advice.near)
    if advice.variants:
        yield "Better:"
        yield from (f"  {one.text}  /{one.ipa}/  {one.verdict}" for one in advice.variants)
