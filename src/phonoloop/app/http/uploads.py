"""Files that come over HTTP."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from fastapi import UploadFile

from phonoloop.app.bootstrap import MEGABYTE, App
from phonoloop.core.errors import InputError

#: what a browser or curl calls a file that it knows nothing about, or that has sound in Ogg
_ALSO_AUDIO = ("application/octet-stream", "application/ogg", "video/ogg", "")


@contextmanager
def kept(
    app: App, upload: UploadFile, *, limit_mb: float | None = None, setting: str = "INGEST_MAX_UPLOAD_MB"
) -> Iterator[Path]:
    """The upload as a file, streamed to disk, removed afterwards.

    The name that the sender gave is only looked at for its ending.

    Args:
        limit_mb: the setting of that name; that of ingest where None.

    Raises:
        InputError: `upload.too_large`.
    """
    scratch = app.data_dir / "work"
    scratch.mkdir(exist_ok=True)
    ending = PurePath(upload.filename or "").suffix.lower()
    ending = ending if ending[1:].isalnum() and len(ending) <= 8 else ""
    limit_mb = app.settings.max_upload_mb if limit_mb is None else limit_mb
    with tempfile.TemporaryDirectory(dir=scratch, prefix="upload-") as folder:
        path = Path(folder) / f"upload{ending}"
        with path.open("wb") as file:
            _copy_limited(upload, file, int(limit_mb * MEGABYTE), setting)
        yield path


def _copy_limited(upload: UploadFile, file: Any, limit_bytes: int, setting: str) -> None:
    if upload.size is not None and upload.size > limit_bytes:
        raise InputError(
            f"the upload has {upload.size / MEGABYTE:.0f} MB; {limit_bytes / MEGABYTE:.0f} MB are allowed",
            code="upload.too_large",
            subject=upload.filename or "",
            hint=f"Send it in parts, or raise {setting}",
        )
    shutil.copyfileobj(upload.file, file, MEGABYTE)


def check_is_audio(upload: UploadFile) -> None:
    """By what the sender says it is; what it really is, decoding tells.

    Raises:
        InputError: `upload.media_type`.
    """
    said = (upload.content_type or "").split(";")[0].strip().lower()
    if not said.startswith("audio/") and said not in _ALSO_AUDIO:
        raise InputError(
            f"it is sent as {said}, which is no audio",
            code="upload.media_type",
            subject=upload.filename or "",
            hint="Send WAV, MP3, FLAC or OGG as audio/wav, audio/mpeg, audio/flac or audio/ogg",
        )
