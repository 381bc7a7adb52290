"""The speech embedding of openWakeWord (Apache-2.0), found, checked and rebuilt as a streaming module."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from phonoloop.core.errors import NotFoundError
from phonoloop.core.ids import sha256_hex

MEL_FILE, EMBEDDING_FILE = "melspectrogram.onnx", "embedding_model.onnx"
_PACKAGE = "openwakeword"


@dataclass(frozen=True, slots=True)
class EmbeddingFiles:
    """The two files.

    Attributes:
        source: where they come from, for people: a folder, or the package.
        mel_sha256, embedding_sha256: part of what the front-end is.
    """

    mel: Path
    embedding: Path
    source: str
    mel_sha256: str
    embedding_sha256: str


def find_speech_embedding(path: str | Path | None = None) -> EmbeddingFiles | None:
    """The files in the named folder, else in the installed `openwakeword` package, which is not imported.

    Its phrase models are never touched: their licence is non-commercial.

    Raises:
        NotFoundError: `embedding.missing`, where a folder is named that does not hold both.
    """
    if path is not None and str(path):
        return _files(Path(path), str(path), named=True)
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "resources" / "models"
    return _files(folder, f"the package {_PACKAGE}", named=False)


def _files(folder: Path, source: str, *, named: bool) -> EmbeddingFiles | None:
    mel, embedding = folder / MEL_FILE, folder / EMBEDDING_FILE
    missing = [path.name for path in (mel, embedding) if not path.is_file()]
    if not missing:
        hashes = sha256_hex(mel.read_bytes()), sha256_hex(embedding.read_bytes())
        return EmbeddingFiles(mel, embedding, source, *hashes)
    if not named:
        return None
    raise NotFoundError(
        f"the folder has no {' and no '.join(missing)}",
        code="embedding.missing",
        subject=source,
        hint="Both come with openwakeword 0.4.0, in resources/models",
    )
