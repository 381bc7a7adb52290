"""Manifests: one JSON object a line, one line a clip.

    {"audio_filepath": "audio/raw/0f….wav", "text": "xin chào", "duration": 2.5, "speaker": "s1",
     "clip_id": "0f…-000000000-000040000", "offset": 0.0, "snr_db": 31.2}

`audio_filepath`, `text` and `duration` (seconds) must be there. `offset` is where the clip begins in
the file, in seconds. Whatever else a line holds is kept in `extras`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from phonoloop.core.errors import ManifestError, NotFoundError

_BOM = b"\xef\xbb\xbf"
_NAMED = ("audio_filepath", "text", "duration", "speaker", "clip_id", "offset")
_MOST_SECONDS = 1e9


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One clip.

    Attributes:
        audio_filepath: absolute, or relative to the manifest's folder or to the data folder.
        duration, offset: seconds; the clip is [offset, offset + duration) of the file.
        speaker: an id or a name; empty where nobody knows.
        extras: JSON values, such as `snr_db`, `dialect`, `provenance`.
    """

    audio_filepath: str
    text: str
    duration: float
    speaker: str = ""
    clip_id: str = ""
    offset: float = 0.0
    extras: Mapping[str, Any] = field(default_factory=dict)

    def language_or(self, default: str) -> str:
        """The row's own language (an extra), or that of rows that do not name theirs."""
        return str(self.extras.get("language") or default)

    def to_dict(self) -> dict[str, Any]:
        """Named fields first and in a fixed order, then the extras by name."""
        row = {name: getattr(self, name) for name in _NAMED}
        if not self.clip_id:
            del row["clip_id"]
        return row | {name: self.extras[name] for name in sorted(self.extras)}


def write_manifest(rows: Iterable[ManifestRow]) -> bytes:
    """UTF-8 JSONL, sorted by clip id (then file and offset): the same rows give the same bytes.

    Raises:
        ManifestError: `manifest.extra_name` where an extra has the name of a field,
            `manifest.not_finite` for a number that JSON cannot hold.
    """
    ordered = sorted(rows, key=lambda row: (row.clip_id, row.audio_filepath, row.offset, row.text))
    return b"".join(_line_bytes(row) for row in ordered)


def _line_bytes(row: ManifestRow) -> bytes:
    subject = row.clip_id or row.audio_filepath
    if taken := set(row.extras) & set(_NAMED):
        raise ManifestError(
            f"an extra cannot be called {sorted(taken)[0]!r}", code="manifest.extra_name", subject=subject
        )
    try:
        return (json.dumps(row.to_dict(), ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise ManifestError(
            f"this row cannot be written as JSON ({error})", code="manifest.not_finite", subject=subject
        ) from error


def read_manifest(path: Path) -> list[ManifestRow]:
    """Reads a JSONL file, in its order. Empty lines and a UTF-8 byte-order mark are passed over.

    Raises:
        NotFoundError: `manifest.missing`.
        ManifestError: `manifest.not_utf8`, `manifest.not_json`, `manifest.missing_field`,
            `manifest.wrong_type`; its subject is `file:line`.
    """
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(
            "there is no such manifest",
            code="manifest.missing",
            subject=str(path),
            hint="Give the path of a .jsonl file",
        ) from error
    return parse_manifest(data, name=str(path))


def parse_manifest(data: bytes, name: str = "manifest") -> list[ManifestRow]:
    """The rows of a manifest that is in memory. Raises as `read_manifest`."""
    return list(_parse_lines(data.removeprefix(_BOM), name))


def _parse_lines(data: bytes, name: str) -> Iterator[ManifestRow]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield _parse_line(line, f"{name}:{number}")


def _parse_line(line: bytes, where: str) -> ManifestRow:
    try:
        raw = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ManifestError(
            "this line is not UTF-8",
            code="manifest.not_utf8",
            subject=where,
            hint="Save the manifest as UTF-8",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"this line is not JSON ({error})",
            code="manifest.not_json",
            subject=where,
            hint="Each line has to be one JSON object: mend this line or take it out",
        ) from error
    if not isinstance(raw, dict):
        _wrong_type(where, "this line", "a JSON object")
    return _row_of(raw, where)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _row_of(raw: dict[str, Any], where: str) -> ManifestRow:
    for name in ("audio_filepath", "text", "duration"):
        if name not in raw:
            raise ManifestError(
                f"this line has no {name!r}",
                code="manifest.missing_field",
                subject=where,
                hint="Each line needs audio_filepath, text and duration (seconds); speaker is wanted",
            )
    if not raw["audio_filepath"]:
        _wrong_type(where, "audio_filepath", "the path of a file")
    return ManifestRow(
        audio_filepath=_text(raw, "audio_filepath", where),
        text=_text(raw, "text", where),
        duration=_seconds(raw, "duration", where, above_zero=True),
        speaker=_text(raw, "speaker", where),
        clip_id=_text(raw, "clip_id", where),
        offset=_seconds(raw, "offset", where),
        extras={name: value for name, value in raw.items() if name not in _NAMED},
    )


def _text(raw: dict[str, Any], name: str, where: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str):
        _wrong_type(where, name, "a text in quotes")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        _wrong_type(where, name, "Unicode text without lone surrogates")
    return value


def _seconds(raw: dict[str, Any], name: str, where: str, *, above_zero: bool = False) -> float:
    value = raw.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _wrong_type(where, name, "a number of seconds")
    if not value <= _MOST_SECONDS:
        _wrong_type(where, name, "a number of seconds that a recording can have")
    if value < 0 or (above_zero and value == 0):
        _wrong_type(where, name, "more than 0 seconds" if above_zero else "at least 0 seconds")
    return float(value)


def _wrong_type(where: str, what: str, wanted: str) -> NoReturn:
    raise ManifestError(
        f"{what} has to be {wanted}",
        code="manifest.wrong_type",
        subject=where,
        hint="Mend this line or take it out",
    )


def resolve_audio(row: ManifestRow, *roots: Path) -> Path:
    """The row's file: as it stands where absolute, else under the first root that has it.

    Raises:
        NotFoundError: `manifest.audio_missing`, naming every place that was looked at.
    """
    places = [Path(root) / row.audio_filepath for root in roots] or [Path(row.audio_filepath)]
    for place in places:
        if place.is_file():
            return place
    raise NotFoundError(
        "there is no such audio file, looked at: " + ", ".join(str(place) for place in dict.fromkeys(places)),
        code="manifest.audio_missing",
        subject=row.audio_filepath,
        hint="Paths in a manifest are relative to its folder or to the data folder",
    )
