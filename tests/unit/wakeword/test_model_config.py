"""What a recipe may say about the network."""

import dataclasses

import pytest

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import ConfigError
from phonoloop.training.strict import build, to_mapping
from phonoloop.wakeword.model_config import ModelRecipe, check


def test_the_default_holds_and_survives_yaml():
    check(ModelRecipe())
    assert build(ModelRecipe, to_mapping(ModelRecipe())) == ModelRecipe()


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"width": 0.0}, "model.width"),
        ({"time_stride": 0}, "model.time_stride"),
        ({"time_stride": 3}, "model.time_stride"),
        ({"dilations": (1, 2, 4)}, "model.dilations"),
        ({"dilations": (1, 2, 4, 0)}, "model.dilations"),
        ({"blocks": 0}, "model.blocks"),
        ({"repeats": -1}, "model.repeats"),
        ({"channels": 2}, "model.channels"),
        ({"pool_ms": 100}, "model.pool_ms"),
        ({"pool_ms": 0}, "model.pool_ms"),
        ({"kind": "ast"}, "model.backbone"),
        ({"head_steps": 0}, "model.head_steps"),
        ({"head_width": 0}, "model.head_width"),
        ({"dense": (256, 0)}, "model.dense"),
        ({"ast_ms": 1000}, "model.ast_ms"),
        ({"dropout": 1.0}, "model.dropout"),
        ({"front_end": FrontEnd(n_mels=64)}, "model.front_end.n_mels"),
        ({"front_end": FrontEnd(n_mels=40, sample_rate_hz=8000)}, "model.front_end.sample_rate_hz"),
        ({"front_end": FrontEnd(n_mels=40, hop_ms=15)}, "model.front_end.hop_ms"),
        ({"front_end": FrontEnd(n_mels=40, frame_ms=5)}, "model.front_end.frame_ms"),
        ({"front_end": FrontEnd(n_mels=40, window="hamming")}, "model.front_end.window"),
        ({"front_end": FrontEnd(n_mels=40, std=0.0)}, "model.front_end.std"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(change, subject):
    with pytest.raises(ConfigError) as caught:
        check(dataclasses.replace(ModelRecipe(), **change))
    assert (caught.value.code, caught.value.subject) == ("config.wrong_value", subject)


def test_only_a_bcresnet_is_particular_about_bands():
    check(ModelRecipe(kind="matchboxnet", front_end=FrontEnd(n_mels=64)))
