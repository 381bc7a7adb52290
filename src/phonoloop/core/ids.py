"""Ids that come from the content they name.

The same content has the same id on every machine and in every run, so that
writing it twice is writing it once.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ID_LENGTH = 32


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and UTF-8 kept: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def bytes_id(*parts: bytes | memoryview) -> str:
    """The first 128 bits of SHA-256 over the parts, as 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:ID_LENGTH]


def content_id(value: Any) -> str:
    """The id of any JSON value."""
    return bytes_id(canonical_json(value).encode())


def audio_id(pcm16: bytes | memoryview) -> str:
    """The id of a recording: its canonical samples (16 kHz, mono, little-endian int16), nothing else."""
    return bytes_id(b"pcm16/16000/1\0", pcm16)


def clip_id(audio_id: str, start_sample: int, end_sample: int) -> str:
    """A clip is named by its recording and its span there; sorts by recording, then time."""
    return f"{audio_id}-{start_sample:09d}-{end_sample:09d}"


def run_id(now: datetime, taken: Callable[[str], bool]) -> str:
    """`YYYYMMDD-HHMMSS` in UTC; a second that is taken gives way to the next free one."""
    moment = now.astimezone(UTC)
    while taken(name := moment.strftime("%Y%m%d-%H%M%S")):
        moment += timedelta(seconds=1)
    return name


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Of a file of any size. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def slug(text: str, *, otherwise: str) -> str:
    """A name as part of a file name, at most 40 characters: `Cà phê!` to `ca-phe`.

    Args:
        otherwise: for a text without a single Latin letter or digit.
    """
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    kept = "".join(ch for ch in plain if not unicodedata.combining(ch))
    return re.sub(r"[^a-z0-9]+", "-", kept).strip("-")[:40].rstrip("-") or otherwise
