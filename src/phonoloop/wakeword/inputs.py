"""What a training is given, looked at before any work is done: what can be used, what cannot, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.core.errors import InputError
from phonoloop.core.ids import content_id
from phonoloop.data.split import SplitRule
from phonoloop.wakeword.clip_flags import SILENT, TOO_LONG, TOO_SHORT
from phonoloop.wakeword.clips import AudioDecoder, ClipSet, Label, Refused, WakeClip, read_clips, without
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.data import Material
from phonoloop.wakeword.division import copies_among, divide, divide_recordings
from phonoloop.wakeword.ends import phrase_span

#: clips of the phrase with these flags are left out
_UNUSABLE = (SILENT, TOO_SHORT, TOO_LONG)
#: a long recording counts as so many clips as it has stretches of this
_CLIP_S = 3.0
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders (or files) of clips: of the phrase, of anything else that is said, of noise."""

    positives: tuple[Path, ...] = ()
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What can be used.

    Attributes:
        material: divided into what is learned from, tuned on and reported about.
        warnings: a sentence each, naming clips.
        licences: of the clips, by folder.
        counts: for the report.
    """

    material: Material
    warnings: tuple[str, ...]
    licences: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def material_id(self) -> str:
        """Names the samples and their sides."""
        sides = (self.material.phrase, self.material.negatives, self.material.noise)
        return content_id(
            [
                [clip.clip_id for clip in part]
                for side in sides
                for part in (side.train, side.tune, side.report)
            ]
        )


def read_inputs(sources: Sources, recipe: WakeRecipe, decoder: AudioDecoder) -> Inputs:
    """Reads all clips, leaves out what cannot be used, and divides the rest.

    A label that lies beside a clip counts for more than the folder it was found in. A clip that was
    given as the phrase and as something else is left out of the latter.

    Raises:
        InputError: `wakeword.gate`, naming what is wrong with how many.
        NotFoundError: `wakeword.no_folder`.
    """
    sets = [
        read_clips(folders, decoder, label=label)
        for folders, label in (
            (sources.positives, Label.POSITIVE),
            (sources.negatives, Label.NEGATIVE),
            (sources.noise, Label.NOISE),
        )
    ]
    by_label = {label: _labelled(sets, label) for label in Label}
    usable, left_out = _usable(by_label[Label.POSITIVE])
    refused = [one for each in sets for one in each.refused]
    negatives = without(by_label[Label.NEGATIVE], by_label[Label.POSITIVE])
    noise = without(by_label[Label.NOISE], (*by_label[Label.POSITIVE], *negatives))
    if sources.positives:
        _gate("of the phrase", len(usable), recipe.gate.min_positives, [*left_out, *refused])
    _gate("without the phrase", count_clips((*negatives, *noise)), recipe.gate.min_negatives, refused)
    material = _divided(usable, negatives, noise, recipe)
    return Inputs(
        material,
        tuple(_warnings(material, sets, left_out, len(by_label[Label.NEGATIVE]) - len(negatives))),
        {source: licence for each in sets for source, licence in each.licences.items()},
        _counts(material, left_out, refused),
    )


def _labelled(sets: Sequence[ClipSet], label: Label) -> tuple[WakeClip, ...]:
    """Of all folders, each sample once."""
    found = {clip.clip_id: clip for each in reversed(sets) for clip in each.clips if clip.label is label}
    order = dict.fromkeys(clip.clip_id for each in sets for clip in each.clips if clip.label is label)
    return tuple(found[name] for name in order)


def _usable(clips: Sequence[WakeClip]) -> tuple[list[WakeClip], list[Refused]]:
    good, bad = [], []
    for clip in clips:
        wrong = [flag for flag in clip.flags if flag in _UNUSABLE]
        if not wrong and phrase_span(clip) is None:
            wrong = [SILENT]
        if wrong:
            bad.append(Refused(clip.name, "wakeword.clip", ", ".join(wrong)))
        else:
            good.append(clip)
    return good, bad


def count_clips(clips: Iterable[WakeClip]) -> int:
    """Long recordings count by their length."""
    return sum(max(1, int(clip.duration_s / _CLIP_S)) for clip in clips)


def _gate(what: str, count: int, least: int, left_out: Sequence[Refused]) -> None:
    if count >= least:
        return
    why = f"; {len(left_out)} cannot be used ({_some(left_out)})" if left_out else ""
    raise InputError(
        f"{count} clips {what} can be used, and {least} are needed{why}",
        code="wakeword.gate",
        hint="Record more, of more people and in more places; the recipe's `gate` sets what is needed",
    )


def _some(refused: Sequence[Refused]) -> str:
    named = [f"{Path(one.name).name}: {one.reason}" for one in refused[:_NAMED]]
    more = len(refused) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more > 0 else "")


def _divided(
    positives: Sequence[WakeClip],
    negatives: Sequence[WakeClip],
    noise: Sequence[WakeClip],
    recipe: WakeRecipe,
) -> Material:
    of_others = negative_split_rule(recipe)
    return Material(
        divide(positives, split_rule(recipe), what="clips of the phrase", groups=copies_among(positives)),
        divide_recordings(negatives, of_others, what="negatives"),
        divide_recordings(noise, of_others, what="noise"),
    )


def split_rule(recipe: WakeRecipe) -> SplitRule:
    """Of clips of the phrase, and of voices."""
    return SplitRule(recipe.material.train_pct, recipe.material.tune_pct)


def negative_split_rule(recipe: WakeRecipe) -> SplitRule:
    """Of recordings without the phrase."""
    return SplitRule(recipe.material.negative_train_pct, recipe.material.negative_tune_pct)


def _warnings(
    material: Material, sets: Sequence[ClipSet], left_out: Sequence[Refused], doubles: int
) -> Iterable[str]:
    for each in sets:
        # who speaks is the division's to tell
        yield from (told for told in each.warnings() if "do not say who speaks" not in told)
    if left_out:
        yield f"{len(left_out)} clips of the phrase are not used ({_some(left_out)})"
    if doubles:
        yield f"{doubles} clips were given as the phrase and as something else: they are taken for the phrase"
    if not material.phrase.all:
        yield "no recording of the phrase: it is learned from synthesised speech alone, and judged on it"
    if not material.negatives.all:
        yield "no recording of other speech: false accepts on people cannot be told"
    yield from material.phrase.warnings
    yield from (told for told in material.negatives.warnings if "do not say" not in told)


def _counts(material: Material, left_out: Sequence[Refused], refused: Sequence[Refused]) -> dict[str, Any]:
    sides = {"positives": material.phrase, "negatives": material.negatives, "noise": material.noise}
    counted: dict[str, Any] = {
        name: {
            "train": len(side.train),
            "tune": len(side.tune),
            "report": len(side.report),
            "hours": round(sum(clip.duration_s for clip in side.all) / 3600, 4),
            "split_by": side.by,
        }
        for name, side in sides.items()
    }
    return counted | {
        "left_out": [
            {"name": one.name, "code": one.code, "reason": one.reason} for one in (*left_out, *refused)
        ]
    }
