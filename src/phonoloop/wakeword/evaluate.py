"""Judging a detector on audio that neither its training nor the choice of its threshold has heard.

    evaluation = evaluate(model, model.trigger, positives, negatives)
    evaluation.verdict.outcome, str(evaluation.accepts), str(evaluation.misses)

Counted per event, through the trigger that ships, on clips laid out as a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from phonoloop.core.units import samples_to_ms, samples_to_seconds
from phonoloop.wakeword.clip_metrics import ClipMetrics, decisions
from phonoloop.wakeword.clips import WakeClip, without
from phonoloop.wakeword.groups import Group, groups_of
from phonoloop.wakeword.operating import CurvePoint, curve
from phonoloop.wakeword.streams import (
    Mix,
    Scored,
    Scorer,
    StreamScorer,
    lay_out_negatives,
    lay_out_positives,
    score,
)
from phonoloop.wakeword.tail import logit
from phonoloop.wakeword.trigger import Event, TriggerSettings
from phonoloop.wakeword.verdict import AcceptRate, Demands, MissRate, Verdict, judge

#: with fewer clips none stands out
_MIN_FOR_OUTLIERS = 10
_OUTLIER_SPREADS = 5.0


@dataclass(frozen=True, slots=True)
class Fired:
    """An event, to be listened to: `at_s` into the file it had been heard by then."""

    name: str
    at_s: float
    score: float
    source: str


@dataclass(frozen=True, slots=True)
class Missed:
    """A clip of the phrase in which nothing fired. `score`: its best, smoothed."""

    name: str
    score: float
    speaker: str
    source: str
    outlier: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """From the end of the phrase to the event, over the clips whose phrase's end is known."""

    clips: int
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class WakeEvaluation:
    """What a detector did on a stream.

    Attributes:
        hours_of_sound: of the negatives, without their silence.
        groups: misses by `speaker`, `voice`, `snr`, `distance` and `source`, worst first in each.
        fired: false accepts, highest score first.
        missed: lowest score first.
        repeats: second events within a clip of the phrase.
        elsewhere: events beside the clips of the phrase, in what was put between them.
        noisy: misses with noise mixed in, by its ratio in dB.
        outliers: names of clips that score unlike all others: perhaps another phrase is said there.
        curve: on this stream, to look at; the threshold was not chosen by it.
        positive_scores, negative_scores: the best of each clip, smoothed, for pictures.
    """

    trigger: TriggerSettings
    demands: Demands
    accepts: AcceptRate
    misses: MissRate
    verdict: Verdict
    hours_of_sound: float
    clips: ClipMetrics
    groups: dict[str, tuple[Group, ...]]
    fired: tuple[Fired, ...]
    missed: tuple[Missed, ...]
    repeats: int
    elsewhere: tuple[Fired, ...]
    latency: Latency | None
    noisy: dict[float, MissRate]
    outliers: tuple[str, ...]
    curve: tuple[CurvePoint, ...]
    warnings: tuple[str, ...]
    positive_scores: np.ndarray = field(repr=False)
    negative_scores: np.ndarray = field(repr=False)


def evaluate(
    scorer: Scorer | StreamScorer,
    trigger: TriggerSettings,
    positives: Sequence[WakeClip],
    negatives: Sequence[WakeClip],
    *,
    demands: Demands | None = None,
    noises: Sequence[WakeClip] = (),
    snrs_db: Sequence[float] = (),
    seed: int = 0,
    on_share: Callable[[float, str], None] = lambda _share, _what: None,
) -> WakeEvaluation:
    """Lets a detector hear all of it and counts.

    Args:
        noises, snrs_db: the positives are heard again with noise mixed in at each of these ratios.
        seed: of the layout and the noise.
        on_share: called with a share from 0 to 1 of each part, and its name.

    Raises:
        InputError: `wakeword.no_noise`, where ratios are given and no noise.
        IntegrityError: `wakeword.scores`.
    """
    heard_noises = [noise.samples for noise in noises] if snrs_db else []
    mixes = [Mix(heard_noises, snr_db) for snr_db in snrs_db]

    def hear(clips: Sequence[WakeClip], mix: Mix | None, what: str) -> Scored:
        layout = lay_out_positives(clips, cooldown_s=trigger.cooldown_s, mix=mix, seed=seed)
        return score(scorer, layout, on_share=lambda share: on_share(share, what))

    clean = without(negatives, positives)
    calm = score(scorer, lay_out_negatives(clean, seed=seed), on_share=lambda s: on_share(s, "negatives"))
    called = hear(positives, None, "positives")
    noisy = {mix.snr_db: hear(positives, mix, f"positives at {mix.snr_db:g} dB") for mix in mixes}
    return evaluate_scored(
        called,
        calm,
        trigger,
        demands=demands or Demands(),
        noisy=noisy,
        warnings=_shared_audio(negatives, clean),
    )


def evaluate_scored(
    positives: Scored,
    negatives: Scored,
    trigger: TriggerSettings,
    *,
    demands: Demands,
    noisy: dict[float, Scored] | None = None,
    warnings: Sequence[str] = (),
) -> WakeEvaluation:
    """As `evaluate`, of streams that were heard before."""
    first = positives.first_events(trigger)
    best = positives.best_means(trigger)
    outliers = _outliers(best, trigger)
    accepts = AcceptRate(len(negatives.events(trigger)), negatives.hours, demands.confidence)
    misses = _miss_rate(first, demands)
    repeats, elsewhere = _beside(positives, trigger)
    names = tuple(one.clip.name for one, out in zip(positives.placed, outliers, strict=True) if out)
    return WakeEvaluation(
        trigger=trigger,
        demands=demands,
        accepts=accepts,
        misses=misses,
        verdict=judge(accepts, misses, demands),
        hours_of_sound=negatives.hours_of_sound,
        clips=_clip_metrics(misses, negatives, trigger),
        groups=groups_of([one.clip for one in positives.placed], [event is None for event in first]),
        fired=_highest_first(_fired(negatives, negatives.events(trigger))),
        missed=_missed(positives, first, best, outliers),
        repeats=repeats,
        elsewhere=elsewhere,
        latency=_latency(positives, first),
        noisy={
            snr_db: _miss_rate(heard.first_events(trigger), demands)
            for snr_db, heard in (noisy or {}).items()
        },
        outliers=names,
        curve=curve(positives, negatives, trigger),
        warnings=(*warnings, *_about_outliers(names), *_about_silence(negatives)),
        positive_scores=best,
        negative_scores=negatives.best_means(trigger),
    )


def _miss_rate(first: Sequence[Event | None], demands: Demands) -> MissRate:
    return MissRate(sum(event is None for event in first), len(first), demands.confidence)


def _clip_metrics(misses: MissRate, negatives: Scored, trigger: TriggerSettings) -> ClipMetrics:
    per_clip = np.array([decisions(one.clip.duration_s) for one in negatives.placed], dtype=np.int64)
    cells = negatives.cells_of(negatives.events(trigger))
    fired = np.minimum(np.bincount(cells, minlength=len(per_clip)), per_clip)
    false_accepts = int(fired.sum())
    return ClipMetrics(
        hits=misses.clips - misses.missed,
        missed=misses.missed,
        false_accepts=false_accepts,
        rejected=int(per_clip.sum()) - false_accepts,
    )


def _fired(stream: Scored, events: Sequence[Event]) -> list[Fired]:
    cells = [stream.placed[cell] for cell in stream.cells_of(events)]
    return [
        Fired(
            name=one.clip.name,
            at_s=round(samples_to_seconds(stream.heard_at(event) - one.start), 3),
            score=event.score,
            source=one.clip.source,
        )
        for event, one in zip(events, cells, strict=True)
    ]


def _highest_first(fired: Sequence[Fired]) -> tuple[Fired, ...]:
    return tuple(sorted(fired, key=lambda one: (-one.score, one.name, one.at_s)))


def _beside(positives: Scored, trigger: TriggerSettings) -> tuple[int, tuple[Fired, ...]]:
    """Second events within clips of the phrase, and events beside them."""
    events = positives.events(trigger)
    cells = positives.cells_of(events)
    inside = [
        positives.belongs(event, positives.placed[cell]) for event, cell in zip(events, cells, strict=True)
    ]
    repeats = sum(inside) - len({int(cell) for cell, within in zip(cells, inside, strict=True) if within})
    beside = [event for event, within in zip(events, inside, strict=True) if not within]
    return repeats, _highest_first(_fired(positives, beside))


def _missed(
    positives: Scored, first: Sequence[Event | None], best: np.ndarray, outliers: np.ndarray
) -> tuple[Missed, ...]:
    found = [
        Missed(
            one.clip.name,
            float(best[i]),
            one.clip.speaker or one.clip.voice,
            one.clip.source,
            bool(outliers[i]),
        )
        for i, one in enumerate(positives.placed)
        if first[i] is None
    ]
    return tuple(sorted(found, key=lambda one: (one.score, one.name)))


def _outliers(best: np.ndarray, trigger: TriggerSettings) -> np.ndarray:
    """(clips,) whether a clip is missed and its logit lies far below the others': five times their spread
    (of the median absolute deviation, which outliers do not move) below their median."""
    if len(best) < _MIN_FOR_OUTLIERS:
        return np.zeros(len(best), bool)
    values = logit(best)
    median = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - median))), 0.5)
    return (values < median - _OUTLIER_SPREADS * spread) & (best < trigger.threshold)


def _latency(positives: Scored, first: Sequence[Event | None]) -> Latency | None:
    late = [
        samples_to_ms(positives.heard_at(event) - one.start - one.clip.phrase_end)
        for one, event in zip(positives.placed, first, strict=True)
        if event is not None and one.clip.phrase_end is not None
    ]
    if not late:
        return None
    return Latency(len(late), float(np.median(late)), float(np.quantile(late, 0.95)))


# what a person should know


def _shared_audio(negatives: Sequence[WakeClip], kept: Sequence[WakeClip]) -> tuple[str, ...]:
    shared = len(negatives) - len(kept)
    return (f"{shared} negatives are also among the positives: they were left out",) if shared else ()


def _about_outliers(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    some = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return (f"{len(names)} clips score unlike all others; is the phrase said in them? {some}",)


def _about_silence(negatives: Scored) -> tuple[str, ...]:
    if not negatives.hours or negatives.hours_of_sound > 0.5 * negatives.hours:
        return ()
    quiet_h = negatives.hours - negatives.hours_of_sound
    return (
        f"{quiet_h:.2g} of {negatives.hours:.2g} h without the phrase are near silence (below -60 dBFS), "
        "which proves little",
    )
