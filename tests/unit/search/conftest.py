from __future__ import annotations

from collections.abc import Callable

import pytest

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.adapters.texts_memory import MemoryTexts
from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.data.stores import Stores
from phonoloop.search.own import SoundEmbedder
from phonoloop.testing.searching import SearchSite


@pytest.fixture
def make_site() -> Callable[..., SearchSite]:
    """A site in memory, with any embedder."""

    def make(embedder=SoundEmbedder) -> SearchSite:
        records = MemoryRecords()
        stores = Stores(records, MemoryBlobStore())
        return SearchSite.of(stores, MemoryTexts(records), CodedVectorIndex(), embedder)

    return make


@pytest.fixture
def site(make_site) -> SearchSite:
    return make_site()
