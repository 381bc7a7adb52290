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
#: what is added to counts of each source before the logarithm
_ADDED = (0.3, 1, 0.3, 0.3)


@dataclass(frozen=True, slots=True)
class Counts:
    """Pairs and forms of one source.

    Attributes:
        keys: (p,) sorted `left * forms + right`; values: (p,) how often, need not be whole.
    capitals: (p, 2) how often the left and the right one had a capital letter.
        forms: (forms,) how often each form was seen.
        capital: (forms,) how often with a capital letter.
    """

    keys: np.ndarray
    values: np.ndarray
    capitals: np.ndarray
    forms: np.ndarray
    capital: np.ndarray

    def of(self, keys: np.ndarray) -> np.ndarray:
        """(n,) the counts of pairs, 0 where there is none."""
        return look_up(self.keys, self.values, keys)

    def plus(self, other: Counts, sign: float = 1.0) -> Counts:
        return _gathered(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.values, sign * other.values]),
            np.concatenate([self.capitals, sign * other.capitals]),
            forms=self.forms + sign * other.forms,
            capital=self.capital + sign * other.capital,
        )


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys, each once, and the sums of what stood under them."""
    unique, where = np.unique(keys, return_inverse=True)
    return unique, np.bincount(where, values, minlength=len(unique)).astype(np.float32)


def look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n, …) values (p, …) of sorted keys; 0 for keys that are not there."""
    if not len(keys):
        return np.zeros((len(wanted), *values.shape[1:]), np.float32)
    at = position_of(keys, wanted)
    found = values[at].astype(np.float32)
    found[at < 0] = 0
    return found


def position_of(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted key stands among sorted keys; -1 where it does not."""
    if not len(keys):
        return np.full(len(wanted), -1)
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    return np.where(keys[at] == wanted, at, -1)


def _gathered(
    keys: np.ndarray, values: np.ndarray, capitals: np.ndarray, *, forms: np.ndarray, capital: np.ndarray
) -> Counts:
    """Sums what stands under the same key; what comes to nothing goes."""
    unique, where = np.unique(keys, return_inverse=True)
    columns = (values, capitals[:, 0], capitals[:, 1])
    total, left, right = (np.bincount(where, column, minlength=len(unique)) for column in columns)
    kept = total > 1e-6
    both = np.stack([left, right], 1)[kept].astype(np.float32)
    total = total[kept].astype(np.float32)
    return Counts(unique[kept], total, both, forms.astype(np.float32), capital.astype(np.float32))


def count(sentences: Sequence[Sentence], forms: int) -> Counts:
    """The pairs and forms of sentences; a border stands before and after each."""
    edge = np.array([BORDER])
    ids = np.concatenate([*(part for s in sentences for part in (edge, s.forms)), edge]).astype(np.int64)
    upper = np.concatenate([*(part for s in sentences for part in (edge, s.case)), edge]) == 1
    keys = ids[:-1] * forms + ids[1:]
    capitals = np.stack([upper[:-1], upper[1:]], 1)
    seen = np.bincount(ids[:-1], minlength=forms)
    capital = np.bincount(ids[:-1], upper[:-1], minlength=forms)
    return _gathered(keys, np.ones(len(keys)), capitals, forms=seen, capital=capital)


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
    upper = value[:, None] * table[:, 2:4]
    return _gathered(left * size + right, value, upper, forms=forms, capital=capital)


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
    """All sources together.

    Attributes:
        counts: one for each of `SOURCES`.
        form_keys: (forms,) the key of each form.
    """

    counts: tuple[Counts, Counts, Counts, Counts]
    form_keys: np.ndarray

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
        """(forms, 5) logs of what each source says of a form, and of how often it has a capital."""
        columns = [np.log(counts.forms + add) for counts, add in zip(self.counts, _ADDED, strict=True)]
        return np.stack([*columns, self._capital()], 1).astype(np.float32)

    def _capital(self) -> np.ndarray:
        web = self.counts[WEB]
        return np.log(web.capital + 0.3) - np.log(web.forms - web.capital + 0.3)

    def side_features(self) -> np.ndarray:
        """(2, forms, 11) of forms as the left and as the right one of a pair: logs of how often, by source;
        of how many different neighbours, in the two large sources; of how often with a capital; and
        which special it is."""
        size = len(self.form_keys)
        special = np.eye(size, len(SPECIAL))
        sides = []
        for side in (0, 1):
            of = [np.divmod(counts.keys, size)[side] for counts in self.counts]
            often = [np.bincount(at, c.values, size) for at, c in zip(of, self.counts, strict=True)]
            wide = [np.bincount(of[source], minlength=size) for source in (WEB, FORMAL)]
            columns = [np.log(x + add) for x, add in zip((*often, *wide), (*_ADDED, 0.3, 1), strict=True)]
            sides.append(np.concatenate([np.stack([*columns, self._capital()], 1), special], 1))
        return np.stack(sides).astype(np.float32)

    def pair_features(self, keys: np.ndarray) -> np.ndarray:
        """(n, 16) what the sources say of pairs: each one's count, how much of the left and of the right
        form's occurrences it is, and `_shares`."""
        left, right = np.divmod(keys, len(self.form_keys))
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
            *self._shares(keys),
        )
        return np.stack(columns, 1).astype(np.float32)

    def _shares(self, keys: np.ndarray) -> list[np.ndarray]:
        """Of the web's pairs, and of the other sources' together: the log share of a pair among those with
        the same left form and right key, left key and right form, and both keys."""
        web, formal, general, near = self.counts
        others = (formal.keys, general.keys, near.keys)
        weighed = (0.2 * formal.values, general.values, 2 * near.values)
        texts = _summed(np.concatenate(others), np.concatenate(weighed))
        return [share for table in ((web.keys, web.values), texts) for share in self._shares_in(keys, *table)]

    def _shares_in(self, keys: np.ndarray, seen: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
        often = look_up(seen, values, keys)
        found = []
        for group in (self._same_left, self._same_right, self._same_keys):
            totals = _summed(group(seen), values)
            found.append(np.log((often + 0.3) / (look_up(*totals, group(keys)) + 0.9)))
        return found

    def _same_left(self, keys: np.ndarray) -> np.ndarray:
        left, right = np.divmod(keys, len(self.form_keys))
        return left * len(self.form_keys) + self.form_keys[right]

    def _same_right(self, keys: np.ndarray) -> np.ndarray:
        left, right = np.divmod(keys, len(self.form_keys))
        return self.form_keys[left].astype(np.int64) * len(self.form_keys) + right

    def _same_keys(self, keys: np.ndarray) -> np.ndarray:
        return self._same_right(self._same_left(keys))

    def case_features(self, keys: np.ndarray) -> np.ndarray:
        """(n, 2, 3) for pairs and their left and right form: how much more probable the case (see
        `cases_of`) is in this pair than it is for the form at large, as a logarithm."""
        left, right = np.divmod(keys, len(self.form_keys))
        often = sum(counts.of(keys) for counts in self.counts)[:, None]
        upper = sum(look_up(counts.keys, counts.capitals, keys) for counts in self.counts)
        known = sum(counts.forms for counts in self.counts)
        share = (sum(counts.capital for counts in self.counts) + 0.5) / (known + 1)
        share = np.clip(np.stack([share[left], share[right]], 1), 0.002, 0.998)
        here = np.clip((upper + 2 * share) / (often + 2), 0.001, 0.999)
        lower = np.log((1 - here) / (1 - share))
        return np.stack([lower, np.log(here / share), np.zeros_like(here)], 2).astype(np.float32)


def stored(values: np.ndarray) -> np.ndarray:
    """Counts as one byte each, on a logarithmic scale."""
    steps = np.ceil(_STEPS_PER_DOUBLING * np.log2(1 + np.maximum(values, 0)))
    return np.minimum(steps, 255).astype(np.uint8)


def from_stored(steps: np.ndarray) -> np.ndarray:
    return (np.exp2(steps.astype(np.float32) / _STEPS_PER_DOUBLING) - 1).astype(np.float32)


def sentences_of(texts: Iterable[str], vocabulary: Vocabulary) -> list[Sentence]:
    found = (sentence_of(text, vocabulary) for text in texts)
    return [sentence for sentence in found if len(sentence.forms)]
