"""Judging a trained model: the golden set frozen, both models heard on it, the verdict acted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.hearing import recogniser_of
from phonoloop.asr.evaluate import Evaluation, evaluate
from phonoloop.core.errors import ManifestError
from phonoloop.data.manifest import ManifestRow, parse_manifest
from phonoloop.data.model import GoldenSet
from phonoloop.registry import decide, golden
from phonoloop.registry.figures import syllable_figures
from phonoloop.registry.model import Prediction, Verdict
from phonoloop.registry.promote import champion_of, model_of
from phonoloop.registry.rule import PromotionRule
from phonoloop.registry.slices import slices_of
from phonoloop.text.normalise import NORMALISER_VERSION


def judge_model(app: App, model_id: str) -> Verdict:
    """Judges a registered model against the champion on today's golden set, and promotes it if it is better.

    Killed in between, it is done again: what was heard is kept, and the verdict comes from content.
    """
    frozen, rule = freeze_golden(app), promotion_rule(app)
    figures = {}
    if frozen is not None:
        with app.records.transaction() as tx:
            missing = decide.not_evaluated(tx, model_id, frozen)
        for name in missing:
            hear_golden(app, name, frozen)
        figures = {name: _syllable_figures(app, name, frozen, rule) for name in _compared(app, model_id)}
    terms = decide.Terms(
        golden=frozen, rule=rule, normaliser_version=NORMALISER_VERSION, syllable_figures=figures
    )
    with app.records.transaction() as tx:
        return decide.judge_candidate(tx, model_id, terms)


def _compared(app: App, model_id: str) -> list[str]:
    """The model and the champion."""
    with app.records.transaction() as tx:
        champion = champion_of(tx, model_of(tx, model_id).kind)
    return list(dict.fromkeys([model_id] + ([champion.model_id] if champion else [])))


def _syllable_figures(app: App, model_id: str, frozen: GoldenSet, rule: PromotionRule) -> Mapping[str, Any]:
    with app.records.transaction() as tx:
        heard = decide.predictions_of(tx, model_id, frozen.manifest_sha256)
    return syllable_figures(heard, confidence=rule.confidence, language=app.settings.language)


def promotion_rule(app: App) -> PromotionRule:
    """As the settings have it. `ConfigError` `judge.rule` for values that make no sense."""
    s = app.settings
    return PromotionRule(
        rule=s.promotion_rule,
        confidence=s.promotion_confidence,
        max_slice_regression=s.promotion_max_slice_regression,
        min_speakers=s.promotion_min_speakers,
        min_words=s.promotion_min_words,
    )


def freeze_golden(app: App) -> GoldenSet | None:
    """The golden set of what is there now: every checked clip of the test speakers; None without any."""
    with app.records.transaction() as tx:
        clips = golden.choose_clips(tx)
        if not clips:
            return None
        frozen = golden.freeze(tx, golden.golden_rows(tx, clips))
    app.blobs.put(frozen.golden.manifest, frozen.manifest)
    with app.records.transaction() as tx:
        tx.add(frozen.golden)
    return frozen.golden


def hear_golden(app: App, model_id: str, frozen: GoldenSet) -> Evaluation:
    """What a model hears in a golden set, kept clip by clip.

    Raises:
        ManifestError: `golden.unheard`, where a clip could not be heard: rates would be of another set.
    """
    rows = parse_manifest(app.blobs.get(frozen.manifest), name=frozen.manifest)
    evaluation = evaluate(recogniser_of(app, model_id), rows, [app.data_dir], language=app.settings.language)
    if evaluation.failed:
        clip, code, reason = evaluation.failed[0]
        raise ManifestError(
            f"{len(evaluation.failed)} of its clips cannot be heard, such as {clip} ([{code}] {reason})",
            code="golden.unheard",
            subject=frozen.name,
            hint="Bring the files back, then judge again",
        )
    with app.records.transaction() as tx:
        tx.put(*_predictions(evaluation, {row.clip_id: row for row in rows}, model_id, frozen))
    return evaluation


def _predictions(
    evaluation: Evaluation, rows: dict[str, ManifestRow], model_id: str, frozen: GoldenSet
) -> list[Prediction]:
    return [
        Prediction(
            prediction_id=decide.prediction_id(model_id, frozen.manifest_sha256, one.key),
            model_id=model_id,
            clip_id=one.key,
            speaker_id=one.speaker,
            reference=one.reference,
            hypothesis=one.hypothesis,
            errors=one.scores.words.errors,
            words=one.scores.words.reference,
            slices=slices_of(rows[one.key]),
        )
        for one in evaluation.utterances
    ]
