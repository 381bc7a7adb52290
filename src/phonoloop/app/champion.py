"""The model that serves, swapped while it serves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from phonoloop.core.errors import PhonoloopError
from phonoloop.core.ports import BlobStore, Records
from phonoloop.core.speech import Transcriber
from phonoloop.registry.model import Champion, Model

log = logging.getLogger(__name__)

Load = Callable[[Path], Transcriber]


@dataclass(frozen=True, slots=True)
class Serving:
    """One loaded champion. Requests that hold it finish on it, whatever is promoted meanwhile."""

    position: int
    model_id: str
    transcriber: Transcriber


class ChampionHolder:
    """Keeps the promoted model of one kind loaded.

    A new champion is loaded beside the old one and takes its place when it is whole; one that
    cannot be loaded leaves the old one serving and is told in `error`.
    """

    def __init__(self, records: Records, blobs: BlobStore, load: Load, *, kind: str = "asr") -> None:
        self._records = records
        self._blobs = blobs
        self._load = load
        self._kind = kind
        self._serving: Serving | None = None
        self._failed_position = 0
        self._loading = threading.Lock()
        self.error: PhonoloopError | None = None

    def current(self) -> Serving | None:
        """What serves now, without looking for anything newer; loads only where nothing is loaded."""
        return self._serving or self.refresh()

    def refresh(self) -> Serving | None:
        """Looks at the pointer, loads what is new there and swaps it in."""
        with self._loading:
            champion, model = self._pointer()
            if champion is None or model is None:
                return self._serving
            loaded = self._serving.position if self._serving else 0
            if champion.since_position not in (loaded, self._failed_position):
                self._swap(champion, model)
            return self._serving

    def _pointer(self) -> tuple[Champion | None, Model | None]:
        with self._records.transaction() as tx:
            champion = tx.get(Champion, self._kind)
            return champion, tx.get(Model, champion.model_id) if champion else None

    def _swap(self, champion: Champion, model: Model) -> None:
        try:
            transcriber = self._load(artefact_dir(self._blobs, model))
        except PhonoloopError as error:
            self.error, self._failed_position = error, champion.since_position
            log.error("the champion %s cannot be loaded: %s", model.model_id, error)
            return
        self._serving = Serving(champion.since_position, model.model_id, transcriber)
        self.error = None
        log.info("%s serves now", model.model_id)


def artefact_dir(blobs: BlobStore, model: Model) -> Path:
    """A folder with all files of a model on this machine."""
    folders = {blobs.local_path(model.artefacts + name).parent for name in model.files}
    return folders.pop()
