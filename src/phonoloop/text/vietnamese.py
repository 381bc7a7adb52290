"""Letters and syllables of Vietnamese, as far as every part needs them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # grave, acute, tilde, hook above, dot below
_BASE_VOWELS = "aăâeêioôơuưy"
_CONSONANTS = "bcdđfghjklmnpqrstvwxz"

_MARKED = "ăâêôơư"
# vowel groups of Vietnamese syllables; what is not here is some other language's word
_GROUPS = (
    "a ă â e ê i o ô ơ u ư y ai ao au ay âu ây eo êu ia iê iu oa oă oe oi oo ôi ơi ua uâ uê ui uô uơ "
    "uy ưa ưi ươ ưu yê iêu oai oao oay oeo uây uêu uôi uya uyê uyu ươi ươu yêu"
)
_KNOWN_GROUPS = frozenset(_GROUPS.split(" "))
_ONSET = "ngh|ng|nh|th|tr|ph|kh|gh|ch|gi(?=[aăâeêioôơuưy])|qu(?=[aăâeêioôơuưy])|[bcdđghklmnprstvx]|"
_SYLLABLE = re.compile(f"({_ONSET})([aăâeêioôơuưy]+)(ng|nh|ch|[cmnpt]|)")


def vietnamese_letters() -> str:
    """Every lower-case letter of Vietnamese text: 12 vowels in 6 tones, the consonants with đ, and
    f, j, w, z, which foreign words and abbreviations bring along. 93 characters, in code point order."""
    toned = {unicodedata.normalize("NFC", v + t) for v in _BASE_VOWELS for t in ("", *_TONES)}
    return "".join(sorted(toned | set(_CONSONANTS)))


@lru_cache(maxsize=65_536)
def place_tone(word: str) -> str:
    """A lower-case word with its tone mark where the older style puts it (`hoà` → `hòa`).

    Words that are not one Vietnamese syllable with one tone come back unchanged, so that both
    styles of writing, and marks typed on the wrong vowel (`tóan` → `toán`), count as the same word.
    """
    decomposed = unicodedata.normalize("NFD", word)
    tones = [ch for ch in decomposed if ch in _TONES]
    if len(tones) != 1:
        return word
    bare = unicodedata.normalize("NFC", decomposed.replace(tones[0], ""))
    match = _SYLLABLE.fullmatch(bare)
    if match is None or match[2] not in _KNOWN_GROUPS:
        return word
    at = match.end(1) + _tone_position(match[2], has_coda=bool(match[3]))
    return unicodedata.normalize("NFC", bare[: at + 1] + tones[0] + bare[at + 1 :])


def _tone_position(vowels: str, *, has_coda: bool) -> int:
    """Which vowel of a group carries the tone: the last with a mark of its own; without one the
    last before a consonant, the middle of three, else the first."""
    marked = [i for i, vowel in enumerate(vowels) if vowel in _MARKED]
    if marked:
        return marked[-1]
    if has_coda:
        return len(vowels) - 1
    return 1 if len(vowels) == 3 else 0
