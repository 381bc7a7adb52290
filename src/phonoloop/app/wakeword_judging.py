"""Whether a new detector takes the place of the one that serves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.wakeword_models import KIND, follow
from phonoloop.app.wakeword_training import FROZEN, recipe_of
from phonoloop.core import ids
from phonoloop.core.errors import PhonoloopError
from phonoloop.core.ports import Transaction
from phonoloop.registry import promote
from phonoloop.registry.model import Decision, Model, TrainingRun, Verdict
from phonoloop.wakeword.clips import WakeClip
from phonoloop.wakeword.verdict import Outcome

log = logging.getLogger(__name__)


def judge_detector(app: App, run: TrainingRun, model: Model) -> Verdict:
    """Promotes a detector that was shown to be good where none serves, or to be better than the one that
    does on the same recordings; says why or why not. Done again it gives what it gave.

    Where too little was heard to say that it is good, it is never promoted here.
    """
    verdict_id = ids.content_id(["wakeword.verdict", model.model_id])
    with app.records.transaction() as tx:
        known = tx.get(Verdict, verdict_id)
        champion = promote.champion_of(tx, KIND)
    if known is None:
        decision, reason, evidence = _decide(app, run, model, champion)
        known = Verdict(
            verdict_id=verdict_id,
            kind=KIND,
            candidate_id=model.model_id,
            champion_id=champion.model_id if champion else "",
            golden_set=f"report side of {run.snapshot_id}",
            golden_sha256=run.snapshot_id,
            decision=decision,
            promoted=decision is Decision.BETTER,
            reason=reason,
            evidence=evidence,
        )
        with app.records.transaction() as tx:
            _record(tx, known)
    follow(app)
    return known


def _record(tx: Transaction, verdict: Verdict) -> None:
    tx.put(verdict)
    if verdict.promoted:
        promote.promote(
            tx,
            verdict.candidate_id,
            actor=promote.JUDGE,
            verdict_id=verdict.verdict_id,
            reason=verdict.reason,
        )


def _decide(
    app: App, run: TrainingRun, model: Model, champion: Model | None
) -> tuple[Decision, str, dict[str, Any]]:
    outcome = model.metrics["verdict"]
    if outcome != Outcome.GOOD.value:
        why = "; ".join(model.metrics["reasons"])
        decision = Decision.NOT_ENOUGH_EVIDENCE if outcome == Outcome.NOT_ENOUGH.value else Decision.WORSE
        return decision, f"{outcome}: {why}", {}
    if champion is None:
        return Decision.BETTER, "it is good, and nothing served before", {}
    if champion.metrics.get("phrase") != model.metrics["phrase"]:
        told = f"{champion.model_id} serves, for another phrase ({champion.metrics.get('phrase')})"
        return Decision.NOT_ENOUGH_EVIDENCE, told, {}
    return _compared(app, run, model, champion)


def _compared(
    app: App, run: TrainingRun, model: Model, champion: Model
) -> tuple[Decision, str, dict[str, Any]]:
    from phonoloop.wakeword.compare import compare
    from phonoloop.wakeword.evaluate import evaluate
    from phonoloop.wakeword.infer import WakeModel

    positives, negatives = report_clips(app, run)
    if not positives or not negatives:
        told = "nobody was recorded whom the training did not hear: there is nothing to compare them on"
        return Decision.NOT_ENOUGH_EVIDENCE, told, {}
    try:
        heard = []
        for each in (model, champion):
            detector = WakeModel.load(artefact_dir(app.blobs, each))
            heard.append(evaluate(detector, detector.trigger, positives, negatives))
    except PhonoloopError as error:  # the training is done, whatever became of the one that serves
        log.warning("%s cannot be compared with %s: %s", model.model_id, champion.model_id, error)
        told = f"it cannot be compared with {champion.model_id} ([{error.code}] {error})"
        return Decision.NOT_ENOUGH_EVIDENCE, told, {}
    found = compare(*heard, confidence=app.settings.promotion_confidence)
    return found.decision, found.reason, found.to_dict()


def report_clips(app: App, run: TrainingRun) -> tuple[Sequence[WakeClip], Sequence[WakeClip]]:
    """Recordings that the run's report is about: with the phrase, and without."""
    from phonoloop.wakeword.inputs import Sources, read_inputs

    folder = app.run_dir(run.run_id) / FROZEN / "clips"
    material = read_inputs(Sources(positives=(folder,)), recipe_of(run), app.decoder).material
    return material.phrase.report, (*material.negatives.report, *material.noise.report)
