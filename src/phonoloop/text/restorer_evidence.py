"""What was counted: how often forms and pairs of neighbouring forms were seen, source by source.

Four sources of different worth are kept apart, because a learned function weighs them
(`restorer_fit`): `web` (a list of pairs by rank, see `pairs_by_rank`), `formal` (statutes), `general`
(encyclopedic) and `near` (the kind of text that is to be restored; a user's own transcripts come here).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phonoloop.text.restorer_words import (
    BORDER,
    NUMBER,
    SPECIAL,
    Sentence,
    Vocabulary,
    form_of,
    sentence_of,
)

SOURCES = ("web", "formal", "general", "near")
WEB, FORMAL, GENERAL, NEAR = range(4)
#: one step of a stored count: 16 to the doubling, so that 255 steps reach 63,000
_STEPS_PER_DOUBLING = 16


@dataclass(frozen=True, slots=True)
class Counts:
    """Pairs and forms of one source.

    Attributes:
        keys: (p,) sorted `left * forms + right`; values: (p,) how often, need not be whole.
        forms: (forms,) how often each form was seen.
        capital: (forms,) how often with a capital letter.
    """

    keys: np.ndarray
    values: np.ndarray
    forms: np.ndarray
    capital: np.ndarray

    def of(self, keys: np.ndarray) -> np.ndarray:
        """(n,) the counts of pairs, 0 where there is none."""
        return look_up(self.keys, self.values, keys)

    def plus(self, other: Counts, sign: float = 1.0) -> Counts:
        keys = np.concatenate([self.keys, other.keys])
        values = np.concatenate([self.values, sign * other.values])
        return _gathered(keys, values, self.forms + sign * other.forms, self.capital + sign * other.capital)


def look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values of sorted keys; 0 for keys that are not there."""
    at = position_of(keys, wanted)
    return np.where(at < 0, 0, values[at] if len(values) else 0).astype(np.float32)


def position_of(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted key stands among sorted keys; -1 where it does not."""
    if not len(keys):
        return np.full(len(wanted), -1)
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    return np.where(keys[at] == wanted, at, -1)


def _gathered(keys: np.ndarray, values: np.ndarray, forms: np.ndarray, capital: np.ndarray) -> Counts:
    unique, where = np.unique(keys, return_inverse=True)
    total = np.bincount(where, values, minlength=len(unique)).astype(np.float32)
    kept = total > 0
    return Counts(unique[kept], total[kept], forms.astype(np.float32), capital.astype(np.float32))


def count(sentences: Sequence[Sentence], forms: int) -> Counts:
    """The pairs and forms of sentences; a border stands before and after each."""
    runs = [np.concatenate([[BORDER], sentence.forms, [BORDER]]) for sentence in sentences]
    ids = np.concatenate([*runs, [BORDER]]).astype(np.int64)
    case = np.concatenate([np.concatenate([[0], s.case, [0]]) for s in sentences] or [np.zeros(0)])
    inside = np.ones(len(ids) - 1, bool)
    inside[np.cumsum([len(run) for run in runs], dtype=np.int64) - 1] = False
    keys = (ids[:-1] * forms + ids[1:])[inside]
    seen = np.bincount(ids[:-1], minlength=forms)
    capital = np.bincount(ids[:-1], case == 1, minlength=forms)
    return _gathered(keys, np.ones(len(keys)), seen, capital)


def pairs_by_rank(pairs: Sequence[str], vocabulary: Vocabulary) -> Counts:
    """A list of word pairs, most frequent first, as counts: 150,000 / (rank + 20), Zipf's law.

    `?` stands for a digit in the list; pairs with other symbols are left out.
    """
    size = len(vocabulary)
    rows = [_pair(line, rank, vocabulary) for rank, line in enumerate(pairs)]
    table = np.array([row for row in rows if row], np.float64).reshape(-1, 5)
    left, right = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    value = 150_000 / (table[:, 4] + 20)
    forms = np.bincount(left, value, minlength=size) + np.bincount(right, value, minlength=size)
    capital = np.bincount(left, value * table[:, 2], minlength=size)
    capital += np.bincount(right, value * table[:, 3], minlength=size)
    return _gathered(left * size + right, value, forms, capital)


def _pair(line: str, rank: int, vocabulary: Vocabulary) -> tuple[int, int, bool, bool, int] | None:
    words = line.split(" ")
    ids = [_id_in_list(word, vocabulary) for word in words]
    if len(ids) != 2 or None in ids:
        return None
    return ids[0], ids[1], words[0][0].isupper(), words[1][0].isupper(), rank  # type: ignore[return-value]


def _id_in_list(word: str, vocabulary: Vocabulary) -> int | None:
    if "?" in word:
        return None if any(ch.isalpha() for ch in word) else NUMBER
    return vocabulary.ids.get(form_of(word), len(SPECIAL) - 1) if word.isalpha() else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All sources together, and how frequent forms are in Vietnamese at large.

    Attributes:
        counts: one for each of `SOURCES`.
        frequency: (forms,) occurrences in a million words of mixed text, 0 where unknown.
    """

    counts: tuple[Counts, Counts, Counts, Counts]
    frequency: np.ndarray

    def without(self, source: int, counts: Counts) -> Evidence:
        """As if these occurrences had not been seen: what a model is trained on must not know the
        sentence it is trained on."""
        return self._with(source, self.counts[source].plus(counts, -1.0))

    def plus(self, source: int, counts: Counts) -> Evidence:
        return self._with(source, self.counts[source].plus(counts))

    def _with(self, source: int, counts: Counts) -> Evidence:
        kept = list(self.counts)
        kept[source] = counts
        return replace(self, counts=tuple(kept))

    def pair_keys(self) -> np.ndarray:
        """Every pair that any source has seen, sorted."""
        return np.unique(np.concatenate([counts.keys for counts in self.counts]))

    def form_features(self) -> np.ndarray:
        """(forms, 6) logs of what each source says of a form, and of how often it has a capital."""
        web, formal, general, near = (counts.forms for counts in self.counts)
        capital = self.counts[WEB].capital
        columns = (
            np.log(web + 0.3),
            np.log(self.frequency + 0.3),
            np.log(formal + 1),
            np.log(general + 0.3),
            np.log(near + 0.3),
            np.log(capital + 0.3) - np.log(web - capital + 0.3),
        )
        return np.stack(columns, 1).astype(np.float32)

    def pair_features(self, keys: np.ndarray) -> np.ndarray:
        """(n, 20) what the sources say of pairs: each one's count, how much of the left and of the right
        form's occurrences it is, and the first five features of both forms."""
        size = len(self.frequency)
        left, right = np.divmod(keys, size)
        web, formal, general, near = (counts.of(keys) for counts in self.counts)
        seen_web, seen_formal = web > 0, formal > 0
        of_web, of_formal = self.counts[WEB].forms, self.counts[FORMAL].forms
        columns = (
            seen_web,
            np.log(web / 0.3 + 1),
            seen_web * (np.log(web + 0.3) - 0.5 * np.log((of_web[left] + 1) * (of_web[right] + 1))),
            seen_web * (np.log(web + 0.3) - np.log(of_web[left] + 1)),
            seen_web * (np.log(web + 0.3) - np.log(of_web[right] + 1)),
            np.log1p(formal),
            seen_formal * (np.log(formal + 0.1) - np.log(of_formal[left] + 5)),
            seen_formal * (np.log(formal + 0.1) - np.log(of_formal[right] + 5)),
            np.log1p(general),
            np.log1p(near),
        )
        forms = self.form_features()[:, :5]
        return np.concatenate([np.stack(columns, 1), forms[left], forms[right]], 1).astype(np.float32)


def stored(values: np.ndarray) -> np.ndarray:
    """Counts as one byte each, on a logarithmic scale."""
    steps = np.ceil(_STEPS_PER_DOUBLING * np.log2(1 + np.maximum(values, 0)))
    return np.minimum(steps, 255).astype(np.uint8)


def from_stored(steps: np.ndarray) -> np.ndarray:
    return (np.exp2(steps.astype(np.float32) / _STEPS_PER_DOUBLING) - 1).astype(np.float32)


def sentences_of(texts: Iterable[str], vocabulary: Vocabulary) -> list[Sentence]:
    found = (sentence_of(text, vocabulary) for text in texts)
    return [sentence for sentence in found if len(sentence.forms)]
