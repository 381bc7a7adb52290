"""Which embedder is in force: what the records say, with what was learnt from the user's texts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from phonoloop.core.errors import ConflictError
from phonoloop.data.model import SearchIndex
from phonoloop.data.stores import Stores
from phonoloop.search.embedder import Embedder
from phonoloop.search.index import put_in_force
from phonoloop.search.ports import COLLECTION, Texts
from phonoloop.search.rarity import Rarity

#: the embedder that the settings name, given how rare words are
MakeEmbedder = Callable[[Rarity], Embedder]


class EmbedderSource:
    """Follows the records: another process may have learnt in the meantime.

    Args:
        make: may be slow; called again only where something was learnt.
    """

    def __init__(self, stores: Stores, texts: Texts, make: MakeEmbedder) -> None:
        self.make = make
        self._stores, self._texts = stores, texts
        self._lock = threading.Lock()
        self._key: str | None = None
        self._rarity = Rarity.unknown()
        self._embedder: Embedder | None = None

    def for_indexing(self) -> Embedder:
        """The embedder of the settings. Where the records name another one, it is in force from now on.

        Raises:
            IntegrityError: `search.rarity`. Whatever the embedder raises when it is loaded.
        """
        index = self._texts.index()
        embedder = self._load(index)
        if index is None or index.embedder != embedder.version:
            put_in_force(self._stores, embedder)
        return embedder

    def for_searching(self) -> Embedder | None:
        """The embedder that the texts are embedded with; None where none are.

        Raises:
            ConflictError: `search.embedder_changed`, where it is not the one of the settings.
        """
        index = self._texts.index()
        if index is None:
            return None
        embedder = self._load(index)
        if embedder.version != index.embedder:
            raise ConflictError(
                f"the texts were embedded with {index.embedder}, and here is {embedder.version}",
                code="search.embedder_changed",
                subject=COLLECTION,
                hint="Say `phonoloop search --rebuild`, or set EMBEDDER as it was then",
            )
        return embedder

    @property
    def rarity(self) -> Rarity:
        """As of the last embedder that was asked for."""
        return self._rarity

    def _load(self, index: SearchIndex | None) -> Embedder:
        key = index.rarity if index else ""
        with self._lock:
            if self._embedder is None or key != self._key:
                self._rarity = (
                    Rarity.from_bytes(self._stores.blobs.get(key), key) if key else Rarity.unknown()
                )
                self._embedder, self._key = self.make(self._rarity), key
            return self._embedder
