import time

import numpy as np
import pytest

from phonoloop.core.errors import ConfigError, InputError
from phonoloop.core.ids import canonical_json
from phonoloop.registry.judge import PairedUtterance, compare
from phonoloop.registry.model import Decision
from phonoloop.registry.rule import PromotionRule

RULE = PromotionRule(min_speakers=4, min_words=500)


def paired(speakers=10, each=20, *, champion=0.2, candidate=0.2, seed=0, words=10, slices=None):
    """Utterances of ten words whose errors are binomial; `candidate` may be a function of the speaker."""
    rng = np.random.default_rng(seed)
    rate = candidate if callable(candidate) else lambda speaker: candidate
    return [
        PairedUtterance(
            clip_id=f"{speaker}-{i}",
            speaker_id=f"s{speaker}",
            words=words,
            errors_champion=int(rng.binomial(words, champion)),
            errors_candidate=int(rng.binomial(words, rate(speaker))),
            slices=slices(speaker, i) if slices else {},
        )
        for speaker in range(speakers)
        for i in range(each)
    ]


def test_a_clearly_better_candidate_is_better():
    said = compare(paired(candidate=0.1), RULE)
    assert said.decision is Decision.BETTER
    assert said.evidence["difference_interval"][1] < 0


def test_a_clearly_worse_candidate_is_worse():
    said = compare(paired(candidate=0.4), RULE)
    assert said.decision is Decision.WORSE
    assert "worse beyond chance" in said.reason


def test_the_same_model_again_is_no_improvement():
    pairs = [PairedUtterance(f"c{i}", f"s{i % 8}", 10, 2, 2) for i in range(200)]
    said = compare(pairs, RULE)
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert said.evidence["p_student"] == said.evidence["p_bootstrap"] == 1.0


def test_a_small_difference_is_not_enough_and_says_how_much_would_be():
    said = compare(paired(candidate=0.19, seed=3), RULE)
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert said.evidence["needed"]["words"] > said.evidence["words"]
    assert "speakers to show" in said.reason


@pytest.mark.parametrize(
    ("speakers", "each", "missing"), [(3, 100, "1 speakers"), (10, 2, "300 words"), (2, 1, "480 words and 2")]
)
def test_too_little_is_not_judged_and_what_is_missing_is_said(speakers, each, missing):
    said = compare(paired(speakers, each, candidate=0.0), RULE)
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert missing in said.reason


def test_one_lucky_speaker_does_not_make_a_better_model():
    """All of a large gain comes from one of ten: over utterances it looks certain, over speakers not."""
    said = compare(paired(each=60, candidate=lambda speaker: 0.0 if speaker == 0 else 0.2), RULE)
    assert said.evidence["p_mapsswe"] < 0.01
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE


def test_student_holds_back_a_bootstrap_over_few_speakers():
    """Four speakers that all improve, by amounts that differ: no resample can be against it."""
    gains = [1, 2, 3, 12]
    pairs = [PairedUtterance(f"{s}-{i}", f"s{s}", 10, gains[s], 0) for s in range(4) for i in range(20)]
    said = compare(pairs, RULE)
    assert said.evidence["p_bootstrap"] < said.evidence["alpha"]
    assert said.evidence["p_student"] > said.evidence["alpha"]
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE


def test_the_same_evidence_weighs_less_after_many_tests():
    pairs = paired(each=25, candidate=0.15, seed=1)
    assert compare(pairs, RULE, tests_before=0).decision is Decision.BETTER
    assert compare(pairs, RULE, tests_before=50).decision is Decision.NOT_ENOUGH_EVIDENCE


def test_overwhelming_evidence_passes_where_resamples_cannot_count_so_far():
    said = compare(paired(20, 40, candidate=0.05), RULE, tests_before=1000)
    assert said.evidence["alpha"] < 1e-5
    assert said.decision is Decision.BETTER


def test_all_tests_together_spend_no_more_than_alpha():
    spent = [RULE.alpha_of_test(k) for k in range(100_000)]
    assert 0.045 < sum(spent) < RULE.alpha
    assert spent == sorted(spent, reverse=True)


def south(speaker, _):
    return {"dialect": "south" if speaker < 4 else "north"}


def test_a_candidate_that_fails_a_dialect_is_worse():
    pairs = paired(20, 20, candidate=lambda s: 0.32 if s < 4 else 0.08, slices=south)
    said = compare(pairs, RULE)
    assert said.evidence["difference"] < 0
    assert said.decision is Decision.WORSE
    assert "dialect=south" in said.reason


def test_a_dialect_that_measures_worse_by_chance_still_holds_the_candidate_back():
    pairs = paired(
        20, 20, candidate=lambda s: 0.08, slices=lambda s, i: {"room": "bath" if s == 0 else "hall"}
    )
    pairs = [
        PairedUtterance(p.clip_id, p.speaker_id, p.words, 1, 1 + (int(p.clip_id[2:]) % 4 == 0), p.slices)
        if p.speaker_id == "s0"
        else p
        for p in pairs
    ]
    rule = PromotionRule(min_slice_words=200, max_slice_regression=0.02, confidence=0.999)
    said = compare(pairs, rule)
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert "room=bath" in said.reason


def test_a_slice_of_a_few_words_is_listed_and_not_judged():
    pairs = paired(20, 20, candidate=0.08, slices=lambda s, i: {"room": "bath"} if s == i == 0 else {})
    pairs[0] = PairedUtterance("0-0", "s0", 10, 0, 10, {"room": "bath"})
    said = compare(pairs, RULE)
    assert said.decision is Decision.BETTER
    assert [(part["value"], part["state"]) for part in said.evidence["slices"]] == [("bath", "too_small")]


def test_a_slice_of_one_speaker_is_judged_over_utterances_and_says_so():
    said = compare(paired(slices=lambda s, i: {"who": str(s)}), RULE)
    assert {part["blocks"] for part in said.evidence["slices"]} == {"utterances"}


@pytest.mark.parametrize(
    ("candidate", "decision"),
    [(1, Decision.BETTER), (2, Decision.NOT_ENOUGH_EVIDENCE), (3, Decision.WORSE)],
)
def test_the_simple_rule_compares_two_numbers(candidate, decision):
    pairs = [PairedUtterance("c", "s", 10, 2, candidate)]
    assert compare(pairs, PromotionRule(rule="lower_wer_wins")).decision is decision


def test_nothing_to_compare_on_is_not_enough():
    assert compare([], RULE).decision is Decision.NOT_ENOUGH_EVIDENCE
    wordless = [PairedUtterance("c", "s", 0, 3, 0)]
    assert compare(wordless, PromotionRule(rule="lower_wer_wins")).decision is Decision.NOT_ENOUGH_EVIDENCE


def test_one_speaker_gives_nothing_to_plan_by():
    said = compare(paired(1, 100, candidate=0.05), PromotionRule(min_speakers=2))
    assert said.decision is Decision.NOT_ENOUGH_EVIDENCE
    assert said.evidence["needed"]["for_difference"] is None
    assert said.evidence["difference_interval"] is None


def test_sets_of_the_size_that_is_asked_for_show_the_difference_four_times_in_five():
    need = compare(paired(200, 20, candidate=0.17), RULE).evidence["needed"]
    rate = 0.2 - need["for_difference"]
    sets = [paired(need["speakers"], 20, candidate=rate, seed=seed) for seed in range(1, 101)]
    shown = [compare(pairs, RULE).decision is Decision.BETTER for pairs in sets]
    assert 0.65 <= sum(shown) / len(shown) <= 0.95


def test_evidence_is_json_and_the_same_every_time():
    pairs = paired(candidate=0.18, slices=south)
    assert canonical_json(compare(pairs, RULE).evidence) == canonical_json(compare(pairs, RULE).evidence)


def test_the_order_of_the_utterances_makes_no_difference_to_the_decision():
    pairs = paired(candidate=0.16, slices=south)
    forward, backward = compare(pairs, RULE), compare(pairs[::-1], RULE)
    assert forward.decision is backward.decision
    assert forward.evidence["p_student"] == pytest.approx(backward.evidence["p_student"])


def test_an_utterance_twice_is_an_error():
    pair = PairedUtterance("c", "s", 10, 2, 1)
    with pytest.raises(InputError) as caught:
        compare([pair, pair], RULE)
    assert caught.value.code == "judge.duplicate_clip"


def test_counts_below_zero_are_an_error():
    with pytest.raises(InputError) as caught:
        compare([PairedUtterance("c", "s", 10, -2, 1)], RULE)
    assert caught.value.code == "judge.negative_count"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "best"},
        {"confidence": 1.0},
        {"confidence": float("nan")},
        {"min_speakers": 1},
        {"min_words": 0},
        {"max_slice_regression": -0.1},
        {"resamples": 10},
        {"seed": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        PromotionRule(**wrong)
    assert caught.value.code == "judge.rule"
    assert next(iter(wrong)) in caught.value.subject


def test_a_comparison_of_vivos_size_takes_well_below_a_tenth_of_a_second():
    pairs = paired(19, 40, candidate=0.19, slices=south)
    compare(pairs, RULE)
    began_s = time.perf_counter()
    for _ in range(5):
        compare(pairs, RULE)
    assert (time.perf_counter() - began_s) / 5 < 0.1
