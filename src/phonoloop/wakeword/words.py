"""The frequent words of a language, which a phrase is compared with.

Lists of the most frequent words come with the package for about forty languages (from wordfreq; NOTICE
says from what). For other languages there is what the user brings.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from phonoloop.core.errors import InputError

#: languages of espeak-ng whose list has another name
_LISTS = {"cmn": "zh", "yue": "zh", "hak": "zh", "hr": "sh", "bs": "sh", "sr": "sh", "no": "nb"}
_LONGEST_CHARS = 60


@dataclass(frozen=True, slots=True)
class WordList:
    """Words, the most frequent first.

    Attributes:
        source: where they come from, in words for people; empty for no list.
    """

    words: tuple[str, ...]
    source: str


def frequent_words(language: str) -> WordList:
    """The list that comes with the package; an empty one where there is none."""
    base = language.partition("-")[0]
    name = _LISTS.get(base, base)
    path = resources.files(__package__) / "tables" / "words" / f"{name}.txt"
    if not name.isalpha() or not path.is_file():
        return WordList((), "")
    words = tuple(path.read_text(encoding="utf-8").split())
    return WordList(words, f"the {len(words)} most frequent words of {name} (wordfreq)")


def read_words(path: Path) -> WordList:
    """A user's own list: a word or a phrase a line, the most important first; `#` begins a comment.

    Raises:
        InputError: `wakeword.words`, it cannot be read, is no UTF-8, or holds no word.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_words(path, f"it cannot be read ({error})") from error
    lines = (unicodedata.normalize("NFC", line.partition("#")[0]).strip() for line in text.splitlines())
    words = tuple(dict.fromkeys(line[:_LONGEST_CHARS] for line in lines if any(map(str.isalnum, line))))
    if not words:
        raise _no_words(path, "there is no word in it")
    return WordList(words, f"{len(words)} words of {path.name}")


def _no_words(path: Path, reason: str) -> InputError:
    return InputError(
        f"this is no list of words: {reason}",
        code="wakeword.words",
        subject=str(path),
        hint="Give a text file in UTF-8 with a word on each line",
    )


def joined(first: WordList, second: WordList) -> WordList:
    """Both, the first one's words first."""
    source = " and ".join(filter(None, (first.source, second.source)))
    return WordList(tuple(dict.fromkeys((*first.words, *second.words))), source)
