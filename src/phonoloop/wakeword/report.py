"""What a judgement says, as JSON for programs and in sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from phonoloop.wakeword.evaluate import WakeEvaluation
from phonoloop.wakeword.verdict import Outcome

_GROUPS_SHOWN, _LISTED = 4, 10
_HEADLINES = {
    Outcome.GOOD: "Good: it keeps what was asked of it",
    Outcome.ACCEPTS: "Accepts too much",
    Outcome.MISSES: "Misses too much",
    Outcome.NOT_ENOUGH: "Not enough audio to say",
}


def to_report(evaluation: WakeEvaluation) -> dict[str, Any]:
    """All of it as JSON values."""
    return to_summary(evaluation) | {
        "groups": {name: [group.to_dict() for group in groups] for name, groups in evaluation.groups.items()},
        "fired": [asdict(one) for one in evaluation.fired],
        "missed": [asdict(one) for one in evaluation.missed],
        "elsewhere": [asdict(one) for one in evaluation.elsewhere],
        "outliers": list(evaluation.outliers),
        "curve": [point.to_dict() for point in evaluation.curve],
    }


def to_summary(evaluation: WakeEvaluation) -> dict[str, Any]:
    """The figures, without the lists that name clips: what goes along with an exported model."""
    return {
        "verdict": evaluation.verdict.to_dict(),
        "demands": asdict(evaluation.demands),
        "trigger": evaluation.trigger.to_dict(),
        "false_accepts": evaluation.accepts.to_dict() | {"hours_of_sound": evaluation.hours_of_sound},
        "misses": evaluation.misses.to_dict(),
        "misses_at_snr_db": {f"{snr_db:g}": rate.to_dict() for snr_db, rate in evaluation.noisy.items()},
        "clips": evaluation.clips.to_dict(),
        "latency": asdict(evaluation.latency) if evaluation.latency else None,
        "repeats": evaluation.repeats,
        "worst_groups": {
            name: groups[0].to_dict() for name, groups in evaluation.groups.items() if len(groups) > 1
        },
        "warnings": list(evaluation.warnings),
    }


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """What `to_report` says, for a person."""
    yield f"{_HEADLINES[Outcome(report['verdict']['outcome'])]}."
    yield ""
    yield from (f"  {line}" for line in figure_lines(report))
    yield from _groups(report["groups"])
    yield from _lists(report)
    if report["warnings"]:
        yield ""
        yield from (f"Mind: {warning}." for warning in report["warnings"])


def figure_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The figures of `to_report` or `to_summary`, a sentence each."""
    yield from (f"{reason[0].upper()}{reason[1:]}." for reason in summary["verdict"]["reasons"])
    for snr_db, rate in summary["misses_at_snr_db"].items():
        yield f"With noise at {snr_db} dB it misses {rate['text']}."
    yield from _latency(summary["latency"])
    yield from _clips(summary["clips"])


def _latency(latency: Mapping[str, Any] | None) -> Iterator[str]:
    if latency:
        yield (
            f"It fires {latency['median_ms']:.0f} ms after the end of the phrase, "
            f"{latency['p95_ms']:.0f} ms in one of twenty ({latency['clips']} clips)."
        )


def _clips(clips: Mapping[str, Any]) -> Iterator[str]:
    if clips["accuracy"] is None or clips["precision"] is None:
        return
    yield (
        "As single decisions about clips: "
        + ", ".join(f"{name} {100 * clips[name]:.1f} %" for name in ("accuracy", "precision", "recall"))
        + f", F1 {clips['f1']:.3f}."
    )


def _groups(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for name, found in groups.items():
        worst = [group for group in found if group["missed"]][:_GROUPS_SHOWN]
        if len(found) > 1 and worst:
            yield ""
            yield f"Misses by {name}, worst first:"
            yield from (f"  {group['value']:24} {group['text']}" for group in worst)


def _lists(report: Mapping[str, Any]) -> Iterator[str]:
    fired = [f"{one['at_s']:8.2f} s  {one['score']:.3f}  {one['name']}" for one in report["fired"]]
    missed = [f"{one['score']:.3f}  {one['name']}" for one in report["missed"]]
    yield from _listed("Fired without the phrase; listen to", fired)
    yield from _listed("Missed", missed)


def _listed(title: str, rows: Sequence[str]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"{title}:"
    yield from (f"  {row}" for row in rows[:_LISTED])
    if len(rows) > _LISTED:
        yield f"  and {len(rows) - _LISTED} more (--json lists them all)"
