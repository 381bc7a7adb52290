"""`phonoloop search`: where something was said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from phonoloop.app.cli.common import App, common_options, emit, progress
from phonoloop.app.searching import hit_view, query_of


@click.command()
@click.argument("text", nargs=-1)
@click.option("--k", default=20, show_default=True, help="How many hits at most.")
@click.option("--min-score", type=float, help="Least cosine of a hit, -1 to 1; 0.7 for whole sentences.")
@click.option("--split", default="", help="Only train, val or test.")
@click.option("--speaker", default="", help="Only what this speaker said.")
@click.option("--min-snr", "min_snr_db", type=float, help="Only clips with this SNR, in dB, or more.")
@click.option("--from", "date_from", default="", help="Taken in on this day or later (2026-11-20).")
@click.option("--to", "date_to", default="", help="Taken in on this day or earlier.")
@click.option("--provenance", default="", help="Only human, sidecar or machine transcripts.")
@click.option("--rebuild", is_flag=True, help="Index every transcript anew.")
@click.option("--retrain", is_flag=True, help="Count anew which words are rare; embed all texts with that.")
@common_options
def search(
    app: App, as_json: bool, text: tuple[str, ...], rebuild: bool, retrain: bool, **asked: Any
) -> None:
    """Find TEXT, or what sounds like it, in all transcripts; its marks may be missing."""
    if not text and not rebuild and not retrain:
        raise click.UsageError("Say what to look for.")
    if rebuild or retrain:
        _maintain(app, as_json and not text, rebuild=rebuild, retrain=retrain)
    if text:
        hits = [hit_view(hit) for hit in app.search.search(query_of(" ".join(text), **asked))]
        emit(as_json, {"query": " ".join(text), "count": len(hits), "hits": hits}, lambda: _lines(hits))


def _maintain(app: App, as_json: bool, *, rebuild: bool, retrain: bool) -> None:
    with progress("Indexing", enabled=not as_json) as tell:
        texts = app.search.rebuild(lambda share: tell(share, "")) if rebuild else 0
        learnt = app.search.retrain(lambda share: tell(share, "")) if retrain else None
    done = {"indexed": texts, "trained_on": learnt.trained_on if learnt else 0}
    said = ([f"{texts} texts indexed."] if rebuild else []) + (
        [f"Learnt from {learnt.trained_on} texts which words are rare."] if learnt else []
    )
    if as_json:
        emit(True, done, list)
    else:
        for line in said:
            click.echo(line, err=True)


def _lines(hits: list[dict[str, Any]]) -> Iterator[str]:
    if not hits:
        yield "Nothing found."
    for hit in hits:
        span = f"{_clock(hit['start_ms'])}-{_clock(hit['end_ms'])}"
        yield (
            f"{hit['score']:5.2f}  {span}  {hit['speaker']}  ({hit['split']}, {hit['provenance']}, "
            f"{hit['snr_db']:.0f} dB)  {hit['original_name'] or hit['audio_id']}"
        )
        yield f"       {_marked(hit['snippet'], hit['matches'])}"


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{rest // 100}"


def _marked(text: str, matches: list[list[int]]) -> str:
    """Matched words underlined on a terminal, in brackets elsewhere."""
    parts, last = [], 0
    for start, end in matches:
        word = text[start:end]
        shown = click.style(word, bold=True, underline=True) if sys.stdout.isatty() else f"[{word}]"
        parts += [text[last:start], shown]
        last = end
    return "".join([*parts, text[last:]])
