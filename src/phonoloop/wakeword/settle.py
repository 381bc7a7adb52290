"""From a trained detector to figures: the threshold on one stream, the report on another.

Both go through the exported streaming model, which is what ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.config import JudgeRecipe
from phonoloop.wakeword.data import Material
from phonoloop.wakeword.ends import phrase_span, without_zeros
from phonoloop.wakeword.evaluate import WakeEvaluation, evaluate
from phonoloop.wakeword.infer import WakeModel
from phonoloop.wakeword.operating import OperatingPoint, choose
from phonoloop.wakeword.spoken import Synthesised, as_clips
from phonoloop.wakeword.streams import Scored, joined, lay_out_negatives, lay_out_positives, score
from phonoloop.wakeword.tail import logit
from phonoloop.wakeword.trigger import TriggerSettings
from phonoloop.wakeword.verdict import Demands

#: utterances that stand in where there are few recordings, or none
_MOST_SPOKEN_POSITIVES, _MOST_SPOKEN_NEGATIVES = 300, 1_500
#: so few recordings choose nothing, but synthesised voices would choose for themselves
_ENOUGH_RECORDED = 5
#: a recording of the phrase is an outlier this far (in logits) below the middle of the others …
_OUTLIER_LOGITS = 5.0
#: … and below this probability
_OUTLIER_SCORE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """What a detector is settled on; no voice, speaker or clip of it was trained on.

    Attributes:
        warnings: where speech of synthesisers stands in for that of people.
    """

    tune_positives: tuple[WakeClip, ...]
    tune_negatives: tuple[WakeClip, ...]
    report_positives: tuple[WakeClip, ...]
    report_negatives: tuple[WakeClip, ...]
    noises: tuple[WakeClip, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What was chosen and measured.

    Attributes:
        outliers: recordings given as the phrase that do not sound like the others, with their scores.
    """

    operating: OperatingPoint
    evaluation: WakeEvaluation
    outliers: tuple[tuple[str, float], ...]


def streams_of(material: Material, synthesised: Synthesised) -> Streams:
    """Recordings as far as there are any; ordinary synthesised sentences add to the tuning negatives."""
    tune, tune_told = _positives(material, synthesised, "tune", least=_ENOUGH_RECORDED)
    report, report_told = _positives(material, synthesised, "report", least=1)
    noises = tuple(clip for clip in material.noise.report if len(without_zeros(clip.pcm)))
    return Streams(
        tune,
        (*_others(material, "tune"), *_spoken_others(synthesised, "tune")),
        tuple(_with_end(clip) for clip in report),
        _others(material, "report") or _spoken_others(synthesised, "report"),
        noises,
        tuple(told for told in (tune_told, report_told) if told),
    )


def _positives(
    material: Material, synthesised: Synthesised, side: str, *, least: int
) -> tuple[tuple[WakeClip, ...], str]:
    recorded = getattr(material.phrase, side)
    if len(recorded) >= least:
        return recorded, ""
    said = synthesised.spoken.phrase.get(side, ())
    added = as_clips(said, Label.POSITIVE, most=_MOST_SPOKEN_POSITIVES)
    if recorded or not added:
        return (*recorded, *added), ""
    what = "the misses of the report are" if side == "report" else "the threshold was chosen on misses"
    return tuple(added), f"no person says the phrase in the {side} stream: {what} of synthesised voices"


def _with_end(clip: WakeClip) -> WakeClip:
    """Where its phrase ends, as far as that can be heard: latency counts from there."""
    span = phrase_span(clip)
    return clip if span is None else replace(clip, phrase_end=span.end)


def _others(material: Material, side: str) -> tuple[WakeClip, ...]:
    return (*getattr(material.negatives, side), *getattr(material.noise, side))


def _spoken_others(synthesised: Synthesised, side: str) -> tuple[WakeClip, ...]:
    said = synthesised.ordinary.get(side, ())
    return tuple(as_clips(said, Label.NEGATIVE, most=_MOST_SPOKEN_NEGATIVES))


def settle(
    model: WakeModel,
    streams: Streams,
    recipe: JudgeRecipe,
    *,
    learned: Sequence[WakeClip],
    crossed: Sequence[Scored] = (),
) -> Settled:
    """Chooses when it fires, measures what that does, and names recordings that do not fit.

    Args:
        learned: recordings of the phrase that were trained on, to be looked through for outliers.
        crossed: what other networks of its kind say to recordings that it was trained on and they were not.

    Raises:
        InputError: `wakeword.no_report`, where a stream would be empty.
    """
    _check(streams)
    positives = score(model, lay_out_positives(streams.tune_positives))
    held_out = score(model, lay_out_negatives(streams.tune_negatives))
    operating = choose(
        positives,
        joined((held_out, *crossed)),
        target_per_hour=recipe.target_per_hour,
        margin=recipe.margin,
        smoothing=recipe.smoothing_steps,
    )
    evaluation = measure(model, operating.trigger, streams, recipe)
    recorded = [clip for clip in (*learned, *streams.tune_positives, *streams.report_positives) if clip.path]
    return Settled(operating, evaluation, outliers(model, recorded, operating.trigger))


def measure(
    model: WakeModel, trigger: TriggerSettings, streams: Streams, recipe: JudgeRecipe
) -> WakeEvaluation:
    """What it does on the report's streams."""
    return evaluate(
        model,
        trigger,
        streams.report_positives,
        streams.report_negatives,
        demands=Demands(max_per_hour=recipe.target_per_hour),
        noises=streams.noises,
        snrs_db=recipe.at_snr_db if streams.noises else (),
    )


def _check(streams: Streams) -> None:
    for name in ("tune_positives", "tune_negatives", "report_positives", "report_negatives"):
        if not getattr(streams, name):
            side, _, kind = name.partition("_")
            raise InputError(
                f"nothing is left for the {kind} of the {side} stream",
                code="wakeword.no_report",
                hint="Give more clips, of more speakers, or let some be synthesised",
            )


def outliers(
    model: WakeModel, clips: Sequence[WakeClip], trigger: TriggerSettings
) -> tuple[tuple[str, float], ...]:
    """Recordings given as the phrase that score far below the middle of all, lowest first."""
    if len(clips) < 2:
        return ()
    best = score(model, lay_out_positives(clips)).best_means(trigger)
    values = logit(best)
    limit = np.median(values) - _OUTLIER_LOGITS
    found = [
        (clip.name, float(probability))
        for clip, probability, value in zip(clips, best, values, strict=True)
        if value < limit and probability < min(_OUTLIER_SCORE, trigger.threshold)
    ]
    return tuple(sorted(found, key=lambda one: one[1]))
