"""`phonoloop wakeword train`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonoloop.app.cli.common import emit
from phonoloop.app.cli.many import ManyValues

if TYPE_CHECKING:
    from phonoloop.training.progress import Progress
    from phonoloop.wakeword.build import BuildRequest

_SAY_EVERY_S = 15.0
_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(exists=True, path_type=Path)


@click.command(cls=ManyValues)
@click.option("--phrase", help="What is to be heard; a dataset says it itself.")
@click.option("--language", default="en", show_default=True, help="A language of espeak-ng: en-us, vi, de, …")
@click.option("--positives", multiple=True, type=_FOLDER, help="Clips of the phrase; else synthesis alone.")
@click.option("--negatives", multiple=True, type=_FOLDER, help="Other speech; several folders may follow.")
@click.option("--noise", multiple=True, type=_FOLDER, help="Noise; several folders may follow.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Job folder.")
@click.option("--dataset", "dataset_id", default="", help="Train on this dataset, as a job, and install it.")
@click.option("--negative-dataset", "negative_datasets", multiple=True, help="Its clips are negatives too.")
@click.option("--detach", is_flag=True, help="With --dataset: queue it and leave it to `phonoloop up`.")
@click.option("--recipe", default="default", show_default=True, help="A recipe's name or a YAML file.")
@click.option("--seed", type=click.IntRange(min=0), help="The recipe's if not given.")
@click.option("--no-synthesis", is_flag=True, help="Learn from recordings alone.")
@click.option("--piper-voice", multiple=True, type=_FILE, help="A Piper voice (.onnx) or a folder of them.")
@click.option("--rejects", type=_FILE, help="negatives.tsv of `wakeword negatives`, with what you rejected.")
@click.option("--continue-from", default="", help="An earlier detector to start from: folder or `current`.")
@click.option("--embedding", type=_FILE, help="Folder of the speech embedding's two ONNX files.")
@click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def train(
    as_json: bool,
    piper_voice: tuple[Path, ...],
    dataset_id: str,
    negative_datasets: tuple[str, ...],
    detach: bool,
    **options: Any,
) -> None:
    """Train a detector for a phrase: check, synthesise, learn, choose a threshold, measure, export.

    The same command goes on where an earlier one was stopped or killed. What comes out is in OUT/export;
    trained on a dataset, it is installed in the data folder, and serves if it is shown to be better.
    """
    if dataset_id:
        _train_dataset(dataset_id, negative_datasets, options, detach=detach, as_json=as_json)
        return
    if not (options["phrase"] and options["out"]):
        raise click.UsageError("Give --phrase and --out, or --dataset.")
    from phonoloop.app.voices import voices_at_hand
    from phonoloop.audio.decode import Decoder
    from phonoloop.wakeword.build import build

    request = _request(options)
    with (
        voices_at_hand(piper_voice, workers=request.recipe.workers) as (espeak, synthesizers),
        Decoder() as decoder,
    ):
        made = build(
            request,
            synthesizers=synthesizers,
            phonemiser=espeak,
            decoder=decoder,
            on_progress=_Teller(),
        )
    emit(as_json, {"model_id": made.model_id, **made.report}, lambda: _lines(made.report))


def _train_dataset(
    dataset_id: str, others: tuple[str, ...], options: dict[str, Any], *, detach: bool, as_json: bool
) -> None:
    from phonoloop.app.cli.wakeword_job import train_dataset
    from phonoloop.app.wakeword_training import WakeWish

    named = ("phrase", "out", "positives", "negatives", "noise", "rejects", "embedding")
    if given := [f"--{name}" for name in named if options[name]]:
        raise click.UsageError(f"{', '.join(given)} does not go with --dataset.")
    wish = WakeWish(
        dataset_id=dataset_id,
        recipe=options["recipe"],
        overrides={} if options["seed"] is None else {"seed": options["seed"]},
        negative_datasets=others,
        initial=options["continue_from"],
        synthesise=not options["no_synthesis"],
    )
    train_dataset(wish, data_dir=options["data_dir"], detach=detach, as_json=as_json)


def _request(options: dict[str, Any]) -> BuildRequest:
    """Raises ConfigError of the recipe, NotFoundError of the earlier detector."""
    from phonoloop.app.settings import load_settings
    from phonoloop.wakeword.artefact import model_folder
    from phonoloop.wakeword.build import BuildRequest
    from phonoloop.wakeword.config import load_recipe
    from phonoloop.wakeword.inputs import Sources
    from phonoloop.wakeword.rejects import rejected_texts

    recipe = load_recipe(options["recipe"])
    if options["seed"] is not None:
        recipe = replace(recipe, seed=options["seed"])
    earlier = options["continue_from"]
    data_dir = load_settings({"data_dir": options["data_dir"]}).data_dir
    return BuildRequest(
        phrase=options["phrase"],
        language=options["language"],
        out_dir=options["out"],
        recipe=recipe,
        sources=Sources(options["positives"], options["negatives"], options["noise"]),
        synthesise=not options["no_synthesis"],
        reject_texts=tuple(rejected_texts(options["rejects"])) if options["rejects"] else (),
        continue_from=model_folder(earlier, data_dir) if earlier else None,
        embedding_dir=options["embedding"],
    )


class _Teller:
    """Says on standard error which stage it is at, and now and then how far."""

    def __init__(self) -> None:
        self._stage, self._said_s = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage == self._stage and now - self._said_s < _SAY_EVERY_S:
            return
        self._stage, self._said_s = progress.stage, now
        left = "" if progress.eta_s is None else f", about {_clock(progress.eta_s)} left"
        epoch = f" (epoch {progress.epoch} of {progress.epochs})" if progress.epochs else ""
        print(f"{progress.fraction:4.0%}  {progress.stage}{epoch}{left}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    from phonoloop.wakeword.card import in_a_line
    from phonoloop.wakeword.report import report_lines

    network, trigger = report["provenance"]["network"], report["trigger"]
    yield f"{report['model_id']}: “{report['phrase']}” ({report['language']}), {network['why']}"
    yield f"  {network['parameters']:,} parameters, {network['trained_parameters']:,} of them trained here"
    yield (
        f"  fires at {trigger['threshold']:.4f}, averaged over {trigger['smoothing_steps']} steps of 80 ms, "
        f"then not for {trigger['cooldown_s']:g} s"
    )
    yield "Measured on what neither training nor the choice of the threshold heard:"
    yield from report_lines(report["evaluation"])
    yield f"The int8 variant, at the same threshold: {in_a_line(report['int8_evaluation'])}"
    known = report["evaluation"]["warnings"]
    yield from (f"Warning: {warning}" for warning in report["warnings"] if warning not in known)
    yield f"Export: {report['export']}"
