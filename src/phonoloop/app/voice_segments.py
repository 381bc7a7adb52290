"""Files to segments, without a voice: for the command that shows how recordings would be cut."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop.audio.decode import Decoder
from phonoloop.audio.wav import WavWriter, read_wav, to_int16, wav_bytes
from phonoloop.core.errors import PhonoloopError
from phonoloop.core.files import require_empty, write_whole
from phonoloop.core.ids import canonical_json
from phonoloop.core.speech import Span
from phonoloop.core.units import samples_to_seconds
from phonoloop.voice.data import RATE_HZ, Segment
from phonoloop.voice.ingest import LIMITS, find_files
from phonoloop.voice.segment import SegmentSettings, dropped, segment_wav

REPORT = "segments.json"


@dataclass(frozen=True, slots=True)
class SegmentedFile:
    """A recording of so many samples at 22,050 Hz, and what it was cut into.

    Attributes:
        clips: the names of the written files, one a segment; empty where none were.
    """

    path: Path
    samples: int
    segments: tuple[Segment, ...]
    clips: tuple[str, ...] = ()

    @property
    def dropped(self) -> list[Span]:
        return dropped(self.segments, self.samples)

    def view(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "rate_hz": RATE_HZ,
            "samples": self.samples,
            "duration_s": round(samples_to_seconds(self.samples, RATE_HZ), 6),
        }

    def segment_views(self) -> list[dict[str, Any]]:
        views = [{"file": str(self.path), **one.to_dict(), **_times(one)} for one in self.segments]
        if not self.clips:
            return views
        return [one | {"clip": clip} for one, clip in zip(views, self.clips, strict=True)]

    def dropped_views(self) -> list[dict[str, Any]]:
        return [
            {"file": str(self.path), "start": gap.start, "end": gap.end, **_times(gap)}
            for gap in self.dropped
        ]


def _times(span: Segment | Span) -> dict[str, float]:
    """To the microsecond, which a sample is 45 of."""
    return {
        "start_s": round(samples_to_seconds(span.start, RATE_HZ), 6),
        "end_s": round(samples_to_seconds(span.end, RATE_HZ), 6),
    }


@dataclass(frozen=True, slots=True)
class Segmented:
    """What came of all files. Spans in its view are samples at 22,050 Hz, each with its file."""

    files: tuple[SegmentedFile, ...]
    refused: tuple[tuple[Path, PhonoloopError], ...]

    def view(self) -> dict[str, Any]:
        refused = [
            {"file": str(path), "code": error.code, "message": error.message, "hint": error.hint}
            for path, error in self.refused
        ]
        return {
            "files": [one.view() for one in self.files],
            "segments": [view for one in self.files for view in one.segment_views()],
            "dropped": [view for one in self.files for view in one.dropped_views()],
            "refused": refused,
        }


def segment_files(
    inputs: Sequence[Path],
    settings: SegmentSettings,
    *,
    out: Path | None = None,
    on_progress: Callable[[float, str], None] = lambda share, words: None,
) -> Segmented:
    """Cuts each file; with `out`, writes every segment as a WAV file there, and `segments.json`.

    Raises:
        NotFoundError: as `find_files`. ConflictError: `export.not_empty`.
        ResourceError: `resource.…`, which is the machine's trouble and no file's.
    """
    files = find_files(inputs)
    if out is not None:
        require_empty(out)
    done: list[SegmentedFile] = []
    refused: list[tuple[Path, PhonoloopError]] = []
    with Decoder(LIMITS) as decoder:
        for number, path in enumerate(files):
            try:
                done.append(_segment_file(path, settings, decoder, _Clips(out, number, len(files))))
            except PhonoloopError as error:
                if error.retryable:
                    raise
                refused.append((path, error))
            on_progress((number + 1) / len(files), path.name)
    found = Segmented(tuple(done), tuple(refused))
    if out is not None:
        write_whole(out / REPORT, canonical_json(found.view()).encode())
    return found


def _segment_file(path: Path, settings: SegmentSettings, decoder: Decoder, clips: _Clips) -> SegmentedFile:
    """By a copy on the disk, so that a recording of hours needs no more memory than one of minutes."""
    with tempfile.TemporaryDirectory(prefix="phonoloop-") as folder:
        copy = Path(folder, "audio.wav")
        with WavWriter(copy, RATE_HZ) as writer:
            decoder.decode_in_blocks(path, writer.write, RATE_HZ)
        segments = tuple(segment_wav(copy, settings))
        return SegmentedFile(path, writer.samples, segments, clips.write(path, copy, segments))


@dataclass(frozen=True, slots=True)
class _Clips:
    """Where those of the `number`th of `count` files are written: its own folder where there are several."""

    out: Path | None
    number: int
    count: int

    def write(self, path: Path, audio: Path, segments: Sequence[Segment]) -> tuple[str, ...]:
        if self.out is None:
            return ()
        folder = "" if self.count == 1 else f"{self.number + 1:03d}-{path.stem}/"
        names = tuple(f"{folder}{one.start:010d}-{one.end:010d}.wav" for one in segments)
        for one, name in zip(segments, names, strict=True):
            pcm = to_int16(read_wav(audio, one.start, one.end))
            write_whole(self.out / name, wav_bytes(pcm, RATE_HZ))
        return names
