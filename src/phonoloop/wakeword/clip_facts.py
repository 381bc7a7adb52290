"""What is known about a clip besides its samples: `labels.json`, files beside it, the folder's licence."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop.core.errors import ManifestError
from phonoloop.core.units import CANONICAL_RATE_HZ, seconds_to_samples
from phonoloop.data.sidecar import find_sidecars, read_sidecars

LABELS_FILE = "labels.json"
UNKNOWN_LICENCE = "unknown"
_LABELS = ("positive", "negative", "noise")
_MAX_BYTES = 64 << 20
_LICENCE_CHARS = 80
_KNOWN_LICENCES = (
    (r"creative commons (?:legal code\s+)?cc0|\bcc0\b", "CC0-1.0"),
    (r"\bcc[ -]by[ -]nc[ -]sa\b", "CC BY-NC-SA"),
    (r"\bcc[ -]by[ -]nc\b|attribution[- ]noncommercial", "CC BY-NC"),
    (r"\bcc[ -]by[ -]sa\b|attribution[- ]sharealike", "CC BY-SA"),
    (r"\bcc[ -]by\b|creative commons attribution", "CC BY"),
    (r"apache license|apache-2\.0", "Apache-2.0"),
    (r"\bmit license\b", "MIT"),
    (r"public domain|unlicense", "public domain"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Empty or None where nothing was said."""

    label: str = ""
    speaker: str = ""
    voice: str = ""
    text: str = ""
    licence: str = UNKNOWN_LICENCE
    snr_db: float | None = None
    distance_m: float | None = None
    phrase_end_s: float | None = None
    deleted: bool = False

    def phrase_end(self, samples: int) -> int | None:
        """In samples, inside the clip."""
        if self.phrase_end_s is None:
            return None
        return min(max(seconds_to_samples(self.phrase_end_s, CANONICAL_RATE_HZ), 0), samples)


class FolderFacts:
    """Looks facts up; each `labels.json` and licence is read once."""

    def __init__(self) -> None:
        self._labels: dict[Path, Mapping[str, Mapping[str, Any]]] = {}
        self._licences: dict[tuple[Path, Path], str] = {}

    def of(self, path: Path, root: Path) -> Facts:
        """What is known about a clip under `root`.

        Raises:
            ManifestError: `wakeword.labels`, and what `data.sidecar.read_sidecars` raises.
        """
        known = {**self._from_labels(path), **_from_sidecars(path)}
        licence = _text(known, "licence", path) or self._licence(path.parent, root)
        return _facts(known, licence, path)

    def _from_labels(self, path: Path) -> Mapping[str, Any]:
        for folder in (path.parent, path.parent.parent):
            if folder not in self._labels:
                self._labels[folder] = _read_labels(folder / LABELS_FILE)
            labels = self._labels[folder]
            for name in (path.relative_to(folder).as_posix(), path.name, path.stem):
                if name in labels:
                    return labels[name]
        return {}

    def _licence(self, folder: Path, root: Path) -> str:
        """Of the nearest folder that says one, from the clip's up to the one that was given."""
        key = (folder, root)
        if key not in self._licences:
            here = licence_of(folder)
            above = here == UNKNOWN_LICENCE and folder not in (root, folder.parent)
            self._licences[key] = self._licence(folder.parent, root) if above else here
        return self._licences[key]


def licence_of(folder: Path) -> str:
    """What a folder's LICENSE or README says, by its usual short name or its first words; or `unknown`."""
    for name in sorted(folder.iterdir()):
        if name.is_file() and re.match(r"(licen[cs]e|copying)(\.\w+)?$", name.name, re.IGNORECASE):
            return _licence_in(name, whole=True)
    for name in sorted(folder.iterdir()):
        if name.is_file() and re.match(r"readme(\.\w+)?$", name.name, re.IGNORECASE):
            return _licence_in(name, whole=False)
    return UNKNOWN_LICENCE


def _licence_in(file: Path, *, whole: bool) -> str:
    """A README names its licence on a line with that word; a licence's own file is about nothing else."""
    with file.open("rb") as stream:
        text = stream.read(20_000).decode("utf-8", "replace")
    said = text if whole else "\n".join(re.findall(r"(?i)^.*licen[cs]e.*(?:\n\s*\S.*)?", text, re.MULTILINE))
    for pattern, name in _KNOWN_LICENCES:
        if found := re.search(pattern, said, re.IGNORECASE):
            version = (
                re.match(r"[^\n]{0,30}?\b(\d\.\d)\b", said[found.end() :])
                if name.startswith("CC BY")
                else None
            )
            return f"{name} {version[1]}" if version else name
    first = next((line.strip(" #*") for line in said.splitlines() if line.strip(" #*")), "")
    return first[:_LICENCE_CHARS] or UNKNOWN_LICENCE


def _read_labels(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Name → object. The file is such an object, has one as `clips`, or a list of objects with a `file`."""
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        raw = json.loads(file.read_bytes())
        clips = raw.get("clips", raw) if isinstance(raw, dict) else raw
        return dict(_named(clips))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(
            f"it cannot be read ({error})",
            code="wakeword.labels",
            subject=str(file),
            hint='It should be an object {"file name": {"label": "positive", "speaker": …}}',
        ) from error


def _named(clips: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(clips, dict):
        return [(name, value) for name, value in clips.items() if isinstance(value, dict)]
    if not isinstance(clips, list) or not all(isinstance(one, dict) for one in clips):
        raise ValueError("it is no list or object of clips")
    return [(str(one.get("file") or one.get("clip_id") or ""), one) for one in clips]


def _from_sidecars(path: Path) -> dict[str, Any]:
    if not find_sidecars(path):
        return {}
    beside = read_sidecars(path)
    said = {name: value for name in ("speaker", "text", "licence") if (value := getattr(beside, name))}
    return {**beside.attributes, **said}


def _facts(known: Mapping[str, Any], licence: str, path: Path) -> Facts:
    label = _text(known, "label", path)
    if label and label not in _LABELS:
        raise _wrong(path, "label", f"one of {', '.join(_LABELS)}")
    return Facts(
        label=label,
        speaker=_text(known, "speaker", path),
        voice=_text(known, "voice", path),
        text=_text(known, "text", path),
        licence=licence,
        snr_db=_number(known, "snr_db", path),
        distance_m=_number(known, "distance_m", path),
        phrase_end_s=_number(known, "phrase_end_s", path),
        deleted=bool(known.get("deleted") or known.get("deleted_at")),
    )


def _text(known: Mapping[str, Any], name: str, path: Path) -> str:
    value = known.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(path, name, "a text")
    return (value or "").strip()


def _number(known: Mapping[str, Any], name: str, path: Path) -> float | None:
    value = known.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(path, name, "a number")
    return float(value)


def _wrong(path: Path, name: str, wanted: str) -> ManifestError:
    return ManifestError(
        f"what is known about this clip has a {name!r} that is not {wanted}",
        code="wakeword.labels",
        subject=str(path),
        hint="Mend labels.json or the file beside the clip",
    )
