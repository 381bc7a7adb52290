"""Language models of a data folder: trained, tuned, kept under models/lm/{id}/, one of them current."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.asr.beam import BeamConfig
from phonoloop.asr.calibration import Calibration
from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.core.ids import sha256_hex
from phonoloop.core.ports import BlobStore
from phonoloop.text.ngram import NgramModel
from phonoloop.text.ngram_store import load_model, save_model

PREFIX = "models/lm/"
POINTER = PREFIX + "current.json"
ARPA, BINARY, METADATA, TUNING = "model.arpa", "model.npz", "metadata.json", "tuning.json"
FORMAT = 1
CURRENT = "current"


@dataclass(frozen=True)
class LanguageModel:
    """A model, with what is known of it.

    Attributes:
        lm_id: its folder's name, or its file's.
        metadata: text sources, perplexity, hashes; empty for a file from elsewhere.
        tuning: recogniser → weights and calibration found for the two together.
    """

    lm_id: str
    model: NgramModel
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)

    def config_for(self, recogniser: str) -> BeamConfig:
        """The weights that were found for a recogniser; the defaults where none were."""
        found = self.tuning.get(recogniser, {})
        known = {name: float(found[name]) for name in ("alpha", "beta") if name in found}
        return BeamConfig(**known)

    def calibration_for(self, recogniser: str) -> Calibration | None:
        raw = self.tuning.get(recogniser, {}).get("calibration")
        return None if raw is None else Calibration.from_dict(raw, subject=self.lm_id)


class LanguageModels:
    """Finds and loads them; keeps the last one that was asked for loaded."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._loaded: tuple[str, LanguageModel] | None = None

    def current_id(self) -> str:
        """Empty before the first one.

        Raises:
            IntegrityError: `lm.damaged`.
        """
        if self._blobs.stat(POINTER) is None:
            return ""
        try:
            return str(json.loads(self._blobs.get(POINTER))["lm_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"this does not name the current language model ({error!r})",
                code="lm.damaged",
                subject=POINTER,
                hint="Remove it and train a language model",
            ) from error

    def make_current(self, lm_id: str) -> None:
        self._blobs.put(POINTER, (json.dumps({"lm_id": lm_id}) + "\n").encode())

    def taken(self, lm_id: str) -> bool:
        return self._blobs.stat(f"{PREFIX}{lm_id}/{METADATA}") is not None

    def named(self, name: str) -> LanguageModel:
        """`current`, or the id of one of this data folder.

        Raises:
            NotFoundError: `lm.no_current`, `lm.missing`. IntegrityError: `lm.damaged`.
        """
        lm_id = self.current_id() if name == CURRENT else name
        if not lm_id:
            raise NotFoundError(
                "there is no language model yet",
                code="lm.no_current",
                hint="`phonoloop train lm` makes one of the transcripts that are here",
            )
        if not lm_id.replace("-", "").isalnum() or not self.taken(lm_id):
            raise NotFoundError(
                "there is no such language model",
                code="lm.missing",
                subject=lm_id,
                hint="Say `current`, the id of one under models/lm, or the path of an ARPA file",
            )
        with self._lock:
            tuning = self._tuning(lm_id)
            if self._loaded is None or self._loaded[0] != lm_id or self._loaded[1].tuning != tuning:
                self._loaded = lm_id, self._load(lm_id, tuning)
            return self._loaded[1]

    def _tuning(self, lm_id: str) -> dict[str, Any]:
        key = f"{PREFIX}{lm_id}/{TUNING}"
        if self._blobs.stat(key) is None:
            return {}
        return _json(self._blobs.get(key), key)

    def _load(self, lm_id: str, tuning: Mapping[str, Any]) -> LanguageModel:
        key = f"{PREFIX}{lm_id}/{METADATA}"
        metadata = _json(self._blobs.get(key), key)
        path = self._blobs.local_path(f"{PREFIX}{lm_id}/{BINARY}")
        if sha256_hex(path.read_bytes()) != metadata.get("files", {}).get(BINARY):
            raise IntegrityError(
                "this file is not the one that was trained",
                code="lm.damaged",
                subject=str(path),
                hint="Train it again with `phonoloop train lm`",
            )
        return LanguageModel(lm_id, load_model(path), metadata, tuning)

    def keep(self, lm_id: str, model: NgramModel, metadata: Mapping[str, Any]) -> LanguageModel:
        """Stores every file, the metadata last: nobody sees half of a model."""
        with tempfile.TemporaryDirectory(prefix="phonoloop-lm-") as scratch:
            folder = Path(scratch)
            model.to_arpa(folder / ARPA)
            save_model(model, folder / BINARY)
            files = {name: sha256_hex((folder / name).read_bytes()) for name in (ARPA, BINARY)}
            for name in files:
                self._blobs.put(f"{PREFIX}{lm_id}/{name}", folder / name)
        whole = {"format": FORMAT, "lm_id": lm_id, **metadata, "files": files}
        self._blobs.put(f"{PREFIX}{lm_id}/{METADATA}", _bytes(whole))
        return LanguageModel(lm_id, model, whole)

    def keep_tuning(self, lm_id: str, recogniser: str, found: Mapping[str, Any]) -> None:
        tuning = self._tuning(lm_id) | {recogniser: dict(found)}
        self._blobs.put(f"{PREFIX}{lm_id}/{TUNING}", _bytes(tuning))


def language_model(models: LanguageModels, name: str) -> LanguageModel:
    """`current`, an id, or the path of an ARPA file or of a folder with one. For the command line: over HTTP
    nobody names paths.

    Raises:
        NotFoundError: `lm.no_current`, `lm.missing`. InputError, IntegrityError: `lm.damaged`.
    """
    path = Path(name)
    if name != CURRENT and path.is_dir() and (path / ARPA).is_file():
        path = path / ARPA
    if name != CURRENT and (path.is_file() or path.suffix == ".arpa"):
        return LanguageModel(path.name, NgramModel.from_arpa(path))
    return models.named(name)


def _json(data: bytes, key: str) -> dict[str, Any]:
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"this is not JSON ({error})", code="lm.damaged", subject=key) from error


def _bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
