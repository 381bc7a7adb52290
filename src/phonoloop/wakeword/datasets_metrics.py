"""What `metrics.json` says of a dataset: how much of what there is, how good, and whether it is enough."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.datasets_inspect import DatasetRules
from phonoloop.wakeword.datasets_model import Dataset, DatasetClip

#: from here on one speaker is most of what is there
_ONE_SPEAKER_SHARE = 0.8
_NAMED = 5


def metrics_of(dataset: Dataset, rules: DatasetRules) -> dict[str, Any]:
    """JSON values. Only active clips count, but for `deleted`."""
    active = dataset.active()
    reviewed = max(active, key=lambda clip: clip.reviewed_at, default=None)
    return {
        "dataset_id": dataset.dataset_id,
        "revision": dataset.revision,
        "clips": {label.value: _sums(dataset.active(label)) for label in Label},
        "deleted": sum(clip.deleted for clip in dataset.clips.values()),
        "balance": _balance(dataset),
        "speakers": _speakers(active),
        "clips_without_speaker": sum(not c.speaker for c in active if c.label is not Label.NOISE),
        "flags": {flag: len(clips) for flag, clips in sorted(flagged(dataset).items())},
        "last_reviewer": reviewed.reviewed_by if reviewed else "",
        "last_reviewed_at": reviewed.reviewed_at if reviewed else "",
        "gate": gate_of(dataset, rules),
        "warnings": warnings_of(dataset),
    }


def to_json(dataset: Dataset, rules: DatasetRules) -> bytes:
    return (json.dumps(metrics_of(dataset, rules), ensure_ascii=False, indent=1) + "\n").encode()


def flagged(dataset: Dataset) -> dict[str, list[DatasetClip]]:
    """Flag → the active clips that have it, those that come of other clips included."""
    found: dict[str, list[DatasetClip]] = {}
    for clip in dataset.active():
        for flag in clip.flags:
            found.setdefault(flag, []).append(clip)
    for group in dataset.twins().values():
        flag = "near_duplicate" if len({clip.label for clip in group}) == 1 else "other_label"
        found.setdefault(flag, []).extend(group)
    return found


def flags_of(dataset: Dataset) -> dict[str, list[str]]:
    """Clip id → all its flags; clips without any are left out."""
    found: dict[str, list[str]] = {}
    for flag, clips in flagged(dataset).items():
        for clip in clips:
            found.setdefault(clip.clip_id, []).append(flag)
    return found


def gate_of(dataset: Dataset, rules: DatasetRules) -> dict[str, Any]:
    """Whether there is enough to train on. Copies of clips do not count, nor do deleted ones."""
    counts = {
        "positive": _distinct(dataset, (Label.POSITIVE,)),
        "negative": _distinct(dataset, (Label.NEGATIVE, Label.NOISE)),
    }
    needed = {"positive": rules.min_positives, "negative": rules.min_negatives}
    missing = {name: max(0, needed[name] - counts[name]) for name in counts}
    copies = sum(len(group) - 1 for group in dataset.twins().values())
    return {
        "met": not any(missing.values()),
        "counted": counts,
        "needed": needed,
        "missing": missing,
        "copies_not_counted": copies,
    }


def require_gate(dataset: Dataset, rules: DatasetRules) -> None:
    """Raises InputError `dataset.gate`, counting what is missing."""
    gate = gate_of(dataset, rules)
    if gate["met"]:
        return
    told = [
        f"{gate['counted'][name]} of {gate['needed'][name]} {name} clips"
        for name in ("positive", "negative")
        if gate["missing"][name]
    ]
    copies = f" ({gate['copies_not_counted']} copies are not counted)" if gate["copies_not_counted"] else ""
    more = " and ".join(f"{count} {name}" for name, count in gate["missing"].items() if count)
    raise InputError(
        f"it has {' and '.join(told)}{copies}",
        code="dataset.gate",
        subject=dataset.dataset_id,
        hint=f"Add {more} clips, or lower WAKEWORD_MIN_POSITIVES and WAKEWORD_MIN_NEGATIVES and "
        "expect less of what comes out",
    )


def warnings_of(dataset: Dataset) -> list[str]:
    """What a person should know before training on it, as sentences that name the clips."""
    positives = dataset.active(Label.POSITIVE)
    told = [*_speaker_warnings(positives), *_flag_warnings(dataset)]
    if positives and not dataset.active(Label.NEGATIVE):
        told.append("There are no negative clips: what sounds like the phrase is synthesised only")
    return told


def _speaker_warnings(positives: Sequence[DatasetClip]) -> list[str]:
    known = Counter(clip.speaker for clip in positives if clip.speaker)
    nameless = len(positives) - known.total()
    told = []
    if len(known) == 1 and not nameless and len(positives) > 1:
        told.append(f"All positive clips are of one speaker, {next(iter(known))}: nobody else is known")
    elif known and (top := known.most_common(1)[0])[1] >= _ONE_SPEAKER_SHARE * len(positives):
        told.append(f"{top[1]} of {len(positives)} positive clips are of one speaker, {top[0]}")
    if nameless:
        told.append(f"{nameless} of {len(positives)} positive clips do not say who speaks")
    return told


def _flag_warnings(dataset: Dataset) -> list[str]:
    serious = ("clipped", "mostly_zeros", "low_snr", "near_duplicate", "other_label")
    found = flagged(dataset)
    return [
        f"{len(clips)} clips are flagged {flag}: {_some([clip.clip_id for clip in clips])}"
        for flag in serious
        if (clips := found.get(flag))
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def _distinct(dataset: Dataset, labels: Sequence[Label]) -> int:
    return len({clip.twin for clip in dataset.active() if clip.label in labels})


def _sums(clips: Sequence[DatasetClip]) -> dict[str, Any]:
    return {
        "count": len(clips),
        "minutes": round(sum(clip.duration_s for clip in clips) / 60, 3),
        "speech_minutes": round(sum(clip.speech_s for clip in clips) / 60, 3),
        "duration_s": _spread([clip.duration_s for clip in clips]),
        "speech_s": _spread([clip.speech_s for clip in clips]),
        "snr_db": _spread([clip.snr_db for clip in clips]),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, median, high = (round(float(v), 2) for v in np.percentile(values, (0, 50, 100)))
    return {"min": low, "median": median, "max": high, "mean": round(float(np.mean(values)), 2)}


def _balance(dataset: Dataset) -> float | None:
    """Share of the positives among all, 0 to 1."""
    active = dataset.active()
    return round(len(dataset.active(Label.POSITIVE)) / len(active), 3) if active else None


def _speakers(clips: Sequence[DatasetClip]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for clip in clips:
        if clip.speaker:
            found.setdefault(clip.speaker, Counter())[clip.label.value] += 1
    return {name: dict(sorted(counts.items())) for name, counts in sorted(found.items())}
