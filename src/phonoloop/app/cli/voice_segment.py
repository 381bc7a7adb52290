"""`phonoloop voice segment`: recordings cut at their pauses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonoloop.app.cli.common import emit, error_body, exit_code, progress, table

if TYPE_CHECKING:
    from phonoloop.app.voice_segments import Segmented

_MIN_S = 1.0
_FORCED = "cut where nobody pauses"


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--max-s", type=float, default=12.0, show_default=True, help="The longest segment, in seconds.")
@click.option(
    "--min-s", type=float, help="Shorter ones are joined where they fit. [1, at most half of the longest]"
)
@click.option(
    "--method",
    type=click.Choice(["rolling", "global"]),
    default="rolling",
    show_default=True,
    help="What is quiet: beside what is around it, or in the whole recording.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each segment as WAV and segments.json into this folder, which has to be empty.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def segment(
    audio: tuple[Path, ...], max_s: float, min_s: float | None, method: str, out: Path | None, as_json: bool
) -> None:
    """Cut AUDIO at its pauses: files that hold sound, and folders with such files at any depth.

    Says where each segment begins and ends in its recording, in seconds and in samples at 22,050 Hz, and
    what is dropped as silence. A segment that had to be cut where nobody pauses is marked. Files that cannot
    be used are listed; the exit code tells of the worst.
    """
    from phonoloop.app.voice_segments import segment_files
    from phonoloop.voice.segment import SegmentSettings

    shortest_s = min(_MIN_S, max_s / 2) if min_s is None else min_s
    settings = SegmentSettings(max_s=max_s, min_s=shortest_s, method=method)
    with progress("Cutting", enabled=not as_json) as bar:
        found = segment_files(audio, settings, out=out, on_progress=bar)
    emit(as_json, found.view(), lambda: _lines(found))
    raise SystemExit(max((exit_code(error) for _, error in found.refused), default=0))


def _lines(found: Segmented) -> Iterator[str]:
    for one in found.files:
        segments = one.segment_views()
        yield f"{one.path}: {_count(segments)}, {_seconds(segments):.1f} of {one.view()['duration_s']:.1f} s"
        rows = [_row(number, each) for number, each in enumerate(segments, start=1)]
        yield from table(["no.", "from s", "to s", "length s", ""], rows)
    if found.refused:
        yield f"{len(found.refused)} cannot be used:"
    for path, error in found.refused:
        body = error_body(error)
        yield f"  {path}: {body['message']} [{body['code']}]"


def _row(number: int, each: dict[str, Any]) -> list[Any]:
    note = _FORCED if each["forced_cut"] else ""
    times = (each["start_s"], each["end_s"], _seconds([each]))
    return [number, *(f"{time_s:.2f}" for time_s in times), note]


def _seconds(segments: list[dict[str, Any]]) -> float:
    return sum(each["end_s"] - each["start_s"] for each in segments)


def _count(segments: list[dict[str, Any]]) -> str:
    forced = sum(each["forced_cut"] for each in segments)
    note = f" ({forced} of them {_FORCED})" if forced else ""
    return f"{len(segments)} segment{'' if len(segments) == 1 else 's'}{note}"
