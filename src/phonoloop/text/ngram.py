"""Word n-gram language models: trained here, kept as ARPA, asked word by word.

A model is a trie in sorted arrays. An n-gram of k words is a row of level k; its row holds the key
(row of its first k - 1 words) * vocabulary + last word, so that one binary search finds it. A state is
an integer that stands for the longest known context; 0 is the empty one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
UNKNOWN_ID, BEGIN_ID, END_ID = 0, 1, 2
RESERVED = (UNKNOWN, BEGIN, END)
#: log10 probability of what a model has no number for
NEVER = -100.0
EMPTY_STATE = 0
#: letters; text found on the way to a language model may hold longer ones
LONGEST_WORD = 64
_CACHED_STEPS = 1_000_000
_LN10 = math.log(10.0)


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """The n-grams of one length, m of them.

    Attributes:
        keys: (m,) int64, ascending.
        log10: (m,) float32 probabilities.
        backoff: (m,) float32, log10 of the weight of the shorter context; zeros at the longest level.
        suffix: (m,) int64, the state of the same n-gram without its first word, or of the longest
            known ending of it.
    """

    keys: np.ndarray
    log10: np.ndarray
    backoff: np.ndarray
    suffix: np.ndarray


@dataclass(frozen=True, slots=True)
class Perplexity:
    """How well a model foresees texts.

    Attributes:
        words: with one end of sentence for each text.
        unknown: words that the model does not know; they are not in `perplexity`.
        perplexity: over the known words; infinite where there is none.
    """

    words: int
    unknown: int
    perplexity: float

    @property
    def unknown_share(self) -> float:
        return self.unknown / self.words if self.words else 0.0


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off n-gram model.

    Attributes:
        words: word of each id; 0 is `<unk>`, 1 `<s>`, 2 `</s>`.
        about: how it was made, JSON values.
    """

    words: tuple[str, ...]
    levels: tuple[Level, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        order: int = 4,
        *,
        min_counts: Sequence[int] = (1,),
        min_word_count: int = 1,
    ) -> NgramModel:
        """Interpolated modified Kneser-Ney (Chen & Goodman 1999), see `ngram_estimate`.

        Args:
            texts: one sentence each, in the form that is recognised; words are what stands between
                white space.
            min_counts: an n-gram seen less often is left out; one number a length, the last one for
                all longer ones; not falling. The first is for pairs of words.
            min_word_count: words seen less often count as `<unk>`.

        Raises:
            InputError: `lm.no_text`, `lm.reserved_word`, `lm.text`.
            ConfigError: `lm.order`, `lm.cutoff`.
        """
        from phonoloop.text.ngram_estimate import estimate

        return estimate(texts, order=order, min_counts=min_counts, min_word_count=min_word_count)

    @classmethod
    def from_arpa(cls, path: Path) -> NgramModel:
        """Raises NotFoundError `lm.missing`, InputError `lm.damaged` with the line and the section."""
        from phonoloop.text.ngram_arpa import read_arpa

        return read_arpa(Path(path))

    def to_arpa(self, path: Path) -> None:
        """Writes an ARPA file; readers see the old one or the whole new one."""
        from phonoloop.text.ngram_arpa import write_arpa

        write_arpa(self, Path(path))

    @property
    def order(self) -> int:
        return len(self.levels)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams there are of each length."""
        return tuple(len(level.keys) for level in self.levels)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def beginnings(self) -> dict[str, bool]:
        """Every beginning of a word, and whether it is one."""
        return beginnings_of(self.words)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The state of the first row of each level; behind them the first that is none."""
        ends = np.cumsum([1, *self.counts])
        return tuple(int(end) for end in ends)

    @cached_property
    def begin_state(self) -> int:
        """Before the first word of a sentence; empty where the model has no context of its own for it."""
        return 1 + BEGIN_ID if self.order > 1 else EMPTY_STATE

    @cached_property
    def _steps(self) -> dict[int, tuple[float, int]]:
        return {}

    def step(self, state: int, word_id: int) -> tuple[float, int]:
        """log10 of a word after a context, and the state behind it. Threads may share a model."""
        at = state * len(self.words) + word_id
        known = self._steps.get(at)
        if known is None:
            if len(self._steps) >= _CACHED_STEPS:
                self._steps.clear()
            known = self._steps[at] = self._step(state, word_id)
        return known

    def _step(self, state: int, word_id: int) -> tuple[float, int]:
        weight = 0.0
        while state != EMPTY_STATE:
            level = self._level_of(state)
            row = self._find(level + 1, (state - self.offsets[level]) * len(self.words) + word_id)
            if row >= 0:
                return weight + float(self.levels[level + 1].log10[row]), self._state(level + 1, row)
            context = self.levels[level]
            at = state - self.offsets[level]
            weight += float(context.backoff[at])
            state = int(context.suffix[at])
        return weight + float(self.levels[0].log10[word_id]), self._state(0, word_id)

    def _level_of(self, state: int) -> int:
        return next(i for i, end in enumerate(self.offsets[1:]) if state < end)

    def _find(self, level: int, key: int) -> int:
        keys = self.levels[level].keys
        row = int(keys.searchsorted(key))
        return row if row < len(keys) and keys[row] == key else -1

    def _state(self, level: int, row: int) -> int:
        if level + 1 < self.order:
            return self.offsets[level] + row
        return int(self.levels[level].suffix[row])

    def id_of(self, word: str) -> int:
        """0 (`<unk>`) for a word that is not known. `<s>` and `</s>` in a text are no words of it."""
        found = self.ids.get(word, UNKNOWN_ID)
        return UNKNOWN_ID if found in (BEGIN_ID, END_ID) else found

    def score(self, words: Sequence[str] | str, *, begin: bool = True, end: bool = True) -> float:
        """log10 of a sentence.

        Args:
            words: a text is taken apart at white space.
            begin, end: whether it is known to begin and to end here.
        """
        return sum(self.word_scores(words, begin=begin, end=end))

    def word_scores(self, words: Sequence[str] | str, *, begin: bool = True, end: bool = True) -> list[float]:
        """log10 of each word, then that of the end."""
        words = words.split() if isinstance(words, str) else words
        state = self.begin_state if begin else EMPTY_STATE
        scores = []
        for word_id in [*map(self.id_of, words), *([END_ID] if end else [])]:
            score, state = self.step(state, word_id)
            scores.append(score)
        return scores

    def perplexity(self, texts: Iterable[str]) -> Perplexity:
        """Over sentences with their ends; words that are not known are counted apart."""
        total = unknown = 0
        log10 = 0.0
        for text in texts:
            words = text.split()
            scores = self.word_scores(words)
            known = [self.id_of(word) != UNKNOWN_ID for word in words] + [True]
            log10 += sum(score for score, is_known in zip(scores, known, strict=True) if is_known)
            total += len(scores)
            unknown += known.count(False)
        heard = total - unknown
        value = 10 ** min(300.0, -log10 / heard) if heard else math.inf
        return Perplexity(total, unknown, value)

    def unigram_ln(self, word_id: int) -> float:
        """Natural log of a word on its own."""
        return float(self.levels[0].log10[word_id]) * _LN10


def beginnings_of(words: Iterable[str]) -> dict[str, bool]:
    """Every beginning of a word, and whether it is one; without what is too long to be said."""
    found: dict[str, bool] = {}
    for word in (word for word in words if len(word) <= LONGEST_WORD):
        for length in range(1, len(word)):
            found.setdefault(word[:length], False)
        found[word] = True
    return found


def build(
    words: Sequence[str],
    keys: Sequence[np.ndarray],
    log10: Sequence[np.ndarray],
    backoff: Sequence[np.ndarray],
    *,
    about: Mapping[str, Any],
) -> NgramModel:
    """A model of sorted levels; where each n-gram leads without its first word is found here.

    Args:
        keys, log10, backoff: one array a level, as `Level` holds them.
    """
    levels: list[Level] = []
    offsets = np.cumsum([1, *map(len, keys)])
    for n, key in enumerate(keys):
        suffix = np.zeros(len(key), np.int64) if n == 0 else _suffixes(levels, offsets, key, len(words))
        levels.append(Level(key, log10[n].astype(np.float32), backoff[n].astype(np.float32), suffix))
    return NgramModel(tuple(words), tuple(levels), dict(about))


def _suffixes(levels: Sequence[Level], offsets: np.ndarray, keys: np.ndarray, size: int) -> np.ndarray:
    """States of the n-grams of the next level without their first word.

    The n-gram w1…wk without w1 is what the suffix of w1…wk-1 becomes after wk; where that is not
    there, what a shorter suffix becomes.
    """
    parents, words = keys // size, keys % size
    found = np.full(len(keys), -1, np.int64)
    contexts = levels[-1].suffix[parents]
    while (left := np.flatnonzero(found < 0)).size:
        for n in range(len(levels)):
            if n == 0:
                here = left[contexts[left] == EMPTY_STATE]
                found[here] = 1 + words[here]
                continue
            low, high = offsets[n - 1], offsets[n]
            here = left[(contexts[left] >= low) & (contexts[left] < high)]
            rows = find_rows(levels[n].keys, (contexts[here] - low) * size + words[here])
            found[here[rows >= 0]] = offsets[n] + rows[rows >= 0]
            missed = here[rows < 0]
            contexts[missed] = levels[n - 1].suffix[contexts[missed] - low]
    return found


def find_rows(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted key in ascending keys, -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[rows] == wanted, rows, -1)
