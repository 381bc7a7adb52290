"""The card of a voice: who speaks, who agreed to what, what it was made of and how it was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def card(report: Mapping[str, Any]) -> str:
    """Markdown, from what `build` reports and nothing else."""
    sections = (_head(report), _consent(report), _material(report), _training(report), _limits(report))
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {report['name']}"
    yield ""
    speakers = ", ".join(sorted(report["speakers"])) or "nobody who is named"
    yield f"A synthetic voice for {report['language']}. It imitates {speakers}."
    yield f"Manifest `{report['manifest_id']}`, job `{report['job_id']}`."


def _consent(report: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Consent and licences\n"
    for one in report["sources"]:
        yield f"- {one['name']} (`{one['source_id'][:12]}`): {_agreed(one['consent'])}; {_licence(one)}"


def _agreed(consent: Mapping[str, str] | None) -> str:
    if consent is None:
        return "**no consent is recorded**"
    return f"{consent['who']} agreed on {consent['date']} to: {consent['purpose']}"


def _licence(source: Mapping[str, Any]) -> str:
    return f"licence {source['licence']}" if source["licence"] else "no licence is stated"


def _material(report: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Made of\n"
    hours = report["hours"]
    yield f"- {hours['clips']:.3f} h in {report['clips']} clips, of {hours['recorded']:.3f} h recorded"
    texts = ", ".join(f"{origin} {count}" for origin, count in sorted(report["texts"].items()))
    yield f"- Texts by: {texts or 'nobody'}"
    if report["refused_clips"]:
        told = ", ".join(f"{why} {count}" for why, count in sorted(report["refused_clips"].items()))
        yield f"- Not used: {told}"


def _training(report: Mapping[str, Any]) -> Iterator[str]:
    training = report.get("training")
    if not training:
        return
    yield "\n## Training\n"
    for name, value in training.items():
        yield f"- {name.replace('_', ' ')}: {_shown(value)}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _limits(report: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Limits\n"
    yield "- It can say things that this person never said: tell listeners that it is synthetic."
    if without_consent(report):
        yield "- Not everybody heard in it is known to agree: find out before it is passed on."
    yield from (f"- {warning}" for warning in report["warnings"])


def without_consent(report: Mapping[str, Any]) -> list[str]:
    """Names of the recordings for which no consent is recorded."""
    return [one["name"] for one in report["sources"] if one["consent"] is None]
