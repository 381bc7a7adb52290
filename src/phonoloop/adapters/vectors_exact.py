"""An exact vector index: every search compares with every vector. Right up to some 100,000 vectors,
and the measure of the approximate ones."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.adapters.vector_checks import check_equals, check_ranges, direction, is_within, last_of_each
from phonoloop.core.ports import Range, VectorHit, VectorPoint

_TABLE = """CREATE TABLE IF NOT EXISTS points
(point_id TEXT PRIMARY KEY, vector BLOB NOT NULL, payload TEXT NOT NULL)"""
_UPSERT = """INSERT INTO points VALUES (?, ?, ?) ON CONFLICT (point_id)
DO UPDATE SET vector = excluded.vector, payload = excluded.payload"""


class ExactVectorIndex:
    """Vectors in memory and, where a path is given, in a SQLite file: a call is kept whole or not at
    all, and what other processes write to the file is seen.

    Raises (upsert, search):
        InputError: `vector.invalid`, `vector.filter`.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._lock = threading.RLock()
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(
            path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
        )
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.execute(_TABLE)
        self._seen = -1
        self._rows = _Rows()

    def upsert(self, points: Sequence[VectorPoint]) -> None:
        with self._lock:
            self._refresh()
            rows = self._checked(last_of_each(points))
            records = [(name, unit.tobytes(), json.dumps(payload)) for name, unit, payload in rows]
            self._write(_UPSERT, records)
            for name, unit, record in zip((r[0] for r in rows), (r[1] for r in rows), records, strict=True):
                self._rows.set(name, unit, json.loads(record[2]))

    def search(
        self,
        vector: np.ndarray,
        *,
        k: int,
        equals: Mapping[str, Any] | None = None,
        ranges: Mapping[str, Range] | None = None,
    ) -> list[VectorHit]:
        wanted = check_equals(equals), check_ranges(ranges)
        with self._lock:
            self._refresh()
            unit = direction(vector, self._rows.dimensions)
            return self._rows.nearest(unit, k, *wanted)

    def delete(self, point_ids: Sequence[str]) -> None:
        with self._lock:
            self._refresh()
            self._write("DELETE FROM points WHERE point_id = ?", [(name,) for name in point_ids])
            for name in point_ids:
                self._rows.remove(name)

    def count(self) -> int:
        with self._lock:
            self._refresh()
            return len(self._rows.names)

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _checked(self, points: list[VectorPoint]) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
        dimensions = self._rows.dimensions
        checked = []
        for point in points:
            unit = direction(point.vector, dimensions, point.point_id)
            dimensions = unit.size
            checked.append((point.point_id, unit, dict(point.payload)))
        return checked

    def _write(self, statement: str, records: list[tuple]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany(statement, records)
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def _refresh(self) -> None:
        """Reads the file anew where another connection has changed it."""
        (version,) = self._file.execute("PRAGMA data_version").fetchone()
        if version == self._seen:
            return
        self._rows = _Rows()
        for name, vector, payload in self._file.execute("SELECT * FROM points ORDER BY point_id"):
            self._rows.set(name, np.frombuffer(vector, np.float32), json.loads(payload))
        self._seen = version


class _Rows:
    """Unit vectors in one growing matrix, in no order."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._payloads: list[dict[str, Any]] = []
        self._place: dict[str, int] = {}
        self._matrix = np.zeros((0, 0), np.float32)

    @property
    def dimensions(self) -> int | None:
        return self._matrix.shape[1] if self.names else None

    def set(self, name: str, unit: np.ndarray, payload: dict[str, Any]) -> None:
        place = self._place.get(name)
        if place is None:
            place = self._append(name, unit.size)
        self._matrix[place] = unit
        self._payloads[place] = payload

    def _append(self, name: str, dimensions: int) -> int:
        place = len(self.names)
        if not self.names:
            self._matrix = np.empty((16, dimensions), np.float32)
        elif place == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix)])
        self.names.append(name)
        self._payloads.append({})
        self._place[name] = place
        return place

    def remove(self, name: str) -> None:
        """The last one takes its place."""
        place = self._place.pop(name, None)
        if place is None:
            return
        last_name, last_payload = self.names.pop(), self._payloads.pop()
        if last_name != name:
            self._matrix[place] = self._matrix[len(self.names)]
            self.names[place], self._payloads[place] = last_name, last_payload
            self._place[last_name] = place

    def nearest(
        self, unit: np.ndarray, k: int, wanted: Mapping[str, Any], ranges: Mapping[str, Range]
    ) -> list[VectorHit]:
        places = self._matching(wanted, ranges)
        if k <= 0 or places.size == 0:
            return []
        scores = self._matrix[: len(self.names)] @ unit
        scores = scores[places]
        if k < places.size:
            best = np.argpartition(-scores, k - 1)[:k]
            places, scores = places[best], scores[best]
        order = np.argsort(-scores, kind="stable")
        return [
            VectorHit(self.names[places[i]], float(scores[i]), dict(self._payloads[places[i]])) for i in order
        ]

    def _matching(self, wanted: Mapping[str, Any], ranges: Mapping[str, Range]) -> np.ndarray:
        if not wanted and not ranges:
            return np.arange(len(self.names))
        kept = [
            i
            for i, payload in enumerate(self._payloads)
            if _has(payload, wanted)
            and all(is_within(payload.get(name), bounds) for name, bounds in ranges.items())
        ]
        return np.array(kept, np.int64)


def _has(payload: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    # JSON tells true from 1, Python does not
    return all(
        type(payload.get(name)) is type(value) and payload[name] == value for name, value in wanted.items()
    )
