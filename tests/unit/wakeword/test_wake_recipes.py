"""Recipes of wake words: strict, checked, and all that ship can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phonoloop.core.errors import ConfigError
from phonoloop.wakeword.config import WakeRecipe, load_recipe, recipe_from_dict, recipe_names, recipe_to_dict

SHIPPED = {"default", "commands", "bcresnet", "matchboxnet", "marblenet", "distilled", "ast", "debug"}


def test_all_that_ship_are_there():
    assert set(recipe_names()) == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_recipe_is_named_after_its_file_and_comes_back_from_a_mapping(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe


def test_an_empty_recipe_is_the_default_one():
    assert recipe_from_dict({}) == WakeRecipe()


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="peak_lr") as caught:
        recipe_from_dict({"optim": {"peak_rl": 1e-3}})
    assert (caught.value.code, caught.value.subject) == ("config.unknown_key", "optim.peak_rl")


WRONG = {
    "seed": {"seed": -1},
    "synthesis.positives": {"synthesis": {"positives": -1}},
    "material.train_pct": {"material": {"train_pct": 95, "tune_pct": 5}},
    "material.negative_train_pct": {"material": {"negative_train_pct": 80}},
    "judge.smoothing_steps": {"judge": {"smoothing_steps": []}},
    "material.strip_steps": {"material": {"strip_steps": 12}},
    "augment.piece.speed": {"augment": {"piece": {"speed": [0.0, 1.0]}}},
    "augment.wave.pad_probability": {"augment": {"wave": {"speeds": [1.0], "pad_probability": 0.5}}},
    "augment.wave.speeds": {"augment": {"wave": {"speeds": [0.9, 1.0]}}},
    "loss.alpha": {"loss": {"alpha": 1.5}},
    "loss.hardest": {"loss": {"hardest": 0.0}},
    "optim.positive_share": {"optim": {"positive_share": 1.0}},
    "optim.ema": {"optim": {"ema": 1.0}},
    "mining.worst": {"mining": {"worst": 2.0}},
    "model.width": {"model": {"width": 100.0}},
    "teacher.batch": {"teacher": {"batch": 1}},
    "teacher.limit": {"teacher": {"limit": 0.0}},
    "teacher.hint": {"model": {"kind": "matchboxnet"}, "teacher": {"hint": 0.5}},
    "teacher.model.kind": {"teacher": {"enabled": True, "model": {"kind": "bcresnet"}}},
    "judge.target_per_hour": {"judge": {"target_per_hour": 0.0}},
    "gate.min_positives": {"gate": {"min_positives": 0}},
}


@pytest.mark.parametrize("subject", WRONG)
def test_values_that_make_no_sense_are_refused_by_name(subject):
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(WRONG[subject])
    assert (caught.value.code, caught.value.subject) == ("config.wrong_value", subject)


class TestWithoutABackbone:
    """What `auto` comes to is a recipe of its own: a BC-ResNet is not trained like a head."""

    @pytest.fixture
    def absent(self, monkeypatch):
        import phonoloop.wakeword.model as model

        monkeypatch.setattr(model, "find_speech_embedding", lambda path=None: None)

    def test_the_default_recipe_gives_way_to_the_one_it_names(self, absent):
        from phonoloop.wakeword.build import settled_recipe

        settled = settled_recipe(replace(load_recipe("default"), seed=9))
        assert settled == replace(load_recipe("bcresnet"), seed=9)

    def test_a_recipe_that_names_none_stays(self, absent):
        from phonoloop.wakeword.build import settled_recipe

        assert settled_recipe(WakeRecipe()) == WakeRecipe()
        assert settled_recipe(load_recipe("distilled")) == load_recipe("distilled")
