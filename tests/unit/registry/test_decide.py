import pytest
from registry_builders import NOON, golden, heard, model, speaker, terms

from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.core.events import MODEL_PROMOTED, MODEL_REJECTED
from phonoloop.data.model import Split
from phonoloop.registry.decide import (
    judge_candidate,
    not_evaluated,
    pairs_of,
    predictions_of,
)
from phonoloop.registry.model import Decision, Model, ModelStatus, Verdict
from phonoloop.registry.promote import champion_of, promote, register

GOLDEN = golden()


def many(i):
    return 4 if i % 2 else 3


def few(i):
    return 1 if i % 3 else 0


def bring(tx, name, errors_of, of=GOLDEN, **changes):
    register(tx, model(name, **changes))
    tx.put(*heard(name, errors_of, of=of))


@pytest.fixture
def champion(tx):
    bring(tx, "first", many)
    judge_candidate(tx, "first", terms(GOLDEN), now=NOON)
    tx.events.clear()
    return tx


def test_a_first_model_becomes_champion_with_its_error_rate(tx):
    bring(tx, "first", many)
    verdict = judge_candidate(tx, "first", terms(GOLDEN), now=NOON)
    serving = champion_of(tx, "asr")
    assert (verdict.decision, verdict.promoted) == (Decision.BETTER, True)
    assert (serving.model_id, serving.unproven) == ("first", False)
    figures = serving.metrics["golden"]
    assert figures["rate"] == pytest.approx(0.35)
    assert figures["interval"][0] <= 0.35 <= figures["interval"][1]
    assert (figures["measured_on"], figures["normaliser_version"]) == ("test", "basic-vi-1")


def test_without_a_golden_set_the_first_model_serves_unproven_and_says_what_is_missing(tx):
    register(tx, model("first"))
    verdict = judge_candidate(tx, "first", terms(None), now=NOON)
    assert champion_of(tx, "asr").unproven
    assert verdict.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert "no speaker is in the test split" in verdict.reason


def test_with_test_speakers_but_no_clips_that_is_what_is_missing(tx):
    tx.put(speaker("anna", Split.TEST))
    register(tx, model("first"))
    assert "no recording of a test speaker" in judge_candidate(tx, "first", terms(None)).reason


def test_a_small_golden_set_leaves_the_first_model_unproven(tx):
    small = golden(speakers=2, clips=10)
    bring(tx, "first", many, of=small)
    verdict = judge_candidate(tx, "first", terms(small))
    assert champion_of(tx, "asr").unproven
    assert "100 words, the rule asks for 500" in verdict.reason
    assert "2 speakers, the rule asks for 4" in verdict.reason


def test_a_better_candidate_takes_over(champion):
    bring(champion, "second", few)
    verdict = judge_candidate(champion, "second", terms(GOLDEN), now=NOON)
    assert (verdict.decision, verdict.promoted, verdict.champion_id) == (Decision.BETTER, True, "first")
    assert champion_of(champion, "asr").model_id == "second"
    assert champion.get(Model, "first").status is ModelStatus.RETIRED
    (event,) = champion.events
    assert (event.type, event.data["verdict_id"]) == (MODEL_PROMOTED, verdict.verdict_id)


def test_a_worse_candidate_is_rejected(champion):
    bring(champion, "second", lambda i: 9)
    verdict = judge_candidate(champion, "second", terms(GOLDEN), now=NOON)
    assert (verdict.decision, verdict.promoted) == (Decision.WORSE, False)
    assert champion.get(Model, "second").status is ModelStatus.REJECTED
    assert champion_of(champion, "asr").model_id == "first"
    (event,) = champion.events
    assert (event.type, event.subject, event.data["decision"]) == (MODEL_REJECTED, "second", "worse")


def test_not_enough_evidence_keeps_the_champion_and_leaves_a_candidate(champion):
    bring(champion, "second", many)
    verdict = judge_candidate(champion, "second", terms(GOLDEN), now=NOON)
    assert verdict.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert champion.get(Model, "second").status is ModelStatus.CANDIDATE
    assert champion.get(Model, "second").metrics["golden"]["rate"] == pytest.approx(0.35)


def test_without_a_golden_set_no_champion_is_replaced(tx):
    for name in ("first", "second"):
        register(tx, model(name))
        verdict = judge_candidate(tx, name, terms(None))
    assert verdict.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert champion_of(tx, "asr").model_id == "first"


def test_judging_twice_is_judging_once(champion):
    bring(champion, "second", few)
    first = judge_candidate(champion, "second", terms(GOLDEN), now=NOON)
    again = judge_candidate(champion, "second", terms(GOLDEN))
    assert again == first
    assert len(champion.events) == 1
    bring(champion, "third", few)
    refused = judge_candidate(champion, "third", terms(GOLDEN), now=NOON)
    assert judge_candidate(champion, "third", terms(GOLDEN)) == refused
    assert len(champion.events) == 2


def test_every_verdict_against_a_champion_makes_the_next_one_harder(champion):
    for i in range(3):
        bring(champion, f"candidate{i}", many)
        verdict = judge_candidate(champion, f"candidate{i}", terms(GOLDEN))
        assert verdict.evidence["tests_before"] == i


def test_a_golden_set_that_grew_does_not_start_anew(champion):
    bring(champion, "second", many)
    judge_candidate(champion, "second", terms(GOLDEN))
    grown = golden(clips=81, manifest_sha256="f" * 64)
    champion.put(*heard("first", many, of=grown))
    bring(champion, "third", many, of=grown)
    assert judge_candidate(champion, "third", terms(grown)).evidence["tests_before"] == 1


def test_what_was_too_little_to_judge_on_spends_nothing(tx):
    small = golden(clips=8, speakers=2)
    for name in ("first", "second", "third"):
        bring(tx, name, many, of=small)
        verdict = judge_candidate(tx, name, terms(small))
    assert verdict.evidence["tests_before"] == 0


def test_a_new_champion_starts_with_a_new_allowance(champion):
    bring(champion, "noise", many)
    judge_candidate(champion, "noise", terms(GOLDEN))
    bring(champion, "second", few)
    judge_candidate(champion, "second", terms(GOLDEN))
    bring(champion, "third", few)
    assert judge_candidate(champion, "third", terms(GOLDEN)).evidence["tests_before"] == 0


def test_an_unproven_champion_is_proven_once_it_can_be(tx):
    register(tx, model("first"))
    judge_candidate(tx, "first", terms(None))
    tx.put(*heard("first", few, of=GOLDEN))
    bring(tx, "second", few)
    judge_candidate(tx, "second", terms(GOLDEN))
    assert not champion_of(tx, "asr").unproven
    assert champion_of(tx, "asr").metrics["golden"]["words"] == 800


def test_a_verdict_holds_what_it_rests_on(champion):
    bring(champion, "second", few)
    evidence = judge_candidate(champion, "second", terms(GOLDEN)).evidence
    assert evidence["normaliser_version"] == "basic-vi-1"
    assert evidence["rule"]["confidence"] == 0.95
    assert {part["value"] for part in evidence["slices"]} == {"south", "north"}


def test_a_model_that_was_not_evaluated_is_not_judged(champion):
    register(champion, model("second"))
    assert not_evaluated(champion, "second", GOLDEN) == ["second"]
    with pytest.raises(NotFoundError) as caught:
        judge_candidate(champion, "second", terms(GOLDEN))
    assert caught.value.code == "judge.no_predictions"
    assert champion.find(Verdict, candidate_id="second") == []


def test_a_champion_has_to_be_evaluated_on_a_new_golden_set(champion):
    other = golden(manifest_sha256="f" * 64)
    bring(champion, "second", few, of=other)
    assert not_evaluated(champion, "second", other) == ["first"]
    with pytest.raises(NotFoundError) as caught:
        judge_candidate(champion, "second", terms(other))
    assert caught.value.subject == "first"


def test_half_of_a_golden_set_is_not_the_golden_set(champion):
    register(champion, model("second"))
    champion.put(*heard("second", few, of=GOLDEN)[:40])
    with pytest.raises(NotFoundError):
        judge_candidate(champion, "second", terms(GOLDEN))


def test_predictions_of_other_models_and_sets_stay_apart(tx):
    bring(tx, "A", few)
    bring(tx, "A2", many)
    tx.put(*heard("A", many, of=golden(manifest_sha256="f" * 64, clips=3)))
    assert len(predictions_of(tx, "A", GOLDEN.manifest_sha256)) == 80


def test_references_counted_differently_are_not_compared():
    of = golden(clips=4)
    with pytest.raises(ConflictError) as caught:
        pairs_of(heard("A", few, of=of, words=10), heard("B", few, of=of, words=9))
    assert caught.value.code == "judge.different_clips"


def test_a_champion_by_hand_is_not_its_own_candidate(tx):
    bring(tx, "A", few)
    promote(tx, "A", actor="anna")
    with pytest.raises(ConflictError) as caught:
        judge_candidate(tx, "A", terms(GOLDEN))
    assert caught.value.code == "model.already_champion"


def test_the_simple_rule_can_be_chosen(champion):
    bring(champion, "second", lambda i: many(i) - (i == 0))
    assert judge_candidate(champion, "second", terms(GOLDEN)).decision is Decision.NOT_ENOUGH_EVIDENCE
    simple = terms(GOLDEN, rule="lower_wer_wins")
    assert judge_candidate(champion, "second", simple).promoted


def test_what_was_counted_under_another_normaliser_is_heard_anew(champion, monkeypatch):
    bring(champion, "second", few)
    assert not_evaluated(champion, "second", GOLDEN) == []
    monkeypatch.setattr("phonoloop.registry.decide.NORMALISER_VERSION", "another-1")
    assert not_evaluated(champion, "second", GOLDEN) == ["second", "first"]
    with pytest.raises(NotFoundError) as caught:
        judge_candidate(champion, "second", terms(GOLDEN))
    assert caught.value.code == "judge.no_predictions"
