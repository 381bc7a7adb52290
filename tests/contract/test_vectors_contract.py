from __future__ import annotations

import pytest

from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.adapters.vectors_exact import ExactVectorIndex
from phonoloop.testing.contracts.vectors import KeptVectorsContract, VectorsContract


class TestExactVectorIndex(KeptVectorsContract):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: ExactVectorIndex(tmp_path / "vectors.db")


class TestQdrantEdgeIndex(KeptVectorsContract):
    @pytest.fixture
    def make(self, tmp_path):
        pytest.importorskip("qdrant_edge", reason="qdrant-edge-py is not installed")
        from phonoloop.adapters.vectors_qdrant import QdrantEdgeIndex

        return lambda: QdrantEdgeIndex(tmp_path / "vectors")


class TestCodedVectorIndex(VectorsContract):
    @pytest.fixture
    def make(self):
        return CodedVectorIndex
