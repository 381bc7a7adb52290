"""A model card in Markdown, written from the records and nothing else.

The headings follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019
(arXiv:1810.03993). Every figure stands beside what it was measured on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from phonoloop.core.ports import BlobStore, Transaction
from phonoloop.data.model import Split
from phonoloop.registry.lineage import Ancestor, Lineage, lineage_of
from phonoloop.registry.model import Decision, Model, Verdict
from phonoloop.text.syllable_errors import PARTS

_KINDS = {"asr": "A speech recogniser", "wakeword": "A wake word detector", "voice": "A synthetic voice"}
_SHOWN_SPEAKERS = 30
_SHOWN_CONFUSIONS = 3


def model_card(tx: Transaction, blobs: BlobStore, model_id: str) -> str:
    """The card of a model. Raises as `lineage_of`."""
    lineage = lineage_of(tx, blobs, model_id)
    verdicts = tx.find(Verdict, order_by="created_at", candidate_id=model_id)
    sections = (
        _head(lineage),
        _trained_on(lineage),
        _measured(lineage.model, verdicts),
        _verdicts(verdicts),
        _where_from(lineage),
        _limits(lineage, verdicts),
        _recipe(lineage.ancestors[0]),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(lineage: Lineage) -> Iterator[str]:
    model = lineage.model
    yield f"# {model.model_id}"
    yield ""
    yield f"{_KINDS.get(model.kind, model.kind)}, made {model.created_at:%Y-%m-%d %H:%M} UTC."
    yield f"Status: {model.status.value}{', unproven' if model.unproven else ''}."
    for mark, why in sorted(model.marks.items()):
        yield f"\n**Marked** {mark}: {_plain(why)}"


def _trained_on(lineage: Lineage) -> Iterator[str]:
    yield "\n## Trained on\n"
    if not lineage.clips:
        yield "No clips are recorded."
        return
    train = lineage.hours_by("split", Split.TRAIN)
    yield f"- {sum(train.values()):.2f} h in {_clips(lineage)} clips of {len(lineage.speakers)} speakers"
    yield f"- Text from: {_hours(lineage.hours_by('provenance', Split.TRAIN))}"
    yield f"- Licences: {_hours(lineage.hours_by('licence', Split.TRAIN))}"
    yield f"- Checkpoints chosen on: {_hours(lineage.hours_by('split', Split.VAL)) or 'nothing'}"
    names = sorted(set(lineage.speakers.values()))
    more = f" and {len(names) - _SHOWN_SPEAKERS} more" if len(names) > _SHOWN_SPEAKERS else ""
    yield f"- Speakers: {', '.join(names[:_SHOWN_SPEAKERS])}{more}"
    share = _synthetic_share(lineage)
    if share:
        yield f"- **{100 * share:.0f} % of this speech is synthetic**"


def _clips(lineage: Lineage) -> int:
    return len({c.clip_id for c in lineage.clips if c.split is Split.TRAIN})


def _synthetic_share(lineage: Lineage) -> float:
    hours = lineage.hours_by("synthetic", Split.TRAIN)
    return hours.get("True", 0.0) / sum(hours.values()) if sum(hours.values()) else 0.0


def _hours(sums: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {hours:.2f} h" for name, hours in sums.items())


def _measured(model: Model, verdicts: Iterable[Verdict]) -> Iterator[str]:
    yield "\n## Measured\n"
    golden = model.metrics.get("golden")
    if golden:
        yield _figure(golden)
        if golden["synthetic_share"]:
            share = f"{100 * golden['synthetic_share']:.0f} %"
            yield f"- **{share} of these clips are synthetic speech**: the figure says little about people"
        yield from _by_part(golden)
    else:
        yield "On no golden set yet."
    others = {name: value for name, value in sorted(model.metrics.items()) if name != "golden"}
    if others:
        yield "\nFrom the training, on its own validation clips:\n"
        yield from (f"- {name}: {_plain(value)}" for name, value in others.items())
    last = [verdict for verdict in verdicts if verdict.evidence.get("slices")][-1:]
    for verdict in last:
        yield from _slices(verdict)


def _figure(golden: Mapping[str, Any]) -> str:
    spread = _spread(golden["interval"], golden["confidence"])
    return (
        f"- Word error rate **{_rate(golden['rate'])}** ({spread}), {golden['errors']:,} errors in "
        f"{golden['words']:,} words, {golden['utterances']:,} clips, {golden['speakers']} speakers\n"
        f"- Measured on golden set `{golden['measured_on']}` (sha256 `{golden['golden_sha256']}`), "
        f"normaliser `{golden['normaliser_version']}`"
    )


def _by_part(golden: Mapping[str, Any]) -> Iterator[str]:
    """Errors by tone, onset and rime, and what was taken for what."""
    if "parts" not in golden:
        return
    confidence = golden["confidence"]
    yield "\nErrors by part of the syllable, as shares of the syllables that were said:\n"
    yield "| | tone | onset | rime |"
    yield "|---|---|---|---|"
    yield _part_row("all", golden["parts"], confidence)
    for dialect, parts in golden.get("parts_by_dialect", {}).items():
        yield _part_row(dialect, parts, confidence)
    confused = [
        f"{one['said']} → {one['heard']} ({one['times']}×)"
        for part in PARTS
        for one in [c for c in golden["parts"]["confusions"] if c["part"] == part][:_SHOWN_CONFUSIONS]
    ]
    if confused:
        yield f"\nMost often taken for another (tones, onsets, rimes): {', '.join(confused)}"
    if golden["parts"]["misspelled"]:
        yield f"\n{golden['parts']['misspelled']:,} of the words that it heard are no Vietnamese syllables"


def _part_row(name: str, parts: Mapping[str, Any], confidence: float) -> str:
    cells = []
    for part in PARTS:
        rate = parts[part]
        interval = None if rate["low"] is None else (rate["low"], rate["high"])
        cells.append(f"{_rate(rate['rate'])} of {rate['reference']:,} ({_spread(interval, confidence)})")
    return f"| {name} | {' | '.join(cells)} |"


def _spread(interval: Sequence[float] | None, confidence: float) -> str:
    if interval is None:
        return "one speaker: no interval"
    return f"{100 * confidence:g} % interval {_rate(interval[0])} to {_rate(interval[1])}, over speakers"


def _slices(verdict: Verdict) -> Iterator[str]:
    yield f"\nAgainst {verdict.champion_id}, by slice of `{verdict.golden_set}` (minus is fewer errors):\n"
    yield "| slice | words | speakers | change in points | |"
    yield "|---|---|---|---|---|"
    for part in verdict.evidence["slices"]:
        yield (
            f"| {part['name']}: {part['value']} | {part['words']:,} | {part['speakers']} | "
            f"{100 * part['difference']:+.2f} | {part['state'].replace('_', ' ')} |"
        )


def _verdicts(verdicts: Iterable[Verdict]) -> Iterator[str]:
    yield "\n## Verdicts\n"
    lines = [_verdict(verdict) for verdict in verdicts]
    yield from lines or ["Not judged yet."]


def _verdict(verdict: Verdict) -> str:
    against = f"against {verdict.champion_id}" if verdict.champion_id else "with no model before it"
    act = "promoted" if verdict.promoted else "not promoted"
    decision = verdict.decision.value.replace("_", " ")
    return f"- {verdict.created_at:%Y-%m-%d} {against}: **{decision}**, {act}. {verdict.reason}."


def _where_from(lineage: Lineage) -> Iterator[str]:
    yield "\n## Where it comes from\n"
    for place, ancestor in enumerate(lineage.ancestors):
        yield _training(ancestor, began_with=place > 0)
    yield from (f"- Gap: {gap}" for gap in lineage.gaps)


def _training(ancestor: Ancestor, *, began_with: bool) -> str:
    model, run = ancestor.model, ancestor.run
    name = f"Began with {model.model_id}: run" if began_with else "Run"
    told = f"seed {run.seed}, code {run.code_version}" if run else "not recorded"
    return f"- {name} `{model.run_id}` ({told}), snapshot `{model.snapshot_id}`"


def _limits(lineage: Lineage, verdicts: Iterable[Verdict]) -> Iterator[str]:
    yield "\n## Limits\n"
    yield from (f"- {sentence}" for sentence in _what_limits(lineage, list(verdicts)))


def _what_limits(lineage: Lineage, verdicts: list[Verdict]) -> Iterator[str]:
    if lineage.model.unproven:
        missing = "; ".join(text for verdict in verdicts[-1:] for text in verdict.evidence.get("missing", ()))
        yield f"Unproven: it serves because nothing came before it. Missing: {missing or 'a golden set'}."
    if lineage.model.metrics.get("golden"):
        yield "It was measured on the speakers of the golden set; others may be understood less well."
    else:
        yield "Its error rate on people it never heard is not known."
    if _synthetic_share(lineage):
        yield "It learned from synthetic speech; expect more errors on people, rooms and microphones."
    machine = lineage.hours_by("provenance", Split.TRAIN).get("machine", 0.0)
    if machine:
        yield f"{machine:.2f} h of its training text was written by a machine and may repeat its mistakes."
    if "unstated" in lineage.licences:
        yield "Some of its recordings state no licence: find out before passing it on."
    if any(verdict.decision is Decision.WORSE for verdict in verdicts):
        yield "It was found worse than a champion (see above)."


def _recipe(ancestor: Ancestor) -> Iterator[str]:
    yield "\n## Recipe and files\n"
    if ancestor.run is not None:
        yield "```json"
        yield json.dumps(ancestor.run.recipe, ensure_ascii=False, indent=1, sort_keys=True)
        yield "```\n"
    for name, sha256 in sorted(ancestor.model.files.items()):
        yield f"- `{name}` sha256 `{sha256}`"


def _rate(value: float) -> str:
    return f"{100 * value:.2f} %"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, Mapping) else str(value)
