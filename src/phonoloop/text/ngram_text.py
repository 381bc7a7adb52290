"""Texts for a language model: sentences as a recogniser writes them, from lines as people write them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.text.normalise import for_training

#: a sentence ends after a small letter, and the next begins with no small one: `TP. Huế` stays whole
_SENTENCE_END = re.compile(r"(?:(?<=[^\WA-ZĐ\d_][.!?…])|(?<=\.\.\.))\s+(?=[^\Wa-z_])")


@dataclass(frozen=True, slots=True)
class TextSource:
    """A file that was read.

    Attributes:
        skipped: lines that are not UTF-8; `first_skipped` is the number of the first, 0 for none.
    """

    name: str
    sha256: str
    sentences: int
    words: int
    skipped: int
    first_skipped: int


def sentences_of(text: str, language: str = "vi") -> Iterator[str]:
    """The sentences of a text, in the form that recognisers are trained to write.

    This is the only place where texts for language models are normalised.
    """
    for part in _SENTENCE_END.split(text):
        if sentence := for_training(part, language):
            yield sentence


def read_texts(path: Path, language: str = "vi") -> tuple[list[str], TextSource]:
    """The sentences of a text file, one or more a line. Lines that are not UTF-8 are counted, not guessed.

    Raises:
        NotFoundError: `lm.no_file`. InputError: `lm.unreadable`.
    """
    found: list[str] = []
    skipped: list[int] = []
    digest = hashlib.sha256()
    for number, raw in enumerate(_raw_lines(path), start=1):
        digest.update(raw)
        try:
            found.extend(sentences_of(raw.decode("utf-8-sig" if number == 1 else "utf-8"), language))
        except UnicodeDecodeError:
            skipped.append(number)
    words = sum(len(sentence.split()) for sentence in found)
    first = skipped[0] if skipped else 0
    return found, TextSource(str(path), digest.hexdigest(), len(found), words, len(skipped), first)


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError as error:
        raise NotFoundError("there is no such text file", code="lm.no_file", subject=str(path)) from error
    except OSError as error:
        raise InputError(
            f"this text cannot be read ({error.strerror})", code="lm.unreadable", subject=str(path)
        ) from error


def without_held_out(sentences: Iterable[str], held_out: Iterable[str]) -> tuple[list[str], int]:
    """The sentences that nobody says word for word in held-out recordings, and how many were left out.

    Where that would be more than half, held-out speakers say the same fixed set of sentences as everybody:
    then all stay, and none counts as left out.
    """
    taken = set(held_out)
    everything = list(sentences)
    kept = [sentence for sentence in everything if sentence not in taken]
    if len(kept) * 2 < len(everything):
        return everything, 0
    return kept, len(everything) - len(kept)
