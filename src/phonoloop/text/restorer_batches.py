"""Sentences in groups: blocks that are trained on together, and rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from phonoloop.text.restorer_words import BORDER, Sentence, Vocabulary

#: a text is cut into this many blocks, each trained on with the counts of the others
BLOCKS = 10


def blocks_of(sentences: Sequence[Sentence], blocks: int = BLOCKS) -> list[list[Sentence]]:
    """Consecutive parts: neighbours tell of the same thing and stay together."""
    marks = [len(sentences) * at // blocks for at in range(blocks + 1)]
    parts = [list(sentences[a:b]) for a, b in pairwise(marks)]
    return [part for part in parts if part]


def by_length(sentences: Sequence[Sentence], tokens: int = 1_000) -> list[list[Sentence]]:
    """Groups of similar length, of about so many tokens with padding."""
    groups: list[list[Sentence]] = []
    for sentence in sorted(sentences, key=lambda s: len(s.forms)):
        if not groups or (len(groups[-1]) + 1) * (len(sentence.forms) + 2) > tokens:
            groups.append([])
        groups[-1].append(sentence)
    return groups


def padded(
    sentences: Sequence[Sentence], vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a border before and after: forms, case, candidates and how many of them."""
    columns = max(len(sentence.forms) for sentence in sentences) + 2
    forms = np.full((len(sentences), columns), BORDER, np.int32)
    case = np.zeros((len(sentences), columns), np.int8)
    for row, sentence in enumerate(sentences):
        forms[row, 1 : len(sentence.forms) + 1] = sentence.forms
        case[row, 1 : len(sentence.forms) + 1] = sentence.case
    rows, many = vocabulary.candidates
    keys = vocabulary.keys[forms]
    return forms, case, rows[keys], many[keys]


def cased_of(features: np.ndarray, case: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(n, 2) of case features (n, 2, 3) those of the case that the left and the right place have."""
    at, flat = np.arange(len(owner)), case.ravel()
    return np.stack([features[at, 0, flat[owner - 1]], features[at, 1, flat[owner]]], 1)
