"""A mapping becomes a dataclass only where every key is known and every value of its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from phonoloop.core.errors import ConfigError
from phonoloop.training.strict import build, read_yaml, to_mapping


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    enabled: bool = False
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    note: str | None = None


def code_of(raw) -> tuple[str, str, str]:
    with pytest.raises(ConfigError) as caught:
        build(Outer, raw)
    return caught.value.code, caught.value.subject, caught.value.hint


def test_what_is_left_out_keeps_its_default():
    assert build(Outer, {"name": "x", "inner": {"rate": 1}}) == Outer("x", inner=Inner(1.0))


def test_lists_become_tuples_and_back():
    built = build(Outer, {"name": "x", "sizes": [1, 2], "pair": [1, 2], "note": None})
    assert (built.sizes, built.pair) == ((1, 2), (1.0, 2.0))
    assert build(Outer, to_mapping(built)) == built


def test_an_unknown_key_is_named_with_its_nearest():
    assert code_of({"name": "x", "cuont": 3}) == ("config.unknown_key", "cuont", "Did you mean 'count'?")
    assert code_of({"name": "x", "inner": {"raet": 3}})[1] == "inner.raet"


@pytest.mark.parametrize(
    "raw",
    [
        {"count": "3"},
        {"count": 1.5},
        {"count": True},
        {"enabled": 1},
        {"enabled": "yes"},
        {"inner": 3},
        {"inner": {"rate": "fast"}},
        {"sizes": 3},
        {"sizes": ["a"]},
        {"pair": [1, 2, 3]},
        {"note": 3},
    ],
)
def test_a_value_of_another_type_is_refused(raw):
    assert code_of({"name": "x"} | raw)[0] == "config.wrong_type"


def test_a_value_outside_the_choices_is_refused():
    code, subject, hint = code_of({"name": "x", "inner": {"kind": "slwo"}})
    assert (code, subject, hint) == ("config.wrong_value", "inner.kind", "Did you mean 'slow'?")


def test_what_has_no_default_must_be_given():
    assert code_of({})[:2] == ("config.missing_key", "name")


def test_numbers_that_yaml_reads_as_texts_are_numbers():
    assert build(Inner, {"rate": "2e-3"}).rate == 0.002


@pytest.mark.parametrize(("text", "code"), [("a: [", "config.not_yaml"), ("- a", "config.not_yaml")])
def test_what_is_not_a_mapping_is_refused(tmp_path, text, code):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert caught.value.code == code


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert caught.value.code == "config.missing"
