"""What makes vectors of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Embedder(Protocol):
    """Texts as directions: what is near is alike.

    Attributes:
        dimensions: numbers a text.
        name: for people.
        version: changes whenever any text's vector would; vectors of different versions are never compared.
    """

    @property
    def dimensions(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dimensions) float32, each row of length 1, or zero where a text holds nothing to go by.

        Takes any strings; the same string gives the same row in whatever company.
        """
        ...
