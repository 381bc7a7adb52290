"""`phonoloop voice build`: the whole way, or as far as is wanted."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonoloop.app.cli.common import emit

if TYPE_CHECKING:
    from phonoloop.app.settings import Settings
    from phonoloop.training.progress import Progress
    from phonoloop.voice.build import BuildRequest, BuildResult
    from phonoloop.voice.ingest import Given

_SAY_EVERY_S = 15.0
_CONSENT = ("who", "purpose", "date")


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What the voice is called.")
@click.option("--language", required=True, help="A language of espeak-ng: vi, en-us, de, …")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Job folder.")
@click.option(
    "--until",
    type=click.Choice(["segment", "transcribe", "dataset", "train"]),
    default="train",
    show_default=True,
    help="The last stage that is wanted.",
)
@click.option("--recipe", default="default", show_default=True, help="A recipe's name or a YAML file.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Instead of the recipe's; repeatable."
)
@click.option("--speaker", default="", help="Who speaks, for all recordings.")
@click.option("--licence", default="", help="Of all recordings.")
@click.option("--consent-who", default="", help="Who agreed to it.")
@click.option("--consent-purpose", default="", help="What they agreed to.")
@click.option("--consent-date", default="", help="When, as 2026-11-20.")
@click.option("--no-install", is_flag=True, help="Leave the trained voice in OUT; do not install it.")
@click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def build(data_dir: Path | None, no_install: bool, as_json: bool, **options: Any) -> None:
    """From AUDIO (recordings, and folders of them) to clips, texts, a dataset and a voice.

    Transcripts are taken from NAME.txt or NAME.json beside a recording, else heard by the recogniser that
    serves or by ASR_TEACHER. The same command goes on where an earlier one was stopped or killed; with other
    settings it repeats only what they change. Recordings that cannot be used are listed with the reason.
    A trained voice is installed in the data folder: `phonoloop voice say --voice NAME` speaks with it.
    """
    from phonoloop.app.settings import load_settings

    request = _request(options)
    settings = load_settings({"data_dir": data_dir})
    made = _build(request, settings)
    report = {"out": str(request.out_dir), **made.report}
    if request.until == "train" and not no_install:
        report["model_id"] = _install(request.out_dir, settings)
    emit(as_json, report, lambda: _lines(report))


def _request(options: Mapping[str, Any]) -> BuildRequest:
    """Raises ConfigError of the recipe, InputError `voice.name`, `voice.consent`, UnavailableError."""
    from phonoloop.app.voice_jobs import recipe_for
    from phonoloop.app.voice_workshops import check_name
    from phonoloop.voice.build import BuildRequest, Until
    from phonoloop.voice.config import recipe_from_dict

    until = Until(options["until"])
    if until is Until.TRAIN:
        from phonoloop.voice.train import require_piper

        require_piper()
    return BuildRequest(
        inputs=tuple(options["audio"]),
        name=check_name(options["name"]),
        language=options["language"],
        out_dir=options["out"],
        recipe=recipe_from_dict(recipe_for(options["recipe"], dict(map(_override, options["overrides"])))),
        until=until,
        given=_given(options),
    )


def _override(text: str) -> tuple[str, Any]:
    import yaml

    key, sign, value = text.partition("=")
    if not (key and sign):
        raise click.UsageError(f"--set {text}: write it as train.epochs=300.")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise click.UsageError(f"--set {text}: the value is not YAML.") from error


def _given(options: Mapping[str, Any]) -> Given:
    from phonoloop.app.voice_workshops import consent_of
    from phonoloop.voice.ingest import Given

    consent = consent_of({part: options[f"consent_{part}"] for part in _CONSENT})
    return Given(speaker=options["speaker"], licence=options["licence"], consent=consent)


def _build(request: BuildRequest, settings: Settings) -> BuildResult:
    from phonoloop.app.bootstrap import open_app
    from phonoloop.app.voice_tools import voice_tools
    from phonoloop.voice.build import build

    with ExitStack() as stack:
        # a champion can only be in a data folder that is there; looking for one does not make it
        app = stack.enter_context(open_app(settings)) if settings.data_dir.is_dir() else None
        tools = stack.enter_context(voice_tools(settings, request, app))
        return build(request, tools, on_progress=_Teller())


def _install(folder: Path, settings: Settings) -> str:
    from phonoloop.app.bootstrap import open_app
    from phonoloop.app.voice_models import install

    with open_app(settings) as app:
        return install(app, folder).model_id


class _Teller:
    """Says on standard error which stage it is at, and now and then how far."""

    def __init__(self) -> None:
        self._stage, self._said_s = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage == self._stage and now - self._said_s < _SAY_EVERY_S and not progress.epoch_done:
            return
        self._stage, self._said_s = progress.stage, now
        said = f"{progress.fraction:4.0%}  {progress.stage}{_within(progress)}{_left(progress)}"
        print(said, file=sys.stderr, flush=True)


def _within(progress: Progress) -> str:
    if "prepared" in progress.metrics:
        return f" ({progress.metrics['prepared']:.0f} of {progress.metrics['clips']:.0f} clips)"
    return f" (epoch {progress.epoch} of {progress.epochs})" if progress.epochs else ""


def _left(progress: Progress) -> str:
    if progress.eta_s is None:
        return ""
    minutes, seconds = divmod(round(progress.eta_s), 60)
    return f", about {minutes}:{seconds:02d} min left"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    hours = report["hours"]
    yield (
        f"{report['name']} ({report['language']}): {_many(report['recordings'], 'recording')}, "
        f"{hours['recorded'] * 60:.1f} min; {_many(report['segments'], 'segment')}, "
        f"{_many(report['clips'], 'clip')}, {hours['clips'] * 60:.1f} min"
    )
    for name, error in report["refused_recordings"].items():
        yield f"Not used: {name}: {error['message']} [{error['code']}]. {error['hint']}"
    for name, counts in report["unused_recordings"].items():
        yield f"Nothing of {name} is used: {_counts(counts) or 'nobody speaks in it'}"
    yield from _clips_lines(report)
    if report["training"]:
        figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report["training"].items())
        yield f"Training: {figures}"
    yield from (f"Warning: {warning}." for warning in report["warnings"])
    yield f"It lies in {report['out']}"
    if "model_id" in report:
        say = f'phonoloop voice say --voice {report["name"]} "…" -o out.wav'
        yield f"Installed as {report['model_id']}: {say}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _clips_lines(report: dict[str, Any]) -> Iterator[str]:
    from phonoloop.voice.gates import REASONS

    for why, count in report["refused_clips"].items():
        yield f"Refused clips: {count} [{why}]: {REASONS.get(why, why)}"
    told = (
        ("Left out", report["left_out"]),
        ("Marked seconds", report["marked_s"]),
        ("Texts", report["texts"]),
        ("Texts that held what readers of tables stumble over, replaced", report["changed_texts"]),
        ("Splits", report["splits"]),
    )
    for heading, counts in told:
        if counts:
            yield f"{heading}: {_counts(counts)}"


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
