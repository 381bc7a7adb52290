"""A phrase and how it sounds, in any language that the phonemiser speaks."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from phonoloop.core.errors import InputError
from phonoloop.core.speech import Phonemiser
from phonoloop.text.ipa import is_tone, is_vowel
from phonoloop.wakeword.sounds import Sounds, words_of
from phonoloop.wakeword.tables import read_rows

LONGEST_CHARS = 100


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is to be heard.

    Attributes:
        text: in NFC, one space between words.
        language: as the phonemiser names it (`en-us`, `vi`).
        words: the phonemes of each word in the International Phonetic Alphabet, without stress; tones are
            phonemes of their own. Words are as the phonemiser groups them, which may differ from the text's.
    """

    text: str
    language: str
    words: tuple[Sounds, ...]

    @property
    def phonemes(self) -> Sounds:
        return tuple(phoneme for word in self.words for phoneme in word)

    @property
    def sounds(self) -> Sounds:
        """Without tones."""
        return tuple(phoneme for phoneme in self.phonemes if not is_tone(phoneme))

    @property
    def vowels(self) -> Sounds:
        return tuple(phoneme for phoneme in self.phonemes if is_vowel(phoneme))

    @property
    def syllables(self) -> int:
        """One for each vowel; a word without any counts as one."""
        return sum(max(1, sum(map(is_vowel, word))) for word in self.words)

    @property
    def ipa(self) -> str:
        return " ".join("".join(word) for word in self.words)


def read_phrase(text: str, language: str, phonemiser: Phonemiser) -> Phrase:
    """The phrase with its phonemes.

    Raises:
        InputError: `wakeword.phrase`, nothing in it can be said, or it is too long; `wakeword.language`,
            an unknown language, with near ones named.
    """
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    _check_text(clean)
    _check_language(language, phonemiser.languages())
    (words,) = words_of([clean], language, phonemiser)
    if not any(words):
        raise _unspeakable(clean, f"no sound of {language} is in it")
    return Phrase(clean, language, words)


def _check_text(text: str) -> None:
    if not text:
        raise _unspeakable(text, "it is empty")
    if len(text) > LONGEST_CHARS:
        raise _unspeakable(text[:LONGEST_CHARS], f"it has {len(text)} characters, more than {LONGEST_CHARS}")
    if not any(ch.isalnum() for ch in text):
        raise _unspeakable(text, "there is no letter or digit in it")


def _unspeakable(text: str, reason: str) -> InputError:
    return InputError(
        f"this phrase cannot be said: {reason}",
        code="wakeword.phrase",
        subject=repr(text),
        hint="Give two or three words in the letters of their language",
    )


def _check_language(language: str, known: Sequence[str]) -> None:
    if language in known:
        return
    near = near_languages(language, known)
    raise InputError(
        f"the phonemiser does not speak {language!r}",
        code="wakeword.language",
        subject=language,
        hint=f"Did you mean {' or '.join(near)}?" if near else "Give a code such as en, en-us, vi or de",
    )


def near_languages(language: str, known: Sequence[str]) -> list[str]:
    """Up to five: a language of this English name, then those with the same first part, then those that are
    written alike."""
    wanted = language.lower().replace("_", "-")
    base = wanted.partition("-")[0]
    names = {row["name"]: row["language"] for row in read_rows("languages.tsv")}
    named = [names[name] for name in difflib.get_close_matches(wanted, names, n=1, cutoff=0.75)]
    related = [name for name in known if name == wanted or name.partition("-")[0] == base]
    spelled = difflib.get_close_matches(wanted, known, n=5, cutoff=0.6)
    return [name for name in dict.fromkeys([*named, *related, *spelled]) if name in known][:5]
