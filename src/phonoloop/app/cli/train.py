"""`phonoloop train`: train now, and judge what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit, progress
from phonoloop.app.training import submit_training
from phonoloop.app.work import run_and_wait
from phonoloop.core.errors import CancelledError, PhonoloopError
from phonoloop.jobs.model import Job, JobState

if TYPE_CHECKING:  # it brings the runtime of the models along, which a menu does not need
    from phonoloop.app.lm_training import LmOutcome


@click.group()
def train() -> None:
    """Train a model now and judge it against the champion."""


@train.command()
@click.option("--recipe", help="Recipe name (debug, small, base, …) or a YAML file.")
@click.option("--seed", type=int, help="The recipe's if not given.")
@click.option("--epochs", type=click.IntRange(min=1), help="The recipe's if not given.")
@click.option("--from", "initial", default="", help="Start from this model (an id, or `champion`).")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Train on this manifest instead of the curated clips.",
)
@click.option("--detach", is_flag=True, help="Queue it and leave it to `phonoloop up`.")
@common_options
def asr(
    app: App,
    as_json: bool,
    recipe: str | None,
    seed: int | None,
    epochs: int | None,
    initial: str,
    manifest: Path | None,
    detach: bool,
) -> None:
    """Train a recogniser on what has been ingested."""
    job = submit_training(app, recipe=recipe, seed=seed, epochs=epochs, initial=initial, manifest=manifest)
    if not detach:
        with progress("Training", enabled=not as_json) as bar:
            job = run_and_wait(app, job.job_id, lambda j: bar(j.progress, _words(j)))
        raise_unless_done(job)
    emit(as_json, views.plain(job), lambda: _lines(job))


@train.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--order", type=click.IntRange(1, 10), default=4, show_default=True, help="Longest n-gram.")
@click.option(
    "--min-count",
    "min_counts",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1,),
    show_default=True,
    help="Leave out n-grams seen less often: of two words, of three, …; repeatable.",
)
@click.option("--min-word-count", type=click.IntRange(min=1), default=1, help="Rarer words are unknown.")
@common_options
def lm(
    app: App,
    as_json: bool,
    files: tuple[Path, ...],
    order: int,
    min_counts: tuple[int, ...],
    min_word_count: int,
) -> None:
    """Train a language model on FILES (texts), or on the accepted transcripts of the train speakers.

    It becomes the current one unless the champion makes more errors with it on the validation speakers.
    """
    from phonoloop.app.lm_training import LmWish, train_lm

    wish = LmWish(files, order=order, min_counts=min_counts, min_word_count=min_word_count)
    with progress("Training", enabled=not as_json) as bar:
        outcome = train_lm(app, wish, bar)
    emit(as_json, views.plain(outcome), lambda: _lm_lines(outcome))


def _lm_lines(outcome: LmOutcome) -> Iterator[str]:
    about = outcome.metadata
    counts = ", ".join(f"{count:,}" for count in about["counts"])
    yield f"{outcome.lm_id}: {about['order']}-gram of {about['vocabulary']:,} words, n-grams {counts}"
    for source in about["sources"]:
        yield f"  {source['sentences']:,} sentences, {source['words']:,} words of {source['name']}"
        if source["skipped"]:
            first = source["first_skipped"]
            yield f"    {source['skipped']} lines are not UTF-8 and were left out, the first is line {first}"
    if left_out := about["held_out_sentences_left_out"]:
        yield f"  {left_out:,} sentences left out: held-out speakers say them word for word"
    val = about["val"]
    if val["perplexity"]:
        on = f"{val['sentences']:,} validation transcripts"
        yield f"  perplexity {val['perplexity']:.1f} on {on}, {val['unknown_share']:.1%} of words unknown"
    if outcome.tuned:
        yield (
            f"  WER on {outcome.tuned['val_words']:,} words of validation speech: greedy "
            f"{outcome.tuned['val_wer_greedy']:.1%}, beam {outcome.tuned['val_wer_beam']:.1%} "
            f"(alpha {outcome.tuned['alpha']}, beta {outcome.tuned['beta']}, tuned on the same speech)"
        )
    yield f"{'Current now' if outcome.current else 'Not made current'}: {outcome.reason}."


def _words(job: Job) -> str:
    return job.stage if job.state is JobState.RUNNING else f"waiting ({job.state.value})"


def raise_unless_done(job: Job) -> None:
    """A job that failed or was cancelled, as the error it ended with."""
    if job.state is JobState.CANCELLED:
        raise CancelledError("the training was cancelled", code="job.cancelled", subject=job.job_id)
    if job.state is JobState.FAILED:
        raise PhonoloopError(
            str(job.error.get("message", "the training failed")),
            code=str(job.error.get("code", "internal")),
            subject=job.job_id,
            hint=str(job.error.get("hint") or f"`phonoloop jobs log {job.job_id}` shows what it wrote"),
        )


def _lines(job: Job) -> Iterator[str]:
    if not job.state.ended:
        yield f"Queued as job {job.job_id}. `phonoloop up` runs it; `phonoloop jobs show` follows it."
        return
    result = job.result
    verb = "serves now" if result["promoted"] else "was not promoted"
    yield f"{result['model_id']} {verb}: {result['decision'].replace('_', ' ')}. {result['reason']}"
    yield f"`phonoloop models show {result['model_id']}` has its card."
