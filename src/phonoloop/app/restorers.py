"""The restorers of a data folder, under models/text/restorer/: one is in use, or else the shipped one."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonoloop.core.errors import IntegrityError
from phonoloop.core.ids import sha256_hex
from phonoloop.core.ports import BlobStore
from phonoloop.text.corrections import Rewritten
from phonoloop.text.restorer import Restorer
from phonoloop.text.restorer_model import RestorerModel, from_bytes, to_bytes

PREFIX = "models/text/restorer/"
POINTER = PREFIX + "current.json"
SHIPPED = "shipped"


@dataclass(frozen=True)
class InUse:
    """Attributes:
    restorer_id: `shipped`, or the id of one of this data folder.
    before: the id of the one that it took the place of; empty for the shipped one.
    """

    restorer_id: str
    restorer: Restorer
    before: str = ""


class Restorers:
    """Finds and loads them; keeps the one in use loaded. May be shared by threads."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._loaded: InUse | None = None

    def in_use(self) -> InUse:
        """The user's, where there is one, else the shipped one.

        Raises:
            IntegrityError: `restorer.pointer`, or as `Restorer.load`.
        """
        pointer = self._pointer()
        with self._lock:
            if self._loaded is None or self._loaded.restorer_id != pointer["restorer_id"]:
                self._loaded = self._load(pointer)
            return self._loaded

    def restore(self, text: str, confidences: Sequence[float] | None = None) -> Rewritten:
        """As `Restorer.restore`, with the one that is in use at this moment."""
        return self.in_use().restorer.restore(text, confidences)

    def _pointer(self) -> dict[str, str]:
        if self._blobs.stat(POINTER) is None:
            return {"restorer_id": SHIPPED, "sha256": "", "before": ""}
        try:
            found = json.loads(self._blobs.get(POINTER))
            return {name: str(found[name]) for name in ("restorer_id", "sha256", "before")}
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"this does not name the restorer in use ({error!r})",
                code="restorer.pointer",
                subject=POINTER,
                hint="Remove it: the shipped restorer is used then",
            ) from error

    def _load(self, pointer: Mapping[str, str]) -> InUse:
        restorer_id = pointer["restorer_id"]
        if restorer_id == SHIPPED:
            return InUse(SHIPPED, Restorer.shipped(), pointer["before"])
        key = f"{PREFIX}{restorer_id}.bin"
        data = self._blobs.get(key)
        if sha256_hex(data) != pointer["sha256"]:
            raise IntegrityError(
                "this restorer is not the one that was trained",
                code="restorer.corrupt",
                subject=key,
                hint=f"Remove {POINTER}: the shipped restorer is used then",
            )
        return InUse(restorer_id, Restorer(from_bytes(data, key)), pointer["before"])

    def taken(self, restorer_id: str) -> bool:
        return restorer_id == SHIPPED or self._blobs.stat(f"{PREFIX}{restorer_id}.bin") is not None

    def keep(self, restorer_id: str, model: RestorerModel, report: Mapping[str, Any]) -> None:
        """Stores a model that is not in use yet, and what was found about it."""
        self._blobs.put(f"{PREFIX}{restorer_id}.bin", to_bytes(model))
        self._blobs.put(f"{PREFIX}{restorer_id}.json", _bytes(report))

    def use(self, restorer_id: str) -> None:
        """Switches, in one write; the one before stays where it is."""
        data = b"" if restorer_id == SHIPPED else self._blobs.get(f"{PREFIX}{restorer_id}.bin")
        before = self._pointer()["restorer_id"]
        value = {"restorer_id": restorer_id, "sha256": sha256_hex(data) if data else "", "before": before}
        self._blobs.put(POINTER, _bytes(value))


def _bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
