"""`phonoloop voice review`: the clips worth a look, and what a person says of them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from phonoloop.app.cli.common import emit, table
from phonoloop.core.clock import utc_now
from phonoloop.voice.metadata import read_texts
from phonoloop.voice.review import (
    Reviewer,
    Waiting,
    accept,
    correct,
    read_corrections,
    reject,
    review_queue,
    settled,
    undo,
)
from phonoloop.voice.texts import ClipText
from phonoloop.voice.transcribe import TranscribeSettings

_ACTIONS = ("list", "accept", "correct", "reject", "undo")
_SHOWN_ID = 10


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.argument("action", type=click.Choice(_ACTIONS), default="list")
@click.argument("clips", nargs=-1)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many are listed.")
@click.option(
    "--min-trust",
    type=click.FloatRange(0, 1),
    default=TranscribeSettings().min_trust,
    show_default=True,
    help="What is trusted less is left out of the training.",
)
@click.option("--by", default="", help="Who says it; the user's name if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def review(
    folder: Path,
    action: str,
    clips: tuple[str, ...],
    *,
    limit: int,
    min_trust: float,
    by: str,
    as_json: bool,
) -> None:
    """The clips of a voice's folder that are worth a look, those first that gain most.

    \b
    review DIR                          list them
    review DIR accept CLIP...           the texts are right
    review DIR correct CLIP "TEXT"      this is what is said
    review DIR reject CLIP...           do not use these clips
    review DIR undo CLIP...             take it back

    A clip may be named by the beginning of its id. What you say is kept in DIR/corrections; the next
    `voice build` uses it without doing other clips again.
    """
    if action == "list":
        _check_none(clips)
        _list(folder, limit, min_trust, as_json=as_json)
        return
    changed = _change(folder, action, clips, by or getpass.getuser())
    emit(as_json, [_view(text) for text in changed], lambda: map(_said_line, changed))


def _check_none(clips: Sequence[str]) -> None:
    if clips:
        raise click.UsageError("`list` takes no clips.")


def _change(folder: Path, action: str, clips: Sequence[str], by: str) -> list[ClipText]:
    reviewer = Reviewer(by, utc_now().isoformat(timespec="seconds"))
    if action == "correct":
        if len(clips) != 2:
            raise click.UsageError('Name one clip and what is said in it: correct CLIP "TEXT".')
        return [correct(folder, *clips, reviewer)]
    if not clips:
        raise click.UsageError(f"Name the clips to {action}.")
    if action == "undo":
        return undo(folder, clips)
    return (accept if action == "accept" else reject)(folder, clips, reviewer)


def _list(folder: Path, limit: int, min_trust: float, *, as_json: bool) -> None:
    texts = settled(read_texts(folder), read_corrections(folder))
    waiting = review_queue(texts, min_trust=min_trust)
    view = {
        "clips": len(texts),
        "waiting": len(waiting),
        "listed": [_view(one.text) | {"gain_s": one.gain_s} for one in waiting[:limit]],
    }
    emit(as_json, view, lambda: _lines(texts, waiting, limit=limit, min_trust=min_trust))


def _view(text: ClipText) -> dict[str, Any]:
    return {
        "clip": text.clip_id,
        "text": text.text,
        "origin": text.origin.value,
        "rejected": text.rejected,
        "duration_s": round(text.duration_s, 3),
        "speaker": text.speaker,
        "trust": text.trust.score,
        "quality": text.quality,
        "second": text.heard.second,
        "doubts": [
            {"kind": one.kind, "factor": one.factor, "detail": one.detail} for one in text.trust.doubts
        ],
    }


def _lines(
    texts: Sequence[ClipText], waiting: Sequence[Waiting], *, limit: int, min_trust: float
) -> Iterator[str]:
    if not waiting:
        yield f"None of the {len(texts)} clips is worth a look."
        return
    rows = [
        (one.text.clip_id[:_SHOWN_ID], f"{one.gain_s:.1f}", f"{one.text.trust.score:.2f}", _why(one.text))
        for one in waiting[:limit]
    ]
    for line, one in zip(_headed(rows), [None, *waiting], strict=False):
        yield line
        if one is not None:
            yield f"    {one.text.text or '(no text)'}"
    left_out = sum(text.trust.score < min_trust for text in texts)
    yield f"{len(waiting)} of {len(texts)} clips are worth a look; {left_out} are left out until then."


def _headed(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    return table(("clip", "gain s", "trust", "why"), rows)


def _why(text: ClipText) -> str:
    return "; ".join(doubt.detail for doubt in text.trust.doubts)


def _said_line(text: ClipText) -> str:
    said = "is not used" if text.rejected else f"{text.origin.value}: {text.text}"
    return f"{text.clip_id[:_SHOWN_ID]}  {said}"
