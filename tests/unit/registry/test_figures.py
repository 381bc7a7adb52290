"""Errors by tone, onset and rime of a judged model, with intervals and by dialect."""

import json
from dataclasses import replace

import pytest
from registry_builders import NOON, golden, heard, model, terms

from phonoloop.registry.decide import judge_candidate
from phonoloop.registry.figures import syllable_figures
from phonoloop.registry.model import Model
from phonoloop.registry.promote import register
from phonoloop.registry.rates import part_rates, rate_of
from phonoloop.registry.statistics import rate_interval
from phonoloop.text.alignment import Counts
from phonoloop.text.syllable_errors import part_errors

GOLDEN = golden()


def said(hypothesis_of, reference="má mà ngã"):
    """Eight speakers, ten clips each; the first half of the speakers is from the south."""
    return [
        replace(one, reference=reference, hypothesis=hypothesis_of(one))
        for one in heard("m", lambda i: 1, of=GOLDEN)
    ]


def as_the_south_hears(one):
    return "má mà ngả" if one.slices["dialect"] == "south" else "má mà ngã"


def test_shares_are_of_the_syllables_that_were_said():
    parts = syllable_figures(said(as_the_south_hears))["parts"]
    assert (parts["tone"]["errors"], parts["tone"]["reference"]) == (40, 240)
    assert parts["tone"]["rate"] == pytest.approx(1 / 6)
    assert parts["onset"]["errors"] == parts["rime"]["errors"] == 0
    assert parts["confusions"] == [{"part": "tone", "said": "ngã", "heard": "hỏi", "times": 40}]


def test_intervals_are_over_speakers_at_the_rules_confidence():
    tone = syllable_figures(said(as_the_south_hears), confidence=0.9)["parts"]["tone"]
    assert (tone["low"], tone["high"]) == rate_interval([10] * 4 + [0] * 4, [30] * 8, confidence=0.9)
    alone = rate_of([("anna", Counts(1, 0, 0, 10))])
    assert (alone.rate, alone.low, alone.high) == (0.1, None, None)


def test_each_dialect_has_its_own():
    by_dialect = syllable_figures(said(as_the_south_hears))["parts_by_dialect"]
    assert by_dialect["south"]["tone"]["rate"] == pytest.approx(1 / 3)
    assert by_dialect["north"]["tone"]["rate"] == 0
    unnamed = [replace(one, slices={}) for one in said(as_the_south_hears)]
    assert "parts_by_dialect" not in syllable_figures(unnamed)


def test_other_languages_have_none():
    assert syllable_figures(said(lambda one: "what", reference="what happened there")) == {}
    assert syllable_figures([]) == {}
    assert syllable_figures(said(as_the_south_hears), language="en") == {}
    assert part_rates([("anna", part_errors("hello world", "hello"))]) is None


def test_judging_keeps_them_among_the_figures_of_the_model(tx):
    register(tx, model("m"))
    tx.put(*said(as_the_south_hears))
    figures = {"m": syllable_figures(said(as_the_south_hears))}
    judge_candidate(tx, "m", replace(terms(GOLDEN), syllable_figures=figures), now=NOON)
    kept = tx.get(Model, "m").metrics["golden"]
    assert kept["parts"] == figures["m"]["parts"]
    assert kept["rate"] == 0.1
    assert json.loads(json.dumps(kept)) == kept
