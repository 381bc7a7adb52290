"""`phonoloop wakeword evaluate`: what a detector can be believed to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from phonoloop.app.cli.common import emit, progress
from phonoloop.app.settings import load_settings
from phonoloop.core.errors import InputError

_FOLDERS = {"multiple": True, "type": click.Path(path_type=Path)}


@click.command()
@click.option("--model", default="", help="Folder of a detector or of its job, or `current`.")
@click.option("--positives", required=True, **_FOLDERS, help="Clips of the phrase; repeatable.")
@click.option("--negatives", required=True, **_FOLDERS, help="Anything without the phrase; repeatable.")
@click.option("--noise", **_FOLDERS, help="Noise to mix under the phrase; repeatable.")
@click.option(
    "--snr-db", "snrs_db", multiple=True, type=float, help="At this ratio; repeatable, 10 if not given."
)
@click.option("--target-per-hour", default=0.5, show_default=True, help="False accepts an hour to keep.")
@click.option("--max-misses", default=0.05, show_default=True, help="Share of phrases that may be missed.")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), help="Instead of the model's own.")
@click.option("--int8", is_flag=True, help="Judge the 8-bit variant.")
@click.option(
    "--figures", type=click.Path(file_okay=False, path_type=Path), help="Draw ROC, DET, confusion here."
)
@click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(as_json: bool, **options: Any) -> None:
    """Misses and false accepts an hour, counted per event through the detector that ships.

    Every figure comes with what it was counted in and an interval; where that cannot tell whether the
    target is kept, the verdict is "not enough audio" and says how much more would do. Judge on clips and
    recordings that the training did not hear. Speakers, ratios and distances are read from labels.json or
    from a .json beside a clip.
    """
    from phonoloop.wakeword.report import report_lines

    report = _report(as_json=as_json, **options)
    emit(as_json, report, lambda: _lines(report, report_lines(report)))


def _lines(report: dict[str, Any], judged: Iterator[str]) -> Iterator[str]:
    trigger = report["trigger"]
    yield (
        f"{report['model']}: “{report['phrase']}”, fires at {trigger['threshold']:.4g} over "
        f"{trigger['smoothing_steps']} steps."
    )
    yield from judged
    for name, found in report["audio"].items():
        yield from (f"Mind, {name}: {warning}." for warning in found["warnings"])
    yield from (f"Written: {path}" for path in report["figures"])


def _report(
    *,
    as_json: bool,
    model: str,
    positives: Sequence[Path],
    negatives: Sequence[Path],
    noise: Sequence[Path],
    snrs_db: Sequence[float],
    target_per_hour: float,
    max_misses: float,
    threshold: float | None,
    int8: bool,
    figures: Path | None,
    data_dir: Path | None,
) -> dict[str, Any]:
    from phonoloop.wakeword.artefact import model_folder
    from phonoloop.wakeword.evaluate import evaluate as judge
    from phonoloop.wakeword.figures import draw
    from phonoloop.wakeword.infer import WakeModel
    from phonoloop.wakeword.report import to_report
    from phonoloop.wakeword.verdict import Demands

    demands = Demands(target_per_hour, max_misses)
    settings = load_settings({"data_dir": data_dir})
    detector = WakeModel.load(model_folder(model or settings.wake_model, settings.data_dir), int8=int8)
    trigger = detector.trigger if threshold is None else replace(detector.trigger, threshold=threshold)
    with progress("Judging", enabled=not as_json) as bar:
        heard = _read(positives, negatives, noise, bar)
        left_out = _leave_out(heard, detector.metadata["provenance"].get("heard", ()))
        evaluation = judge(
            detector,
            trigger,
            heard["positives"].clips,
            heard["negatives"].clips,
            demands=demands,
            noises=heard["noise"].clips,
            snrs_db=snrs_db or ((10.0,) if noise else ()),
            on_share=bar,
        )
    drawn = draw(evaluation, figures) if figures else []
    return (
        _said_of_model(detector)
        | to_report(evaluation)
        | _said_of(heard, left_out)
        | {"figures": [str(p) for p in drawn]}
    )


def _read(
    positives: Sequence[Path], negatives: Sequence[Path], noise: Sequence[Path], bar: Any
) -> dict[str, Any]:
    """The three kinds of clips.

    Raises:
        InputError: `wakeword.no_clips`, where a folder that was named has none that can be used.
    """
    from phonoloop.audio.decode import Decoder
    from phonoloop.wakeword.clips import Label, read_clips

    given = (
        ("positives", positives, Label.POSITIVE),
        ("negatives", negatives, Label.NEGATIVE),
        ("noise", noise, Label.NOISE),
    )
    with Decoder() as decoder:
        found = {
            name: read_clips(folders, decoder, label=label, on_file=lambda _, path: bar(0.0, path.name))
            for name, folders, label in given
        }
    for name, folders, _ in given:
        if folders and not found[name].clips:
            raise InputError(
                f"none of the {name} can be used",
                code="wakeword.no_clips",
                subject=", ".join(map(str, folders)),
                hint=found[name].refused[0].reason if found[name].refused else "Name folders with audio",
            )
    return found


def _said_of_model(detector: Any) -> dict[str, Any]:
    return {
        "model": detector.model_id,
        "phrase": detector.phrase,
        "folder": str(detector.folder),
        "int8": detector.int8,
    }


def _leave_out(heard: dict[str, Any], marks: Sequence[str]) -> dict[str, int]:
    """Takes away what the model learned from or had its threshold chosen on; says how many of each kind.

    Raises:
        InputError: `wakeword.all_heard`, where nothing is left of a kind.
    """
    from phonoloop.wakeword.clips import unheard

    left_out = {}
    for name, found in list(heard.items()):
        kept = unheard(found.clips, marks)
        left_out[name] = len(found.clips) - len(kept)
        if found.clips and not kept:
            raise InputError(
                f"the model was made from all of the {name}: on them it looks good whatever it does",
                code="wakeword.all_heard",
                hint="Name recordings that were not given to its training",
            )
        heard[name] = replace(found, clips=kept)
    return left_out


def _said_of(heard: dict[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    """What was found in the folders, and what is wrong with it."""
    return {"audio": {name: _said_of_clips(clips, left_out[name]) for name, clips in heard.items()}}


def _said_of_clips(clips: Any, left_out: int) -> dict[str, Any]:
    known = f"{left_out} clips were left out: the model was made from them"
    return {
        "clips": len(clips.clips),
        "seconds": round(clips.duration_s, 3),
        "speakers": len(clips.speakers),
        "left_out": left_out,
        "flagged": clips.flagged,
        "refused": [{"file": one.name, "code": one.code, "reason": one.reason} for one in clips.refused],
        "copies": len(clips.copies),
        "warnings": [known, *clips.warnings()] if left_out else clips.warnings(),
    }
