"""The letters of Vietnamese, and one place for the tone mark."""

from __future__ import annotations

import unicodedata

from phonoloop.text.syllables import TONES, compose, parse

_BASE_VOWELS = "aăâeêioôơuưy"
_CONSONANTS = "bcdđfghjklmnpqrstvwxz"


def vietnamese_letters() -> str:
    """Every lower-case letter of Vietnamese text: 12 vowels in 6 tones, the consonants with đ, and
    f, j, w, z, which foreign words and abbreviations bring along. 93 characters, in code point order."""
    toned = {unicodedata.normalize("NFC", v + t) for v in _BASE_VOWELS for t in TONES.values()}
    return "".join(sorted(toned | set(_CONSONANTS)))


def place_tone(word: str) -> str:
    """A lower-case word with its tone mark where the older style puts it (`hoà` → `hòa`).

    Words that are not one Vietnamese syllable with a tone mark come back unchanged, so that both
    styles of writing, and marks typed on the wrong vowel (`tóan` → `toán`), count as the same word.
    """
    syllable = parse(word, any_tone=True)
    if syllable is None or syllable.tone == "ngang" or word != word.lower():
        return word
    return compose(syllable)
