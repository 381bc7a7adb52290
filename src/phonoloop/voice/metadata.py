"""`metadata.csv`: a line a clip, `clip|transcript|duration|speaker|quality`, and a JSON file beside it.

Piper, readers of LJSpeech, `csv` and a plain `split("|")` must read the same lines. A transcript therefore
never holds `|`, `"`, a line break or a control character: what was there is replaced by what sounds the same,
and the clip's JSON says so in `changed`.

    OUT/metadata.csv
    OUT/transcripts/<clip_id>.json      a `ClipText`, also of clips that have no line

A line is appended by one write, after its JSON is there. A kill leaves a line too few or a torn one at most;
`Appender` and `write_texts` mend both.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from phonoloop.core.errors import IntegrityError, ManifestError, NotFoundError
from phonoloop.core.files import disk_error, write_whole
from phonoloop.core.ids import canonical_json
from phonoloop.text.normalise import display
from phonoloop.voice.texts import ClipText

METADATA, TRANSCRIPTS = "metadata.csv", "transcripts"
_PIPES = re.compile(r"\s*\|[\s|]*")
#: a straight quotation mark before a word opens; any other closes
_OPENING = re.compile(r'(?:^|(?<=[\s(\[{“‘—–-]))"(?=\S)')


@dataclass(frozen=True, slots=True)
class Safe:
    """`changed`: what was replaced, of `newline`, `control`, `pipe` and `quote`."""

    text: str
    changed: tuple[str, ...] = ()


def made_safe(text: str) -> Safe:
    """One line of composed (NFC) text without what readers of CSV files stumble over. Idempotent.

    `|` becomes a comma, straight double quotes become typographic ones, line breaks and control characters a
    space; what cannot be seen (a zero byte, half a surrogate pair, marks of direction) goes. Runs of spaces
    become one.
    """
    found = {
        "newline": len(text.strip().splitlines()) > 1,
        "control": any(map(_is_control, text)),
        "pipe": "|" in text,
        "quote": '"' in text,
    }
    shown = _PIPES.sub(", ", display(text).strip(" |"))
    safe = display(_OPENING.sub("“", shown).replace('"', "”"))
    return Safe(safe, tuple(name for name, is_there in found.items() if is_there))


def _is_control(ch: str) -> bool:
    return unicodedata.category(ch) in ("Cc", "Cf", "Cs") and not ch.isspace()


@dataclass(frozen=True, slots=True)
class Row:
    """A line. `clip`: the clip's id, its audio is `clips/<clip>.wav`."""

    clip: str
    transcript: str
    duration_s: float
    speaker: str
    quality: float

    @classmethod
    def of(cls, text: ClipText) -> Self:
        return cls(text.clip_id, text.text, text.duration_s, text.speaker, text.quality)

    def line(self) -> str:
        transcript, speaker = made_safe(self.transcript).text, made_safe(self.speaker).text
        return f"{self.clip}|{transcript}|{self.duration_s:.3f}|{speaker}|{self.quality:.3f}\n"


def parse_row(line: str, subject: str = METADATA) -> Row:
    """Raises ManifestError `voice.metadata` for a line that is none."""
    try:
        clip, transcript, duration_s, speaker, quality = line.rstrip("\n").split("|")
        return Row(clip, transcript, float(duration_s), speaker, float(quality))
    except ValueError as error:
        raise ManifestError(
            f"this is no line of clip|transcript|duration|speaker|quality: {line.strip()[:80]!r}",
            code="voice.metadata",
            subject=subject,
            hint="Build the voice again: the file is written anew from the clips' JSON files",
        ) from error


def read_rows(path: Path) -> list[Row]:
    """
    Raises:
        NotFoundError: `voice.no_metadata`. ManifestError: `voice.metadata`, naming the line.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no metadata.csv",
            code="voice.no_metadata",
            subject=str(path),
            hint="`phonoloop voice build … --until transcribe` makes one",
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError("this is not UTF-8", code="voice.metadata", subject=str(path)) from error
    return [parse_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line]


def has_row(text: ClipText) -> bool:
    """Whether a clip has a line: it says something, and nobody has rejected it."""
    return bool(text.text) and not text.rejected


class Appender:
    """Appends lines to a `metadata.csv` while clips are transcribed; what is there of them stays.

    A line that a kill has torn is taken away first.

    Raises:
        ResourceError: `resource.disk`.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / METADATA
        self._transcripts = out / TRANSCRIPTS
        self._there = _mend(self._path)

    def add(self, text: ClipText) -> None:
        """The clip's JSON, where it has none or was heard otherwise; then its line, where it has none."""
        if not self._is_kept(text):
            put_text(self._transcripts, text)
        if text.clip_id not in self._there and has_row(text):
            _append(self._path, Row.of(text).line().encode())
            self._there.add(text.clip_id)

    def _is_kept(self, text: ClipText) -> bool:
        path = self._transcripts / f"{text.clip_id}.json"
        return path.exists() and _read_text(path).heard.key == text.heard.key


def _mend(path: Path) -> set[str]:
    """Cuts off an unfinished last line; the clips that have one."""
    if not path.exists():
        write_whole(path, b"")
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return {line.split(b"|", 1)[0].decode("utf-8", "replace") for line in whole.splitlines()}


def _append(path: Path, line: bytes) -> None:
    """By one write; where the disk is full, what was there before is there again."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    before = os.fstat(handle).st_size
    try:
        _write_line(handle, line)
        os.fsync(handle)
    except OSError as error:
        os.ftruncate(handle, before)
        raise disk_error(path, error) from error
    finally:
        os.close(handle)


def _write_line(handle: int, line: bytes) -> None:
    """More than one write only where a signal or a full disk cuts the first one short."""
    written = os.write(handle, line)
    while written < len(line):
        written += os.write(handle, line[written:])


def put_text(folder: Path, text: ClipText) -> bool:
    """Writes a clip's JSON where it says something else; whether it did."""
    path = folder / f"{text.clip_id}.json"
    data = (canonical_json(text.to_dict()) + "\n").encode("utf-8", "surrogatepass")
    if path.exists() and path.read_bytes() == data:
        return False
    write_whole(path, data)
    return True


def write_texts(out: Path, texts: Iterable[ClipText]) -> list[ClipText]:
    """Exactly these clips' JSON files and lines, by source and time; what other clips left goes.

    The same clips give the same files, whatever was there before and in whatever order they come.

    Returns:
        The clips in that order.

    Raises:
        ResourceError: `resource.disk`.
    """
    ordered = sorted(texts, key=lambda text: (text.source_id, text.spans[0].start, text.clip_id))
    for text in ordered:
        put_text(out / TRANSCRIPTS, text)
    lines = "".join(Row.of(text).line() for text in ordered if has_row(text))
    if not (out / METADATA).exists() or (out / METADATA).read_bytes() != lines.encode():
        write_whole(out / METADATA, lines.encode())
    _remove_others(out / TRANSCRIPTS, {f"{text.clip_id}.json" for text in ordered})
    return ordered


def _remove_others(folder: Path, names: set[str]) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                path.unlink()


def require_texts(out: Path) -> Path:
    """The folder of the clips' JSON files. Raises NotFoundError `voice.no_transcripts`."""
    folder = out / TRANSCRIPTS
    if not folder.is_dir():
        raise NotFoundError(
            "there are no transcribed clips",
            code="voice.no_transcripts",
            subject=str(out),
            hint="Name the folder that `phonoloop voice build … --out DIR` wrote",
        )
    return folder


def read_texts(out: Path) -> list[ClipText]:
    """What `write_texts` wrote, in its order.

    Raises:
        NotFoundError: `voice.no_transcripts`. IntegrityError: `voice.transcript`, a file that is none.
    """
    texts = _texts_in(require_texts(out))
    return sorted(texts, key=lambda text: (text.source_id, text.spans[0].start, text.clip_id))


def _texts_in(folder: Path) -> Iterator[ClipText]:
    for path in folder.glob("[!.]*.json"):
        with contextlib.suppress(FileNotFoundError):  # a build took it away just now
            yield _read_text(path)


def _read_text(path: Path) -> ClipText:
    try:
        return ClipText.from_dict(json.loads(path.read_bytes().decode("utf-8", "surrogatepass")))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"this is not what is known of a clip's text ({error})",
            code="voice.transcript",
            subject=str(path),
            hint="Remove it and build the voice again: the clip is transcribed anew",
        ) from error
