from __future__ import annotations

import pytest

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.testing.contracts.blobs import BlobsContract


class TestMemoryBlobStore(BlobsContract):
    @pytest.fixture
    def make(self):
        store = MemoryBlobStore()
        return lambda: store


class TestLocalBlobStore(BlobsContract):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: LocalBlobStore(tmp_path / "store")
