"""`phonoloop evaluate`: measure a model on a manifest."""

from __future__ import annotations

from pathlib import Path

import click

from phonoloop.app.cli.common import App, common_options, decoding_options, emit, progress
from phonoloop.app.decoding import DecodingWish, decoding
from phonoloop.app.hearing import recogniser_of


@click.group()
def evaluate() -> None:
    """Measure a model on a manifest."""


@evaluate.command()
@click.argument("model")
@click.option(
    "--manifest",
    required=True,
    type=click.Path(path_type=Path),
    help="JSONL: audio_filepath, text, duration, speaker a line; any clips, also never ingested ones.",
)
@click.option("--predictions", type=click.Path(path_type=Path), help="Write what was heard, one JSON a line.")
@decoding_options
@common_options
def asr(
    app: App, as_json: bool, model: str, manifest: Path, predictions: Path | None, wish: DecodingWish
) -> None:
    """WER, CER and syllable error of MODEL (an id, `champion`, or an exported folder)."""
    from phonoloop.app import measuring
    from phonoloop.asr.evaluate import to_report

    recogniser = decoding(app, recogniser_of(app, model), wish)
    with progress("Evaluating", enabled=not as_json) as bar:
        evaluation = measuring.evaluate_manifest(app, recogniser, manifest, bar)
    if predictions:
        measuring.write_predictions(evaluation, predictions)
    report = to_report(evaluation) | {"manifest": str(manifest)}
    emit(as_json, report, lambda: measuring.report_lines(report, str(manifest)))
