"""How rare features are in the user's own texts: what is in every text says little (Spärck Jones 1972)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from zipfile import BadZipFile

import numpy as np

from phonoloop.core.errors import IntegrityError
from phonoloop.core.ids import bytes_id
from phonoloop.search.features import FeatureMaker

#: features that share a bucket count as one: with a million, few do
_BUCKET_BITS = 20
_BATCH = 1_000


@dataclass(frozen=True)
class Rarity:
    """In how many of the texts each feature is.

    Attributes:
        texts: how many there were.
        counts: (2^20,) uint32, by the leading bits of a feature's hash.
    """

    texts: int
    counts: np.ndarray

    @classmethod
    def unknown(cls) -> Rarity:
        """Before any text was seen: all are equally rare."""
        return cls(0, np.zeros(1 << _BUCKET_BITS, np.uint32))

    @classmethod
    def train(cls, texts: Iterable[Sequence[str]]) -> Rarity:
        """Counts batches of texts; their order does not matter."""
        make, total, counts = FeatureMaker(), 0, np.zeros(1 << _BUCKET_BITS, np.uint32)
        for batch in texts:
            total += len(batch)
            for start in range(0, len(batch), _BATCH):
                np.add.at(counts, _buckets(make(batch[start : start + _BATCH]).hashes), 1)
        return cls(total, counts)

    def of(self, hashes: np.ndarray) -> np.ndarray:
        """(m,) float32, from 0 for what is in every text."""
        return self._table[_buckets(hashes)]

    def count(self, hashes: np.ndarray) -> np.ndarray:
        """(m,) in how many texts each was, or a little more."""
        return self.counts[_buckets(hashes)]

    @cached_property
    def _table(self) -> np.ndarray:
        if self.texts == 0:
            return np.ones(len(self.counts), np.float32)
        return np.log((self.texts + 1.0) / (self.counts + 0.5)).clip(0.0).astype(np.float32)

    @cached_property
    def version(self) -> str:
        return bytes_id(self.texts.to_bytes(8, "little"), self.counts.tobytes())

    def to_bytes(self) -> bytes:
        """As an npz file; equal rarities give equal `version`s, not equal bytes."""
        there = np.flatnonzero(self.counts)
        stream = io.BytesIO()
        np.savez_compressed(stream, texts=self.texts, at=there.astype(np.uint32), counts=self.counts[there])
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, subject: str = "") -> Rarity:
        """Raises IntegrityError `search.rarity` for what is no such file."""
        counts = np.zeros(1 << _BUCKET_BITS, np.uint32)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                counts[kept["at"]] = kept["counts"]
                return cls(int(kept["texts"]), counts)
        except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, BadZipFile) as error:
            raise IntegrityError(
                f"this does not say how rare words are ({error})",
                code="search.rarity",
                subject=subject,
                hint="`phonoloop search --retrain` counts them anew",
            ) from error


def _buckets(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)
