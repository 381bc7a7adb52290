"""`phonoloop voice review`: the clips worth a look, and what a person says of them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from phonoloop.app.cli.common import emit, table
from phonoloop.app.voice_review import ACTIONS, review_view, text_view
from phonoloop.core.clock import utc_now
from phonoloop.voice.coverage import rarity as rarity_of
from phonoloop.voice.review import Reviewer, accept, correct, reject, undo
from phonoloop.voice.texts import ClipText
from phonoloop.voice.transcribe import TranscribeSettings

_SHOWN_ID = 10


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.argument("action", type=click.Choice(("list", *ACTIONS)), default="list")
@click.argument("clips", nargs=-1)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many are listed.")
@click.option(
    "--min-trust",
    type=click.FloatRange(0, 1),
    default=TranscribeSettings().min_trust,
    show_default=True,
    help="What is trusted less is left out of the training.",
)
@click.option(
    "--rare-sounds", is_flag=True, help="Clips with sounds that the others lack gain more (needs espeak)."
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
    rare_sounds: bool,
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
    if action != "list":
        changed = _change(folder, action, clips, by or getpass.getuser())
        emit(as_json, changed, lambda: map(_said_line, changed))
        return
    if clips:
        raise click.UsageError("`list` takes no clips.")
    rarity = {"rarity": _rarity} if rare_sounds else {}
    view = review_view(folder, limit=limit, min_trust=min_trust, **rarity)
    emit(as_json, view, lambda: _lines(view))


def _change(folder: Path, action: str, clips: Sequence[str], by: str) -> list[dict[str, Any]]:
    reviewer = Reviewer(by, utc_now().isoformat(timespec="seconds"))
    if action == "correct":
        if len(clips) != 2:
            raise click.UsageError('Name one clip and what is said in it: correct CLIP "TEXT".')
        return [text_view(correct(folder, *clips, reviewer))]
    if not clips:
        raise click.UsageError(f"Name the clips to {action}.")
    if action == "undo":
        changed = undo(folder, clips)
    else:
        changed = (accept if action == "accept" else reject)(folder, clips, reviewer)
    return [text_view(text) for text in changed]


def _rarity(texts: Sequence[ClipText]) -> dict[str, float]:
    """Of the clips of each language among themselves."""
    from phonoloop.adapters.espeak import EspeakSynthesizer

    found: dict[str, float] = {}
    with EspeakSynthesizer() as espeak:
        for language in sorted({text.language for text in texts}):
            found |= rarity_of([text for text in texts if text.language == language], espeak, language)
    return found


def _lines(view: dict[str, Any]) -> Iterator[str]:
    if not view["waiting"]:
        yield f"None of the {view['clips']} clips is worth a look."
        return
    rows = [
        (one["clip"][:_SHOWN_ID], f"{one['gain_s']:.1f}", f"{one['trust']:.2f}", _why(one))
        for one in view["listed"]
    ]
    heading, *lines = table(("clip", "gain s", "trust", "why"), rows)
    yield heading
    for line, one in zip(lines, view["listed"], strict=True):
        yield line
        yield f"    {one['text'] or '(no text)'}"
    yield f"{view['waiting']} of {view['clips']} clips are worth a look."


def _why(one: dict[str, Any]) -> str:
    return "; ".join(doubt["detail"] for doubt in one["doubts"])


def _said_line(one: dict[str, Any]) -> str:
    said = "is not used" if one["rejected"] else f"{one['origin']}: {one['text']}"
    return f"{one['clip'][:_SHOWN_ID]}  {said}"
