"""A vector index whose process is killed holds what it confirmed when it is opened again."""

from __future__ import annotations

import importlib.util
import random
import time

import numpy as np
import pytest
import storage_worker

needs_qdrant = pytest.mark.skipif(
    importlib.util.find_spec("qdrant_edge") is None, reason="qdrant-edge-py is not installed"
)


@pytest.mark.parametrize("kind", ["exact", pytest.param("qdrant", marks=needs_qdrant)])
def test_killed_five_times(tmp_path, kind):
    processes = storage_worker.processes()
    chance = random.Random(3)
    notes, path = tmp_path / "confirmed", str(tmp_path / "index")
    for number in range(5):
        ready = processes.Event()
        worker = processes.Process(
            target=storage_worker.index_for_ever, args=(kind, path, str(notes), str(number), ready)
        )
        worker.start()
        assert ready.wait(60)
        time.sleep(chance.uniform(0.1, 0.3))
        worker.kill()
        worker.join()
        assert worker.exitcode == -9, "it ended before it was killed"
    confirmed = notes.read_text().split()
    index = storage_worker.open_index(kind, path)
    found = {hit.point_id for hit in index.search(np.ones(8), k=index.count())}
    index.close()
    assert confirmed
    assert {f"{key}/{i}" for key in confirmed for i in range(3)} <= found
