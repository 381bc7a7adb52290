"""An approximate vector index in this process, on Qdrant Edge."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from phonoloop.adapters.vector_checks import check_equals, check_ranges, direction, last_of_each
from phonoloop.core.errors import ConfigError, UnavailableError
from phonoloop.core.ports import Range, VectorHit, VectorPoint

#: after so many new points the graph is built anew; before, they are compared one by one
_OPTIMISE_EVERY = 10_000
_BATCH = 1_000


class QdrantEdgeIndex:
    """A shard in a folder, which one process at a time may open.

    Raises (any method):
        ConfigError: `config.missing_package`, where qdrant-edge-py is not installed.
        InputError: `vector.invalid`, `vector.filter`.
        UnavailableError: `vector.unavailable`, where the shard cannot be opened or written.
    """

    def __init__(self, path: str | Path) -> None:
        self._edge = _library()
        self._path = Path(path)
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._since_optimised = 0
        self._facts = self._path / "phonoloop.json"
        self._dimensions: int | None = None
        self._shard = None
        if self._facts.exists():
            self._open(json.loads(self._facts.read_text())["dimensions"])

    def upsert(self, points: Sequence[VectorPoint]) -> None:
        with self._lock:
            checked = self._checked(last_of_each(points))
            for start in range(0, len(checked), _BATCH):
                batch = checked[start : start + _BATCH]
                self._update(self._edge.UpdateOperation.upsert_points(batch))
            self._since_optimised += len(checked)
            if self._since_optimised >= _OPTIMISE_EVERY:
                self.optimise()

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
            unit = direction(vector, self._dimensions)
            if self._shard is None or k <= 0:
                return []
            hits = self._shard.search(
                self._edge.SearchRequest(
                    self._edge.Query.Nearest(unit.tolist()),
                    limit=k,
                    filter=self._filter(*wanted),
                    with_payload=True,
                )
            )
        return [_to_hit(hit) for hit in hits]

    def delete(self, point_ids: Sequence[str]) -> None:
        with self._lock:
            if self._shard is not None and point_ids:
                self._update(self._edge.UpdateOperation.delete_points([_uuid(name) for name in point_ids]))

    def count(self) -> int:
        with self._lock:
            return 0 if self._shard is None else self._shard.count(self._edge.CountRequest(exact=True))

    def optimise(self) -> None:
        """Builds the graph over what came since the last time."""
        with self._lock:
            if self._shard is not None:
                self._shard.optimize()
            self._since_optimised = 0

    def close(self) -> None:
        with self._lock:
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    def _checked(self, points: list[VectorPoint]) -> list[Any]:
        dimensions, units = self._dimensions, []
        for point in points:
            units.append(direction(point.vector, dimensions, point.point_id))
            dimensions = units[-1].size
        if self._shard is None and dimensions is not None:
            self._create(dimensions)
        return [
            self._edge.Point(_uuid(point.point_id), unit.tolist(), _stored(point))
            for point, unit in zip(points, units, strict=True)
        ]

    def _create(self, dimensions: int) -> None:
        # what a process left that was killed right here: nobody was told that it holds anything
        shutil.rmtree(self._path / "shard", ignore_errors=True)
        (self._path / "shard").mkdir()
        config = self._edge.EdgeConfig(
            vectors=self._edge.EdgeVectorParams(size=dimensions, distance=self._edge.Distance.Cosine)
        )
        self._shard = self._tried(lambda: self._edge.EdgeShard.create(str(self._path / "shard"), config))
        keyword = self._edge.PayloadSchemaType.Keyword
        self._update(self._edge.UpdateOperation.create_field_index("terms", keyword))
        unfinished = self._facts.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"dimensions": dimensions}))
        unfinished.replace(self._facts)
        self._dimensions = dimensions

    def _open(self, dimensions: int) -> None:
        self._shard = self._tried(lambda: self._edge.EdgeShard.load(str(self._path / "shard")))
        self._dimensions = dimensions

    def _update(self, operation: Any) -> None:
        self._tried(lambda: (self._shard.update(operation), self._shard.flush()))

    def _tried(self, step: Any) -> Any:
        try:
            return step()
        except Exception as error:
            raise UnavailableError(
                f"the vector index cannot be used ({error})",
                code="vector.unavailable",
                subject=str(self._path),
                hint="See that no other process has it open; it can be deleted and built anew",
            ) from error

    def _filter(self, wanted: Mapping[str, Any], ranges: Mapping[str, Range]) -> Any:
        if not wanted and not ranges:
            return None
        conditions = [
            self._edge.FieldCondition(
                key=_number_key(name), range=self._edge.RangeFloat(gte=low, lt=high, gt=None, lte=None)
            )
            for name, (low, high) in ranges.items()
        ]
        conditions += [
            self._edge.FieldCondition(key="terms", match=self._edge.MatchValue(_term(name, value)))
            for name, value in wanted.items()
        ]
        return self._edge.Filter(must=conditions)


def _library() -> Any:
    try:
        import qdrant_edge
    except ImportError as error:
        raise ConfigError(
            "this vector index needs qdrant-edge-py, which is not installed",
            code="config.missing_package",
            hint="pip install 'phonoloop[vectors]', or choose the exact index",
        ) from error
    return qdrant_edge


def _uuid(point_id: str) -> str:
    # the library takes numbers and UUIDs only; the id itself lies in the payload
    return str(uuid5(NAMESPACE_URL, f"phonoloop:{point_id}"))


def _term(name: str, value: str | int | bool) -> str:
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


def _number_key(name: str) -> str:
    # names may hold dots and brackets, which the library reads as a path
    return "numbers." + "".join(f"{byte:02x}" for byte in name.encode())


def _stored(point: VectorPoint) -> dict[str, Any]:
    """The payload as text, and what one can filter by as terms: the library takes true for 1, and
    reads dots and brackets in names as a path."""
    payload = dict(point.payload)
    terms = [_term(name, value) for name, value in payload.items() if isinstance(value, (str, int))]
    numbers = {
        _number_key(name).removeprefix("numbers."): value
        for name, value in payload.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return {
        "point_id": point.point_id,
        "payload": json.dumps(payload),
        "terms": terms,
        "numbers": numbers,
    }


def _to_hit(hit: Any) -> VectorHit:
    return VectorHit(hit.payload["point_id"], float(hit.score), json.loads(hit.payload["payload"]))
