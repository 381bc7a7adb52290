"""Text and metadata that lie beside an audio file.

Beside `x.mp3`: `x.txt` or `x.mp3.txt` holds what is said; `x.json` or `x.mp3.json` holds an object with
`text`, `speaker`, `language`, `dialect`, `device`, `environment`, `licence`, `consent` and `segments`
([{start_ms, end_ms, text}]). `consent` is a text or, as voices need it, {who, purpose, date}. Anything else
in the object is kept in `attributes`. Where both name a text, the object's counts.
"""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from phonoloop.core.errors import ManifestError

MAX_BYTES = 4 * 1024 * 1024
SUFFIXES = (".txt", ".json")
_TEXTS = ("text", "speaker", "language", "dialect", "device", "environment", "licence", "consent")


_CONSENT = ("who", "purpose", "date")


@dataclass(frozen=True, slots=True)
class TimedText:
    """What is said in [start_ms, end_ms) of the recording."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What came along with a recording; texts are NFC and trimmed, empty where nothing was said.

    Attributes:
        consent: as text, also where it came as a record.
        consent_record: who, purpose and date (ISO 8601); empty where it came as text, or not.
    """

    text: str = ""
    speaker: str = ""
    language: str = ""
    dialect: str = ""
    device: str = ""
    environment: str = ""
    licence: str = ""
    consent: str = ""
    consent_record: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[TimedText, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_text(self) -> str:
        """The text, or the segments' texts one after the other where there is no other."""
        return self.text or " ".join(segment.text for segment in self.segments if segment.text)


def find_sidecars(audio: Path) -> list[Path]:
    """The files beside an audio file that belong to it, in the order in which they are read."""
    stems = [audio.with_suffix(""), audio]
    places = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES for stem in stems]
    return [place for place in places if place.is_file() and not place.is_symlink()]


def read_sidecars(audio: Path) -> Sidecar:
    """Everything beside an audio file, as one; later files win over earlier ones.

    Raises:
        ManifestError: `sidecar.not_utf8`, `sidecar.not_json`, `sidecar.wrong_type`,
            `sidecar.segments`, `sidecar.consent`, `sidecar.too_large`, `sidecar.unreadable`.
    """
    merged: dict[str, Any] = {}
    for path in find_sidecars(audio):
        merged |= _read(path)
    return Sidecar(**merged)


def parse_sidecar(text: str, subject: str) -> Sidecar:
    """What a sidecar's JSON object says that came by another way. Raises as `read_sidecars` does."""
    return Sidecar(**_from_json(text, Path(subject)))


def _read(path: Path) -> dict[str, Any]:
    text = _decoded(_content(path), path)
    return _from_text(text, path) if path.suffix == ".txt" else _from_json(text, path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(
            f"this file beside the audio cannot be read ({error.strerror})",
            code="sidecar.unreadable",
            subject=str(path),
            hint="Check the permissions, then put both files in the inbox again",
        ) from error
    if len(data) > MAX_BYTES:
        raise ManifestError(
            f"this file beside the audio is larger than {MAX_BYTES} bytes",
            code="sidecar.too_large",
            subject=str(path),
            hint="It should hold the text and metadata of one recording only",
        )
    return data


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(
            "this file beside the audio is not UTF-8",
            code="sidecar.not_utf8",
            subject=str(path),
            hint="Save it as UTF-8",
        ) from error


def _from_text(text: str, path: Path) -> dict[str, Any]:
    return {"text": cleaned} if (cleaned := _clean(text, "text", path)) else {}


def _from_json(text: str, path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"this file beside the audio is not JSON ({error})",
            code="sidecar.not_json",
            subject=str(path),
            hint="Mend it or take it away",
        ) from error
    if not isinstance(raw, dict):
        _wrong_type(path, "the whole", "a JSON object")
    return sidecar_fields(raw, path)


def sidecar_fields(raw: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Arguments for `Sidecar` from an object that somebody wrote; `path` is named in errors."""
    kept: dict[str, Any] = {}
    if isinstance(raw.get("consent"), Mapping):
        kept["consent_record"] = record = _consent(raw["consent"], path)
        raw = {**raw, "consent": "{who}: {purpose} ({date})".format(**record)}
    given = {name: _clean(raw[name], name, path) for name in _TEXTS if raw.get(name) is not None}
    kept |= {name: text for name, text in given.items() if text}
    if raw.get("segments"):
        kept["segments"] = _segments(raw["segments"], path)
    named = {f.name for f in fields(Sidecar)}
    if others := {name: value for name, value in raw.items() if name not in named}:
        kept["attributes"] = _attributes(others, path)
    return kept


def _consent(raw: Mapping[str, Any], path: Path) -> dict[str, str]:
    """A consent of which a part is not known is none, and whoever wrote it should hear of it."""
    record = {part: _clean(raw.get(part, ""), f"{part} of the consent", path) for part in _CONSENT}
    if missing := consent_lacks(record):
        raise ManifestError(
            f"the consent beside the audio lacks {missing}",
            code="sidecar.consent",
            subject=str(path),
            hint='Write {"who": …, "purpose": …, "date": "2026-11-20"}, or a plain text',
        )
    return record


def consent_lacks(record: Mapping[str, str]) -> str:
    """What a consent {who, purpose, date} lacks, in words; empty where it is whole."""
    missing = [part for part in _CONSENT if not record[part]]
    if not missing and _is_date(record["date"]):
        return ""
    return ", ".join(missing) or "a date as in 2026-11-20"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _attributes(others: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What is kept as it came, unless no database could hold it."""
    try:
        text = json.dumps(others, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        _wrong_type(path, "an attribute", "plain JSON")
    if "\\u0000" in text.replace("\\\\", "") or _is_broken(text):
        _wrong_type(path, "an attribute", "text without zero bytes and broken characters")
    return json.loads(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _clean(value: Any, name: str, path: Path) -> str:
    if not isinstance(value, str):
        _wrong_type(path, name, "a text in quotes")
    if _is_broken(value):
        _wrong_type(path, name, "text without zero bytes and broken characters")
    return unicodedata.normalize("NFC", value).strip()


def _is_broken(text: str) -> bool:
    """Whether it holds what no database keeps: a zero byte, or half a surrogate pair."""
    return "\0" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text))


def _segments(raw: Any, path: Path) -> tuple[TimedText, ...]:
    if not isinstance(raw, list):
        _wrong_type(path, "segments", "a list")
    segments = sorted((_segment(item, path) for item in raw), key=lambda segment: segment.start_ms)
    for before, after in itertools.pairwise(segments):
        if after.start_ms < before.end_ms:
            _bad_segments(path, f"the one from {after.start_ms} ms begins before the last one has ended")
    return tuple(segments)


def _segment(raw: Any, path: Path) -> TimedText:
    if not isinstance(raw, dict):
        _wrong_type(path, "a segment", "an object")
    start_ms, end_ms = _milliseconds(raw, "start_ms", path), _milliseconds(raw, "end_ms", path)
    if not 0 <= start_ms < end_ms:
        _bad_segments(path, f"one runs from {start_ms} to {end_ms} ms")
    return TimedText(start_ms, end_ms, _clean(raw.get("text", ""), "a segment's text", path))


def _milliseconds(raw: dict[str, Any], name: str, path: Path) -> int:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        _wrong_type(path, name, "a number of milliseconds")
    return round(value)


def _bad_segments(path: Path, what: str) -> NoReturn:
    raise ManifestError(
        f"the segments beside the audio do not fit: {what}",
        code="sidecar.segments",
        subject=str(path),
        hint="Segments are half-open [start_ms, end_ms), in order, and do not overlap",
    )


def _wrong_type(path: Path, what: str, wanted: str) -> NoReturn:
    raise ManifestError(
        f"{what} beside the audio has to be {wanted}",
        code="sidecar.wrong_type",
        subject=str(path),
        hint="Mend it or take it away",
    )
