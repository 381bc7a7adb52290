"""Which words of a query are worth looking up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from phonoloop.search.features import pair_hash, word_hash
from phonoloop.search.ports import Terms
from phonoloop.search.rarity import Rarity
from phonoloop.search.words import pairs, plain

#: looking up costs time for each text that holds a term: the rarest terms, as long as so few texts do
_MOST_TEXTS = 500
_MOST_TERMS = 24


def terms_of(words: Sequence[str], rarity: Rarity) -> Terms:
    """The rarest words and pairs of a query, with how much each says.

    A word that is in every text finds nothing that is worth more than another text; where all are of that
    kind, the rarest one is looked up unranked.
    """
    candidates = _candidates(words)
    if not candidates:
        return Terms()
    hashes = np.array([hashed for _, _, hashed in candidates], np.uint64)
    counts, weights = rarity.count(hashes), rarity.of(hashes)
    order = np.argsort(counts, kind="stable")[:_MOST_TERMS]
    chosen = order[np.cumsum(counts[order]) <= _MOST_TEXTS]
    ranked = len(chosen) > 0
    chosen = chosen if ranked else order[:1]
    columns: dict[str, dict[str, float]] = {"words": {}, "plain": {}, "pairs": {}}
    for at in chosen:
        column, term, _ = candidates[at]
        columns[column][term] = max(float(weights[at]), 1e-3)
    return Terms(**columns, ranked=ranked)


def _candidates(words: Sequence[str]) -> list[tuple[str, str, int]]:
    """(column, term, hash of its feature), each once."""
    bare = plain(words)
    neighbours = list(zip(pairs(bare), pairwise(bare), strict=True))
    found = [
        *(("pairs", pair, pair_hash(*two)) for pair, two in neighbours),
        # a word that has no marks to lose is found among the others without marks
        *(("words", word, word_hash("word", word)) for word, b in zip(words, bare, strict=True) if word != b),
        *(("plain", word, word_hash("plain", word)) for word in bare),
    ]
    return list(dict.fromkeys(found))
