"""A place to take files in, in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.audio.vad import EnergyDetector
from phonoloop.data.inbox import InboxFolders
from phonoloop.data.ingest import IngestContext
from phonoloop.testing.intake import PlainDecoder


@pytest.fixture
def context() -> IngestContext:
    return IngestContext(MemoryRecords(), MemoryBlobStore(), PlainDecoder(), EnergyDetector())


@pytest.fixture
def folders(tmp_path: Path) -> InboxFolders:
    found = InboxFolders.beside(tmp_path / "inbox")
    found.inbox.mkdir()
    return found
