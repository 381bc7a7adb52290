"""Spoken utterances kept on disk: what was said once is not said again.

A folder holds `audio.i16`, the samples of all utterances one after another (int16, 16,000 Hz, little
endian), and `index.jsonl`, a line for each. A line is written after its samples, so a process that is
killed leaves whole utterances, and the next one goes on from there.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from phonoloop.audio.wav import to_float, to_int16
from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.wakeword.synthesis import Spoken, Utterance, VoicedSynthesizer, spoken_or_error

AUDIO, INDEX = "audio.i16", "index.jsonl"


@dataclass(frozen=True, slots=True)
class PoolRow:
    """An utterance in the pool.

    Attributes:
        key: of the `Utterance` that asked for it.
        start, samples: where it is in the audio; no samples where it could not be said.
        error: the code of why it could not be said; empty otherwise.
    """

    key: str
    start: int
    samples: int
    text: str
    voice: str
    language: str
    speed: float
    pitch: float
    kind: str
    distance: float
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SpokenPool:
    """What a plan asked for, as far as it could be said, in the plan's order.

    Attributes:
        audio: (n,) int16, mapped from the file.
        refused: what could not be said.
    """

    rows: tuple[PoolRow, ...]
    refused: tuple[PoolRow, ...]
    audio: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def pcm(self, at: int) -> np.ndarray:
        """(n,) int16, a view."""
        row = self.rows[at]
        return self.audio[row.start : row.start + row.samples]

    def spoken(self, at: int) -> Spoken:
        row = self.rows[at]
        return Spoken(
            text=row.text,
            voice=row.voice,
            language=row.language,
            speed=row.speed,
            pitch=row.pitch,
            samples=to_float(self.pcm(at)),
            kind=row.kind,
            distance=row.distance,
        )


def fill_pool(
    folder: Path,
    plan: Sequence[Utterance],
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SpokenPool:
    """Has the plan spoken into the folder, but for what is there already.

    Args:
        on_progress: called with (utterances done, utterances in all).

    Raises:
        CancelledError: `wakeword.cancelled`, where `should_stop` says so; what was said stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {row.key for row in _whole_rows(folder)}
    keys = [utterance.key for utterance in plan]
    missing = list({key: one for key, one in zip(keys, plan, strict=True) if key not in known}.values())
    with _Writer.open(folder) as writer:
        results = spoken_or_error(missing, synthesizers, workers=workers)
        for done, (utterance, result) in enumerate(results, start=len(plan) - len(missing) + 1):
            writer.write(utterance, result)
            on_progress(done, len(plan))
            if should_stop():
                raise CancelledError("the synthesis was stopped", code="wakeword.cancelled")
    return read_pool(folder, keys)


def read_pool(folder: Path, keys: Sequence[str] = ()) -> SpokenPool:
    """The utterances of these keys in their order; without keys all, in the order they were made."""
    rows = {row.key: row for row in _whole_rows(folder)}
    wanted = [rows[key] for key in dict.fromkeys(keys or rows) if key in rows]
    path = folder / AUDIO
    empty = not path.exists() or path.stat().st_size < 2
    return SpokenPool(
        rows=tuple(row for row in wanted if not row.error),
        refused=tuple(row for row in wanted if row.error),
        audio=np.zeros(0, np.int16) if empty else np.memmap(path, dtype="<i2", mode="r"),
    )


def _whole_rows(folder: Path) -> list[PoolRow]:
    """Those whose line and samples were written to their ends, up to the first line that is none: what comes
    after a damaged one is said again."""
    index, audio = folder / INDEX, folder / AUDIO
    if not index.exists() or not audio.exists():
        return []
    size = audio.stat().st_size // 2
    lines = index.read_bytes().split(b"\n")[:-1]  # after the last line's end: nothing, or half a line
    rows = itertools.takewhile(lambda row: row is not None, map(_parsed, lines))
    return [row for row in rows if row.start + row.samples <= size]


def _parsed(line: bytes) -> PoolRow | None:
    try:
        return PoolRow(**json.loads(line))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class _Writer:
    audio: BinaryIO
    index: BinaryIO

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[_Writer]:
        """Cuts off what a killed process left half written."""
        rows = _whole_rows(folder)
        _rewrite(folder / INDEX, rows)
        with open(folder / AUDIO, "ab") as audio, open(folder / INDEX, "ab") as index:
            audio.truncate(2 * max((row.start + row.samples for row in rows), default=0))
            audio.seek(0, os.SEEK_END)
            yield cls(audio, index)

    def write(self, utterance: Utterance, result: Spoken | PhonoloopError) -> None:
        said = isinstance(result, Spoken)
        pcm = to_int16(result.samples).astype("<i2") if said else np.zeros(0, "<i2")
        start = self.audio.tell() // 2
        self.audio.write(pcm.tobytes())
        self.audio.flush()
        row = _row(utterance, start, len(pcm), "" if said else result.code)
        self.index.write(_line(row))
        self.index.flush()


def _row(utterance: Utterance, start: int, samples: int, error: str) -> PoolRow:
    kept: dict[str, Any] = asdict(utterance)
    for name in ("level_dbfs", "tract", "phonemes"):
        del kept[name]
    return PoolRow(key=utterance.key, start=start, samples=samples, error=error, **kept)


def _line(row: PoolRow) -> bytes:
    return json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n"


def _rewrite(path: Path, rows: Sequence[PoolRow]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(b"".join(map(_line, rows)))
    os.replace(temporary, path)
