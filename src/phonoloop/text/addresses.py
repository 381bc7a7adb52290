"""Web and e-mail addresses: found, so that nothing is changed inside them, and read aloud."""

from __future__ import annotations

import re

from phonoloop.text.lexicon import signs
from phonoloop.text.numbers import digits_to_words

_DOMAINS = "com|vn|net|org|edu|gov|info|biz|io|co|me|tv|ai|dev|app|asia|eu|uk|us|jp|cn|kr|de|fr|ru|int|xyz"
_ADDRESS = re.compile(
    r"(?<![\w@.])(?:[a-z]{2,10}://|www\.)[^\s<>\"“”]+"
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    rf"|(?<![\w@.-])[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:{_DOMAINS})(?![\w@])(?:[:/][^\s<>\"“”]*)?",
    re.IGNORECASE,
)
#: cheap to look for, and in every address
_HINT = re.compile(r"@\w|://|www\.|[A-Za-z0-9]\.[A-Za-z]{2}", re.IGNORECASE)
#: belongs to the sentence, not to the address, at its end
_TRAILING = ".,;:!?)]}'…"
_PIECE = re.compile(r"[0-9]+|[^\W\d_]+|[^\w\s]|_|.")


def address_spans(text: str) -> list[tuple[int, int]]:
    """[start, end) of each address, in their order."""
    if not _HINT.search(text):
        return []
    spans = (
        (match.start(), match.start() + len(match[0].rstrip(_TRAILING))) for match in _ADDRESS.finditer(text)
    )
    return [(start, end) for start, end in spans if end > start]


def say_address(address: str) -> str:
    """An address read aloud: signs by name, digits one by one, words as they are written.

    The `https://` in front is not said.
    """
    spoken = re.sub(r"^[a-z]{2,10}://", "", address, flags=re.IGNORECASE)
    return " ".join(_say(piece) for piece in _PIECE.findall(spoken) if piece.strip())


def _say(piece: str) -> str:
    if piece.isascii() and piece.isdigit():
        return digits_to_words(piece)
    return signs("address").get(piece, piece)
