"""Recipes of voices: `recipes/voice/*.yaml`, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from phonoloop.training import strict
from phonoloop.training.recipes import enforce, find_recipe
from phonoloop.voice.datasets import DatasetSettings
from phonoloop.voice.gates import GateSettings
from phonoloop.voice.model import TrainSettings
from phonoloop.voice.process import ProcessSettings
from phonoloop.voice.segment import SegmentSettings
from phonoloop.voice.transcribe import TranscribeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRecipe:
    """How a voice is made.

    Attributes:
        separate: what takes the background away: `none`; `simple`, which needs no weights; `demucs` or
            `audio-separator` with a model of their own.
        separate_model: a folder or file of that model's weights on this machine.
        others: see there.
    """

    separate: Literal["none", "simple", "demucs", "audio-separator"] = "none"
    separate_model: str = ""
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    gates: GateSettings = field(default_factory=GateSettings)
    transcribe: TranscribeSettings = field(default_factory=TranscribeSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    train: TrainSettings = field(default_factory=TrainSettings)


def load_recipe(name_or_path: str | Path) -> VoiceRecipe:
    """
    Raises:
        ConfigError: `config.missing`, `config.not_yaml`, `config.unknown_key`, `config.wrong_type`,
            `config.wrong_value`; those of the settings themselves.
    """
    return recipe_from_dict(strict.read_yaml(find_recipe("voice", name_or_path)))


def recipe_from_dict(raw: Mapping[str, Any]) -> VoiceRecipe:
    """Raises as `load_recipe`."""
    recipe = strict.build(VoiceRecipe, raw)
    check(recipe)
    return recipe


def recipe_to_dict(recipe: VoiceRecipe) -> dict[str, Any]:
    return strict.to_mapping(recipe)


def check(recipe: VoiceRecipe) -> None:
    """Raises ConfigError `config.wrong_value`, where sections contradict each other."""
    longest_s = recipe.gates.max_s
    enforce(
        (
            (
                "gates.max_s",
                longest_s is None or longest_s >= recipe.segment.max_s,
                "gates.max_s would refuse what segment.max_s allows",
            ),
            (
                "transcribe.min_trust",
                0 <= recipe.transcribe.min_trust <= 1,
                "min_trust lies between 0 and 1",
            ),
        )
    )
