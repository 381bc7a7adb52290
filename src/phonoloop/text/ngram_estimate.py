"""Interpolated modified Kneser-Ney smoothing, from texts to an n-gram model.

S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", Computer
Speech & Language 13 (1999); the lowest order is interpolated with the uniform distribution over the
vocabulary, which gives `<unk>` its probability (K. Heafield et al., "Scalable modified Kneser-Ney language
model estimation", ACL 2013).

All counting is sorting of integer keys in numpy; memory is about 150 bytes a word of text.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.core.errors import ConfigError, InputError
from phonoloop.text.ngram import BEGIN_ID, END_ID, NEVER, RESERVED, UNKNOWN_ID, NgramModel, build

#: longest n-grams that are trained and read
MOST_ORDER = 10
#: discounts where a text is too small or too odd to estimate them (those of KenLM's fallback)
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class _Text:
    """Sentences as numbers, one after the other, each within `<s>` and `</s>`.

    Attributes:
        ids: (n,) int64.
        place: (n,) how many words of the sentence are before.
    """

    words: list[str]
    ids: np.ndarray
    place: np.ndarray
    sentences: int


@dataclass(slots=True)
class _Counts:
    """The n-grams of one length, in the order of their keys.

    Attributes:
        raw: how often each was seen.
        adjusted: what is estimated from: below the longest, in how many different contexts it was seen,
            but as often as it was seen where it begins a sentence.
        suffix: row at the level below of the n-gram without its first word.
        begins: whether its first word is `<s>`.
    """

    keys: np.ndarray
    raw: np.ndarray
    adjusted: np.ndarray
    suffix: np.ndarray
    begins: np.ndarray


def estimate(
    texts: Iterable[str], *, order: int, min_counts: Sequence[int], min_word_count: int
) -> NgramModel:
    """As `NgramModel.train`."""
    cutoffs = _checked(order, min_counts, min_word_count)
    text = _numbered(texts, min_word_count)
    counts = _count(text, order)
    size = len(text.words)
    discounts = [_discounts(level.adjusted[_countable(level, n)]) for n, level in enumerate(counts)]
    probabilities, weights = _interpolate(counts, [d for d, _ in discounts], cutoffs, size)
    about = {
        "order": len(counts),
        "sentences": text.sentences,
        "tokens": int(len(text.ids) - 2 * text.sentences),
        "discounts": [[round(float(value), 6) for value in d] for d, _ in discounts],
        "discounts_guessed": [n + 1 for n, (_, guessed) in enumerate(discounts) if guessed],
        "min_counts": [int(c) for c in cutoffs[1 : len(counts)]],
        "min_word_count": min_word_count,
    }
    keep = [level.raw >= cutoffs[n] if n else np.ones(size, bool) for n, level in enumerate(counts)]
    return _model(text.words, counts, probabilities, weights, keep=keep, about=about)


def _checked(order: int, min_counts: Sequence[int], min_word_count: int) -> list[int]:
    """The least count by level: 1 for single words, then as given."""
    if not 1 <= order <= MOST_ORDER:
        raise ConfigError(
            f"an order of {order} is not possible", code="lm.order", hint=f"Say 1 to {MOST_ORDER}"
        )
    given = list(min_counts) or [1]
    falling = any(after < before for before, after in itertools.pairwise(given))
    if falling or given[0] < 1 or min_word_count < 1:
        raise ConfigError(
            f"{given} and {min_word_count} are no least counts",
            code="lm.cutoff",
            hint="They begin at 1 and do not fall with the length, such as 1 1 2",
        )
    return [1, *given, *[given[-1]] * order][:order]


def _numbered(texts: Iterable[str], min_word_count: int) -> _Text:
    numbers = {word: i for i, word in enumerate(RESERVED)}
    ids, lengths = array("q"), array("q")
    for text in texts:
        words = text.split()
        if words:
            ids.append(BEGIN_ID)
            ids.extend([numbers.setdefault(word, len(numbers)) for word in words])
            ids.append(END_ID)
            lengths.append(len(words) + 2)
    _check_words(numbers, ids, len(lengths))
    length = np.array(lengths)
    starts = np.repeat(np.cumsum(length) - length, length)
    numbered = _Text(list(numbers), np.array(ids), np.arange(len(ids)) - starts, len(lengths))
    return _without_rare(numbered, min_word_count)


def _check_words(numbers: dict[str, int], ids: array, sentences: int) -> None:
    if not sentences:
        raise InputError(
            "there is no text to learn from", code="lm.no_text", hint="Give files with one sentence a line"
        )
    if ids.count(BEGIN_ID) != sentences or ids.count(END_ID) != sentences or ids.count(UNKNOWN_ID):
        raise InputError(
            f"a text holds one of {', '.join(RESERVED)}, which have a meaning in a language model",
            code="lm.reserved_word",
            hint="Take them out of the text",
        )
    try:
        "".join(numbers).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"a text holds half a character ({error})", code="lm.text", hint="Give Unicode text"
        ) from error


def _without_rare(text: _Text, min_word_count: int) -> _Text:
    if min_word_count == 1:
        return text
    seen = np.bincount(text.ids, minlength=len(text.words))
    keep = seen >= min_word_count
    keep[: len(RESERVED)] = True
    new = np.where(keep, np.cumsum(keep) - 1, UNKNOWN_ID)
    words = [word for word, kept in zip(text.words, keep, strict=True) if kept]
    return _Text(words, new[text.ids], text.place, text.sentences)


def _count(text: _Text, order: int) -> list[_Counts]:
    """Levels 1 to `order`, fewer where no sentence is so long."""
    size = len(text.words)
    rows = text.ids
    single = np.bincount(text.ids, minlength=size)
    nothing = np.zeros(size, np.int64)
    counts = [_Counts(np.arange(size), single, single, nothing, np.arange(size) == BEGIN_ID)]
    for n in range(1, order):
        ends = np.flatnonzero(text.place >= n)
        if not len(ends):
            break
        keys, places, raw = np.unique(
            rows[ends - 1] * size + text.ids[ends], return_inverse=True, return_counts=True
        )
        suffix = np.empty(len(keys), np.int64)
        suffix[places] = rows[ends]
        below = counts[-1]
        below.adjusted = np.where(below.begins, below.raw, np.bincount(suffix, minlength=len(below.raw)))
        counts.append(_Counts(keys, raw, raw, suffix, below.begins[keys // size]))
        rows = rows.copy()
        rows[ends] = places
    return counts


def _countable(level: _Counts, n: int) -> np.ndarray:
    """`<s>` alone is never foreseen."""
    return ~level.begins if n == 0 else np.ones(len(level.keys), bool)


def _discounts(adjusted: np.ndarray) -> tuple[tuple[float, float, float], bool]:
    """What is taken off counts of 1, of 2, and of 3 and more; whether a fallback was needed."""
    n1, n2, n3, n4 = (int(np.count_nonzero(adjusted == count)) for count in (1, 2, 3, 4))
    if min(n1, n2, n3) == 0:
        return FALLBACK, True
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if all(0 < value <= most for most, value in enumerate(found, start=1)):
        return found, False
    return FALLBACK, True


def _interpolate(
    counts: Sequence[_Counts],
    discounts: Sequence[tuple[float, float, float]],
    cutoffs: Sequence[int],
    size: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """p(last word | words before) by level, and the weight that each n-gram as a context gives to the
    shorter one: what discounts and cut-offs took off."""
    probabilities: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for n, level in enumerate(counts):
        contexts = level.keys // size if n else np.zeros(size, np.int64)
        places = len(counts[n - 1].keys) if n else 1
        adjusted = np.where(_countable(level, n), level.adjusted, 0).astype(np.float64)
        totals = np.bincount(contexts, adjusted, minlength=places)
        taken = np.array([0.0, *discounts[n]])[np.minimum(adjusted, 3).astype(int)]
        own = (adjusted - taken) / np.maximum(totals, 1)[contexts]
        own[level.raw < (cutoffs[n] if n else 0)] = 0.0
        left = 1.0 - np.bincount(contexts, own, minlength=places)
        below = probabilities[n - 1][level.suffix] if n else 1.0 / (size - 1)
        probabilities.append(own + left[contexts] * below)
        weights.append(left)
    return probabilities, weights[1:]


def _model(
    words: Sequence[str],
    counts: Sequence[_Counts],
    probabilities: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    *,
    keep: Sequence[np.ndarray],
    about: dict,
) -> NgramModel:
    """What is kept, in logarithms; contexts in keys are counted anew."""
    keys, log10, backoff = [], [], []
    size = len(words)
    for n, level in enumerate(counts):
        kept, key = keep[n], level.keys
        if n:
            rank = np.cumsum(keep[n - 1]) - 1
            key = rank[level.keys // size] * size + level.keys % size
        keys.append(key[kept])
        log10.append(np.log10(probabilities[n][kept]))
        weight = weights[n][kept] if n < len(weights) else np.ones(int(kept.sum()))
        backoff.append(np.log10(np.maximum(weight, 1e-99)))
    log10[0][BEGIN_ID] = NEVER + 1
    used = max(n for n, key in enumerate(keys) if len(key)) + 1
    return build(words, keys[:used], log10[:used], backoff[:used], about=about | {"order": used})
