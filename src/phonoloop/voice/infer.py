"""A voice says a text of any length: sentence by sentence, with a pause after each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from phonoloop.core.errors import InputError

#: one sentence → (n,) float32 in [-1, 1], and its rate
Say = Callable[[str], tuple[np.ndarray, int]]

PAUSE_S = 0.25
MAX_CHARS = 20_000
#: a sentence longer than this is said in parts, at commas where it has any
_LONGEST = 200
_END = re.compile(r"(?<=[.!?…:;])[\"”’)\]]*\s+|\n+")
_COMMA = re.compile(r"(?<=,)\s+")


def sentences(text: str) -> list[str]:
    """What is said in one go each, in order; empty for a text without a letter or digit."""
    parts = (part for whole in _END.split(text) for part in _shortened(whole.strip()))
    return [part for part in parts if any(map(str.isalnum, part))]


def _shortened(sentence: str) -> Iterator[str]:
    pieces = _COMMA.split(sentence) if len(sentence) > _LONGEST else [sentence]
    yield from _packed(part for whole in pieces for part in _packed(whole.split()))


def _packed(pieces: Iterable[str]) -> Iterator[str]:
    """As many in a row as are not too long together."""
    held = ""
    for piece in pieces:
        if held and len(held) + len(piece) >= _LONGEST:
            yield held
            held = piece
        else:
            held = f"{held} {piece}".strip()
    if held:
        yield held


def speak(text: str, say: Say, *, pause_s: float = PAUSE_S) -> tuple[np.ndarray, int]:
    """(n,) float32 in [-1, 1], and its rate.

    Raises:
        InputError: `voice.text`, nothing in it can be said, or it has over 20,000 characters.
        What `say` raises.
    """
    parts = sentences(text)
    if not parts or len(text) > MAX_CHARS:
        raise InputError(
            "there is nothing to say" if not parts else f"it has {len(text)} characters",
            code="voice.text",
            subject=repr(text[:80]),
            hint=f"Give a text with letters, of at most {MAX_CHARS} characters",
        )
    spoken = [say(part) for part in parts]
    rate_hz = spoken[0][1]
    pause = np.zeros(round(pause_s * rate_hz), np.float32)
    pieces = [piece for samples, _ in spoken for piece in (samples, pause)]
    return np.concatenate(pieces[:-1]), rate_hz
