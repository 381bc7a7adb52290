"""`phonoloop text syllables|phonemes`."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import click

from phonoloop.app.cli.common import error_body
from phonoloop.app.cli.lines import filter_lines
from phonoloop.core.errors import InputError
from phonoloop.core.speech import Phonemiser

#: words as they are looked up: letters and digits, also around an apostrophe
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_BETWEEN_WORDS = "   "
#: lines that are named on standard error
_LISTED = 10


@click.command()
@click.option(
    "--dialect",
    type=click.Choice(["north", "centre", "south"]),
    default="north",
    show_default=True,
    help="Whose sounds: Hanoi, Huế or Saigon.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: the text and its words.")
def syllables(dialect: str, as_json: bool) -> None:
    """Every word as onset·rime·tone and how it sounds; ? for what is no Vietnamese syllable.

    tiếng việt → tiếng t·iêng·sắc [t iə ŋ ˧˥]   việt v·iêt·nặng [v iə t ˨˩ˀ]
    """
    filter_lines(
        lambda line: _BETWEEN_WORDS.join(_shown(word) for word in _words(line, dialect)),
        (lambda line: {"text": line, "words": _words(line, dialect)}) if as_json else None,
    )


def _words(line: str, dialect: str) -> list[dict[str, Any]]:
    return [_word(word, dialect) for word in _WORD.findall(unicodedata.normalize("NFC", line))]


def _word(word: str, dialect: str) -> dict[str, Any]:
    from phonoloop.text.phonetics import phones
    from phonoloop.text.syllables import parse

    syllable = parse(word)
    if syllable is None:
        return {"word": word, "onset": None, "rime": None, "tone": None, "phones": []}
    return {
        "word": word,
        "onset": syllable.onset,
        "rime": syllable.rime,
        "tone": syllable.tone,
        "phones": list(phones(word, dialect)),
    }


def _shown(word: dict[str, Any]) -> str:
    if word["tone"] is None:
        return f"{word['word']} ?"
    parts = "·".join((word["onset"] or "∅", word["rime"], word["tone"]))
    return f"{word['word']} {parts} [{' '.join(word['phones'])}]"


@click.command()
@click.option("--language", default="vi", show_default=True, help="As espeak-ng names it: vi, en-us, fr, …")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: the text and its words.")
def phonemes(language: str, as_json: bool) -> None:
    """Phonemes of any language that espeak-ng speaks, spaces between them, | between words.

    A line that espeak-ng cannot read is written as it came and told on standard error; the exit code is
    then 2. Needs the extra `phonoloop[espeak]`.
    """
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as espeak:
        espeak.phonemise("1", language)  # an unknown language is told once, not with every line
        filter_phonemes(espeak, language, as_json=as_json)


def filter_phonemes(phonemiser: Phonemiser, language: str, *, as_json: bool) -> None:
    refused: list[InputError] = []

    def read(line: str) -> list[tuple[str, ...]] | InputError:
        try:
            return phonemiser.phonemise(line, language)
        except InputError as error:
            refused.append(error)
            return error

    try:
        filter_lines(
            lambda line: _phoneme_line(line, read(line)),
            (lambda line: _phoneme_body(line, read(line))) if as_json else None,
        )
    except SystemExit as end:
        for error in refused[:_LISTED]:
            click.echo(f"Not read: [{error.code}] {error}", err=True)
        raise SystemExit(end.code or (2 if refused else 0)) from None


def _phoneme_line(line: str, read: list[tuple[str, ...]] | InputError) -> str:
    return line if isinstance(read, InputError) else " | ".join(" ".join(word) for word in read)


def _phoneme_body(line: str, read: list[tuple[str, ...]] | InputError) -> dict[str, Any]:
    if isinstance(read, InputError):
        return {"text": line, "error": error_body(read)}
    return {"text": line, "words": read}
