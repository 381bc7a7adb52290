"""The recipes that ship: each one is whole, and `debug` goes the whole way."""

from __future__ import annotations

import pytest
import torch

from phonoloop.asr.config import load_recipe, recipe_from_dict, recipe_names, recipe_to_dict
from phonoloop.asr.evaluate import evaluate
from phonoloop.asr.export import export
from phonoloop.asr.infer import Recogniser
from phonoloop.asr.model import CtcModel, parameter_count
from phonoloop.asr.train import train
from phonoloop.testing.tones import make_corpus

MILLIONS = {"debug": (0.0, 0.1), "small": (2.5, 3.5), "base": (13.0, 17.0)}


def test_the_promised_recipes_ship():
    assert set(MILLIONS) <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_valid_and_survives_being_written(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe


@pytest.mark.parametrize("name", MILLIONS)
def test_sizes_are_as_promised(name):
    recipe = load_recipe(name)
    with torch.device("meta"):
        model = CtcModel(recipe.model, n_mels=80, vocab_size=110)
    low, high = MILLIONS[name]
    assert low <= parameter_count(model) / 1e6 <= high


def test_debug_trains_exports_and_recognises(tmp_path):
    corpus = make_corpus(tmp_path, 24)
    result = train(
        load_recipe("debug"),
        train_rows=corpus.train,
        val_rows=corpus.val,
        audio_roots=[tmp_path],
        out_dir=tmp_path / "run",
    )
    assert result.epochs == 3
    exported = export(result.out_dir, tmp_path / "model")
    assert exported.worst_difference < 1e-4
    evaluation = evaluate(Recogniser.load(exported.folder), corpus.val, [tmp_path])
    assert len(evaluation.utterances) == len(corpus.val)
    assert evaluation.wer.reference == sum(len(row.text.split()) for row in corpus.val)
