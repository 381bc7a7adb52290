"""The default embedder: needs no download, hears what sounds alike, and does not mind missing marks.

A text is the set of its features (`phonoloop.search.features`), each weighted by its kind and by how rare it
is in the user's own transcripts. The set is projected onto 768 numbers by a sparse random projection made of
the features' hashes (Achlioptas 2003; Weinberger et al. 2009), which keeps the angles between texts within
some 0.04. The projection does not have to be learnt, so it is the same everywhere and for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from phonoloop.core.ids import content_id
from phonoloop.search.features import WEIGHTS, FeatureMaker, Features, mixed
from phonoloop.search.rarity import Rarity
from phonoloop.text.normalise import NORMALISER_VERSION

#: changes with anything here or in `features` and `sounds` that changes a vector
_REVISION = 1
_DIMENSIONS = 768
#: numbers that each feature adds to: with fewer, single ones stick out and their signs say less
_SPREAD = 16
_BATCH = 256


class SoundEmbedder:
    """Words, their sounds and their neighbours as 768 numbers."""

    dimensions = _DIMENSIONS
    name = "phonoloop-sounds"

    def __init__(self, rarity: Rarity | None = None) -> None:
        self._rarity = rarity or Rarity.unknown()
        self._make = FeatureMaker()
        self._lock = threading.Lock()

    @cached_property
    def version(self) -> str:
        made_of = [_REVISION, _DIMENSIONS, _SPREAD, WEIGHTS, NORMALISER_VERSION, self._rarity.version]
        return f"{self.name}-{_REVISION}-{content_id(made_of)[:16]}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        parts = [
            self._project(self._features(batch), len(batch))
            for start in range(0, len(texts), _BATCH)
            if (batch := texts[start : start + _BATCH])
        ]
        return np.concatenate([np.zeros((0, _DIMENSIONS), np.float32), *parts])

    def _features(self, texts: Sequence[str]) -> Features:
        with self._lock:
            return self._make(texts)

    def _project(self, features: Features, texts: int) -> np.ndarray:
        weights = features.weights * self._rarity.of(features.hashes)
        sums, hashes = np.zeros(texts * _DIMENSIONS), features.hashes
        for _ in range(_SPREAD):
            hashes = mixed(hashes)
            at = features.text * _DIMENSIONS + (hashes % np.uint64(_DIMENSIONS)).astype(np.int64)
            signed = np.where(hashes >> np.uint64(63), weights, -weights)
            sums += np.bincount(at, signed, minlength=len(sums))
        made = sums.reshape(texts, _DIMENSIONS)
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        return (made / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
