"""Evaluation of any recogniser on any manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.asr.evaluate import Evaluation, evaluate
from phonoloop.core.speech import Transcriber
from phonoloop.data.manifest import read_manifest
from phonoloop.text.syllable_errors import PARTS

_CONFUSIONS_SHOWN = 5


def evaluate_manifest(
    app: App, recogniser: Transcriber, manifest: Path, on_progress: Callable[[float, str], None]
) -> Evaluation:
    """Hears every row; audio paths are absolute, or relative to the manifest's or the data folder."""
    rows = read_manifest(manifest)
    return evaluate(
        recogniser,
        rows,
        [manifest.resolve().parent, app.data_dir],
        language=app.settings.language,
        on_progress=lambda done, total: on_progress(done / max(1, total), f"{done} of {total}"),
    )


def write_predictions(evaluation: Evaluation, path: Path) -> None:
    """One JSON object a line: clip, speaker, reference, hypothesis, confidence, errors, words."""
    with path.open("w", encoding="utf-8") as out:
        for one in evaluation.utterances:
            line = {
                "clip": one.key,
                "speaker": one.speaker,
                "reference": one.reference,
                "hypothesis": one.hypothesis,
                "confidence": None if one.confidence is None else round(one.confidence, 4),
                "errors": one.scores.words.errors,
                "words": one.scores.words.reference,
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def report_lines(report: dict[str, Any], manifest: str) -> Iterator[str]:
    """An evaluation's report for a person: rates with intervals, on what, then the slices."""
    size = f"{report['clips']} clips, {report['speakers']} speakers, {report['hours']:.2f} h"
    yield f"{report['model_version']} on {manifest}: {size}"
    for label, name in (("WER", "wer"), ("CER", "cer"), ("Syllable error", "syllable_error")):
        yield f"  {label:<15}{rate_words(report[name])}"
    yield from _part_lines(report["parts"], "  ")
    yield from _confidence_lines(report["confidences"])
    yield f"  Normaliser {report['normaliser_version']}; intervals: 95 %, over speakers"
    for name, parts in report["slices"].items():
        for value, part in parts.items():
            yield f"  WER where {name} is {value}: {rate_words(part['wer'])}, {part['speakers']} speakers"
            if name == "dialect":
                yield from _part_lines(part["parts"], "    ")
    for key, code, reason in report["failed"][:20]:
        yield f"  Not heard: {key} [{code}] {reason}"


def _part_lines(parts: dict[str, Any] | None, margin: str) -> Iterator[str]:
    """Errors by tone, onset and rime, and what was taken for what most often."""
    if parts is None:
        return
    for part in PARTS:
        yield f"{margin}{f'{part.capitalize()} error':<15}{rate_words(parts[part])}"
        confused = [one for one in parts["confusions"] if one["part"] == part][:_CONFUSIONS_SHOWN]
        if confused:
            yield f"{margin}  heard as: {', '.join(map(confusion_words, confused))}"
    if parts["misspelled"]:
        yield f"{margin}{parts['misspelled']:,} of the words that were heard are no Vietnamese syllables"


def confusion_words(one: dict[str, Any]) -> str:
    """`ngã → hỏi 12×`; · is no onset."""
    return f"{one['said']} → {one['heard']} {one['times']}×"


def _confidence_lines(report: dict[str, Any] | None) -> Iterator[str]:
    """Expected calibration error, and the bins it comes from."""
    if report is None:
        yield "  Confidences    the recogniser gives none"
        return
    kind = "calibrated" if report["calibrated"] else "uncalibrated"
    yield f"  Confidences    off by {report['ece']:.1%} (ECE) over {report['words']:,} words, {kind}"
    for part in report["bins"]:
        yield (
            f"    {part['low']:.1f} to {part['high']:.1f}: {part['confidence']:.2f} on average, "
            f"{part['right']:.1%} of {part['words']:,} right"
        )


def rate_words(rate: dict[str, Any]) -> str:
    """`12.3 % (10.1 to 14.8) of 1,234`."""
    spread = "" if rate["low"] is None else f" ({rate['low']:.1%} to {rate['high']:.1%})"
    return f"{rate['rate']:.1%}{spread} of {rate['reference']:,}"
