"""From what two models heard in a golden set to a recorded verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.core.events import MODEL_REJECTED, Event
from phonoloop.core.ports import Transaction
from phonoloop.data.model import GoldenSet
from phonoloop.registry import golden as golden_sets
from phonoloop.registry.judge import Comparison, PairedUtterance, compare
from phonoloop.registry.model import Decision, Model, ModelStatus, Prediction, Verdict
from phonoloop.registry.promote import JUDGE, champion_of, model_of, promote
from phonoloop.registry.rule import PromotionRule
from phonoloop.registry.slices import synthetic_share
from phonoloop.registry.statistics import rate_interval
from phonoloop.text.normalise import NORMALISER_VERSION

#: digits of a golden set's hash in the key of a prediction
_HASH_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a model is judged on.

    Attributes:
        golden: None where there is no golden set yet.
        normaliser_version: what both texts went through before errors were counted.
        syllable_figures: by model id, what `syllable_figures` gives; stands among the model's figures.
    """

    golden: GoldenSet | None
    rule: PromotionRule
    normaliser_version: str
    syllable_figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def golden_sha256(self) -> str:
        return self.golden.manifest_sha256 if self.golden else ""


def prediction_id(model_id: str, golden_sha256: str, clip_id: str) -> str:
    """Names what a model heard in a clip of a golden set, counted under this version of the normaliser:
    after another version came, models are heard anew instead of compared by what is no longer counted so."""
    counted = ids.content_id([golden_sha256, NORMALISER_VERSION])
    return f"{model_id}/{counted[:_HASH_DIGITS]}/{clip_id}"


def predictions_of(tx: Transaction, model_id: str, golden_sha256: str) -> list[Prediction]:
    """What a model heard in a golden set, in clip order; empty where it was not evaluated on it."""
    first = prediction_id(model_id, golden_sha256, "")
    after = first[:-1] + chr(ord(first[-1]) + 1)
    return tx.find(Prediction, model_id=model_id, prediction_id__gte=first, prediction_id__lt=after)


def not_evaluated(tx: Transaction, candidate_id: str, golden: GoldenSet) -> list[str]:
    """The models that have to be evaluated on a golden set before this candidate can be judged:
    the candidate and the champion, less those whose predictions are there."""
    candidate = model_of(tx, candidate_id)
    champion = champion_of(tx, candidate.kind)
    wanted = [candidate_id] + ([champion.model_id] if champion else [])
    sha256 = golden.manifest_sha256
    return [m for m in dict.fromkeys(wanted) if len(predictions_of(tx, m, sha256)) != golden.clips]


def tests_before(tx: Transaction, champion_id: str) -> int:
    """How many candidates were tested against this champion, on whichever golden sets.

    A set that grew by a clip is nearly the same set: starting anew with each would let nightly
    retrains try their luck for ever.
    """
    verdicts = tx.find(Verdict, champion_id=champion_id)
    return sum(bool(verdict.evidence.get("tested")) for verdict in verdicts)


def pairs_of(champion: Sequence[Prediction], candidate: Sequence[Prediction]) -> list[PairedUtterance]:
    """The utterances both models heard.

    Raises:
        ConflictError: `judge.different_clips`, where they did not hear the same clips or their
            references were counted differently.
    """
    before = {p.clip_id: p for p in champion}
    same = before.keys() == {p.clip_id for p in candidate}
    if not same or any(before[p.clip_id].words != p.words for p in candidate):
        raise ConflictError(
            "the two models were not evaluated on the same references",
            code="judge.different_clips",
            subject=candidate[0].model_id if candidate else "",
            hint="Evaluate both on the golden set again",
        )
    return [
        PairedUtterance(p.clip_id, p.speaker_id, p.words, before[p.clip_id].errors, p.errors, p.slices)
        for p in candidate
    ]


def judge_candidate(
    tx: Transaction, candidate_id: str, terms: Terms, *, now: datetime | None = None
) -> Verdict:
    """Judges a candidate against the champion and acts on it: verdict, statuses, pointer and
    events in the caller's unit of work.

    A first model becomes champion; `unproven` where there was too little to judge it on. Judging
    again on the same evidence gives the verdict that is there.

    Raises:
        NotFoundError: `model.missing`; `judge.no_predictions`, where one of the models was not
            evaluated on the whole golden set.
        ConflictError: `model.already_champion`, for a champion that no verdict made one.
    """
    now, candidate = now or utc_now(), model_of(tx, candidate_id)
    champion = champion_of(tx, candidate.kind)
    if champion is not None and champion.model_id == candidate_id:
        return _verdict_that_promoted(tx, candidate)
    key = _verdict_id(candidate, champion, terms)
    known = tx.get(Verdict, key)
    if known is not None:
        return known
    heard = _heard(tx, candidate_id, terms)
    candidate = _with_figures(candidate, heard, terms)
    tx.put(candidate)
    said = _first(tx, heard, terms) if champion is None else _against(tx, champion, heard, terms)
    verdict = _verdict(key, candidate, champion, said=said, terms=terms, now=now)
    _act(tx, candidate, verdict)
    return verdict


def _verdict_that_promoted(tx: Transaction, champion: Model) -> Verdict:
    made = tx.find(
        Verdict, candidate_id=champion.model_id, promoted=True, order_by="created_at", descending=True
    )
    if not made:
        raise ConflictError(
            "it is the champion already, by hand",
            code="model.already_champion",
            subject=champion.model_id,
            hint="Judge another model, or roll back first",
        )
    return made[0]


def _verdict_id(candidate: Model, champion: Model | None, terms: Terms) -> str:
    against = champion.model_id if champion else ""
    rule = [terms.rule.to_dict(), terms.normaliser_version]
    return ids.content_id([candidate.kind, candidate.model_id, against, terms.golden_sha256, rule])


def _heard(tx: Transaction, model_id: str, terms: Terms) -> list[Prediction]:
    if terms.golden is None:
        return []
    heard = predictions_of(tx, model_id, terms.golden_sha256)
    if len(heard) != terms.golden.clips:
        raise NotFoundError(
            f"the model was evaluated on {len(heard)} of the {terms.golden.clips} clips of "
            f"{terms.golden.name}",
            code="judge.no_predictions",
            subject=model_id,
            hint="Evaluate it on the golden set first",
        )
    return heard


def _first(tx: Transaction, heard: Sequence[Prediction], terms: Terms) -> Comparison:
    """Nothing to compare with: is there at least enough to say how good it is?"""
    missing = _missing(tx, heard, terms)
    if missing:
        reason = "The first model serves, unproven: " + "; ".join(missing)
        return Comparison(Decision.NOT_ENOUGH_EVIDENCE, reason, {"missing": missing})
    figures = _figures(heard, terms)
    reason = f"The first model serves: {100 * figures['rate']:.2f} % errors on {figures['words']:,} words"
    return Comparison(Decision.BETTER, reason, {"figures": figures, "missing": []})


def _missing(tx: Transaction, heard: Sequence[Prediction], terms: Terms) -> list[str]:
    if terms.golden is None:
        return golden_sets.what_is_missing(tx) or ["no golden set was frozen yet"]
    words, speakers = sum(p.words for p in heard), len({p.speaker_id for p in heard})
    missing = []
    if words < terms.rule.min_words:
        missing.append(f"the golden set has {words} words, the rule asks for {terms.rule.min_words}")
    if speakers < terms.rule.min_speakers:
        missing.append(f"the golden set has {speakers} speakers, the rule asks for {terms.rule.min_speakers}")
    return missing


def _against(tx: Transaction, champion: Model, heard: Sequence[Prediction], terms: Terms) -> Comparison:
    missing = _missing(tx, heard, terms) if terms.golden is None else []
    if missing:
        return Comparison(
            Decision.NOT_ENOUGH_EVIDENCE,
            "There is nothing to judge on: " + "; ".join(missing),
            {"missing": missing},
        )
    before = _heard(tx, champion.model_id, terms)
    _prove(tx, champion, before, terms)
    known = tests_before(tx, champion.model_id)
    return compare(pairs_of(before, heard), terms.rule, tests_before=known)


def _prove(tx: Transaction, champion: Model, heard: Sequence[Prediction], terms: Terms) -> None:
    """A champion that served unproven is proven once there is enough to say how good it is."""
    if champion.unproven and not _missing(tx, heard, terms):
        tx.put(replace(_with_figures(champion, heard, terms), unproven=False))


def _with_figures(model: Model, heard: Sequence[Prediction], terms: Terms) -> Model:
    if not heard:
        return model
    figures = {**_figures(heard, terms), **terms.syllable_figures.get(model.model_id, {})}
    return replace(model, metrics={**model.metrics, "golden": figures})


def _figures(heard: Sequence[Prediction], terms: Terms) -> Mapping[str, Any]:
    """One model's error rate with everything it rests on. JSON values."""
    errors: dict[str, int] = {}
    words: dict[str, int] = {}
    for p in heard:
        errors[p.speaker_id] = errors.get(p.speaker_id, 0) + p.errors
        words[p.speaker_id] = words.get(p.speaker_id, 0) + p.words
    interval = rate_interval(list(errors.values()), list(words.values()), confidence=terms.rule.confidence)
    return {
        "rate": sum(errors.values()) / max(1, sum(words.values())),
        "interval": list(interval) if interval else None,
        "confidence": terms.rule.confidence,
        "errors": sum(errors.values()),
        "words": sum(words.values()),
        "speakers": len(words),
        "utterances": len(heard),
        "measured_on": terms.golden.name if terms.golden else "",
        "golden_sha256": terms.golden_sha256,
        "normaliser_version": terms.normaliser_version,
        "synthetic_share": synthetic_share(heard),
    }


def _verdict(
    key: str, candidate: Model, champion: Model | None, *, said: Comparison, terms: Terms, now: datetime
) -> Verdict:
    return Verdict(
        verdict_id=key,
        kind=candidate.kind,
        candidate_id=candidate.model_id,
        champion_id=champion.model_id if champion else "",
        golden_set=terms.golden.name if terms.golden else "",
        golden_sha256=terms.golden_sha256,
        decision=said.decision,
        promoted=champion is None or said.decision is Decision.BETTER,
        reason=said.reason,
        evidence={
            **said.evidence,
            "normaliser_version": terms.normaliser_version,
            "rule": terms.rule.to_dict(),
        },
        created_at=now,
    )


def _act(tx: Transaction, candidate: Model, verdict: Verdict) -> None:
    tx.put(verdict)
    if verdict.promoted:
        unproven = verdict.decision is Decision.NOT_ENOUGH_EVIDENCE
        tx.put(replace(candidate, unproven=unproven))
        promote(
            tx,
            candidate.model_id,
            actor=JUDGE,
            verdict_id=verdict.verdict_id,
            reason=verdict.reason,
            now=verdict.created_at,
        )
        return
    if verdict.decision is Decision.WORSE:
        tx.put(replace(candidate, status=ModelStatus.REJECTED))
    tx.emit(Event(MODEL_REJECTED, candidate.model_id, _told(verdict)))


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind,
        "model_id": verdict.candidate_id,
        "champion_id": verdict.champion_id,
        "verdict_id": verdict.verdict_id,
        "decision": verdict.decision.value,
        "reason": verdict.reason,
    }
