"""`phonoloop demo`: the whole loop, to be watched."""

from __future__ import annotations

import json
from pathlib import Path

import click

from phonoloop.app.cli.common import progress


@click.command()
@click.option(
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Results.",
)
@click.option(
    "--recordings",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Your own recordings: a folder for each speaker, x.txt beside each x.wav.",
)
@click.option("--recipe", default="demo", show_default=True, help="How to train.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def demo(out: Path, recordings: Path | None, recipe: str, as_json: bool) -> None:
    """The whole loop on synthesised Vietnamese or on your recordings.

    First model, more audio, a better model promoted; a candidate trained on shuffled transcripts refused; a
    rollback. Leaves report.json, learning_curves.png, held_out/ and data/ in the folder.
    """
    from phonoloop.app.demo.run import run_demo

    outcome = run_demo(
        out,
        recordings=recordings,
        recipe=recipe,
        say=(lambda line: None) if as_json else click.echo,
        bar=lambda label: progress(label, enabled=not as_json),
    )
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
