"""What the restorer sees of a text: its tokens with their places, and the forms each one can have.

A *form* is a lower-case composed syllable with its tone mark in the older place (`hòa`); its *key* is the
form without marks (`hoa`). The forms of one key are the candidates among which the restorer chooses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from phonoloop.text.syllables import strip_marks
from phonoloop.text.vietnamese import place_tone

#: ids of what is no form: the border of a sentence, a number, punctuation, a word of another language
BORDER, NUMBER, PUNCTUATION, FOREIGN = range(4)
SPECIAL = ("<s>", "<n>", "<p>", "<u>")
#: no key has more forms (`do`, `dan`: 22)
MAX_FORMS = 24

_LETTER = r"(?:[^\W\d_][\u0300-\u036f]*)"
_TOKEN = re.compile(rf"(?P<word>{_LETTER}+)|(?P<number>\d+)|(?P<mark>[^\w\s]|_)")
_CHUNK = re.compile(r"\S+")
# what makes an address, a file name, a measure or a word with something invisible inside of a stretch without
# white space: nothing in it is restored
_ALIEN = re.compile(
    r"://|[@_#\\]|^www\.|[a-zA-Z0-9]\.[a-z]{2}|[^\W\d_]['’][^\W\d_]|[^\W\d_]\d|\d[^\W\d_]"
    r"|[^\W\d_][\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+[^\W\d_]"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch of a text: `form` is set for words, `special` for everything else (-1 for words)."""

    start: int
    end: int
    form: str
    special: int
    case: int  # 0 lower, 1 capital, 2 all capitals with more than one letter


def tokens_of(text: str) -> list[Token]:
    """The words, numbers and runs of punctuation of a text, in order; positions are those of `text`."""
    aliens = [chunk.span() for chunk in _CHUNK.finditer(text) if _is_alien(chunk[0])]
    found: list[Token] = []
    at = 0
    for match in _TOKEN.finditer(text):
        while at < len(aliens) and aliens[at][1] <= match.start():
            at += 1
        alien = at < len(aliens) and aliens[at][0] <= match.start()
        token = _token(match, alien)
        if token.special == PUNCTUATION and found and found[-1].special == PUNCTUATION:
            continue
        found.append(token)
    return found


def _is_alien(chunk: str) -> bool:
    return not chunk.isalpha() and _ALIEN.search(chunk) is not None


def _token(match: re.Match[str], alien: bool) -> Token:
    raw, start, end = match[0], match.start(), match.end()
    if match["number"]:
        return Token(start, end, "", NUMBER, 0)
    if match["mark"]:
        return Token(start, end, "", PUNCTUATION, 0)
    form, case = _form_and_case(raw)
    return Token(start, end, form, FOREIGN if alien else -1, case)


@lru_cache(maxsize=65_536)
def _form_and_case(raw: str) -> tuple[str, int]:
    return form_of(raw), _case_of(raw)


def _case_of(raw: str) -> int:
    if not raw[0].isupper():
        return 0
    return 2 if len(raw) > 1 and raw.isupper() else 1


def form_of(raw: str) -> str:
    """Lower case, composed, tone mark in the older place."""
    return place_tone(unicodedata.normalize("NFC", raw).lower())


@lru_cache(maxsize=65_536)
def key_of(form: str) -> str:
    """A form without its marks."""
    return strip_marks(form)


def in_case_of(form: str, raw: str) -> str:
    """A form written with the capitals of `raw`, which has as many letters."""
    letters = unicodedata.normalize("NFC", raw)
    if len(letters) != len(form):
        return form.upper() if letters.isupper() else form
    return "".join(new.upper() if old.isupper() else new for new, old in zip(form, letters, strict=True))


@dataclass(frozen=True)
class Vocabulary:
    """The forms a model knows, and which of them share a key.

    Attributes:
        forms: by id; the first four are `SPECIAL`, the others sorted. Every key is a form too.
    """

    forms: tuple[str, ...]

    @staticmethod
    def of(forms: Iterable[str]) -> Vocabulary:
        known = set(forms)
        return Vocabulary((*SPECIAL, *sorted(known | {key_of(form) for form in known})))

    def __len__(self) -> int:
        return len(self.forms)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {form: at for at, form in enumerate(self.forms)}

    @cached_property
    def keys(self) -> np.ndarray:
        """(forms,) the id of each form's key; specials are their own."""
        plain = [self.ids[key_of(form)] for form in self.forms[len(SPECIAL) :]]
        return np.array([*range(len(SPECIAL)), *plain], np.int32)

    @cached_property
    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """(forms, MAX_FORMS) ids of the forms of a key, the key itself first; (forms,) how many.
        Rows of ids that are no keys are empty."""
        rows = np.zeros((len(self), MAX_FORMS), np.int32)
        rows[:, 0] = np.arange(len(self))
        counts = np.where(self.keys == np.arange(len(self)), 1, 0).astype(np.int32)
        for form in np.flatnonzero(self.keys != np.arange(len(self))):
            key = self.keys[form]
            if counts[key] < MAX_FORMS:
                rows[key, counts[key]] = form
                counts[key] += 1
        return rows, counts

    def id_of(self, token: Token) -> int:
        """The id of a token's form; `FOREIGN` where the model does not know it."""
        return token.special if token.special >= 0 else self.ids.get(token.form, FOREIGN)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text for training: (n,) ids of its forms, (n,) their case."""

    forms: np.ndarray
    case: np.ndarray


def sentence_of(text: str, vocabulary: Vocabulary) -> Sentence:
    tokens = tokens_of(text)
    return Sentence(
        np.array([vocabulary.id_of(token) for token in tokens], np.int32),
        cases_of(tokens),
    )


def cases_of(tokens: Sequence[Token]) -> np.ndarray:
    """(n,) 0: lower case, 1: a capital inside a sentence (a name, perhaps), 2: case says nothing.

    It says nothing where a sentence begins, and in a text all in capitals or without any.
    """
    cases = np.array([min(token.case, 1) for token in tokens], np.int8)
    words = [token.case > 0 for token in tokens if token.special < 0]
    if not any(words) or sum(words) > 0.7 * len(words):
        return np.full_like(cases, 2)
    for at, token in enumerate(tokens):
        if token.case and (at == 0 or tokens[at - 1].special == PUNCTUATION):
            cases[at] = 2
    return cases


def as_heard(sentence: Sentence) -> Sentence:
    """A sentence as recognisers write it: without punctuation, its case saying nothing."""
    forms = sentence.forms[sentence.forms != PUNCTUATION]
    return Sentence(forms, np.full(len(forms), 2, np.int8))


def counted_forms(texts: Iterable[str]) -> Iterator[str]:
    """Every word of some texts, as a form."""
    for text in texts:
        for token in tokens_of(text):
            if token.special < 0:
                yield token.form
