"""Recipes are found by name or path, and their rules are held."""

from __future__ import annotations

from pathlib import Path

import pytest

from phonoloop.core.errors import ConfigError
from phonoloop.training.recipes import enforce, find_recipe, recipe_names


def test_a_name_is_one_that_ships():
    assert "debug" in recipe_names("asr")
    assert find_recipe("asr", "debug").name == "debug.yaml"


@pytest.mark.parametrize("given", ["mine.yaml", "folder/mine", "./mine.yml"])
def test_a_path_is_left_alone(given):
    assert find_recipe("asr", given) == Path(given)


def test_a_name_that_does_not_ship_is_told_with_those_that_do():
    with pytest.raises(ConfigError) as caught:
        find_recipe("asr", "debgu")
    assert caught.value.code == "config.missing"
    assert "debug" in caught.value.hint


def test_the_first_rule_that_does_not_hold_is_told():
    enforce([("seed", True, "never said")])
    with pytest.raises(ConfigError, match="too few") as caught:
        enforce([("seed", True, "never said"), ("epochs", False, "too few"), ("lr", False, "not reached")])
    assert (caught.value.code, caught.value.subject) == ("config.wrong_value", "epochs")
