"""What takes the background away, by the name in a recipe."""

from __future__ import annotations

from pathlib import Path

from phonoloop.core.errors import ConfigError
from phonoloop.voice.config import VoiceRecipe
from phonoloop.voice.separate import NONE, SIMPLE, NoSeparator, Separator, SimpleSeparator


def separator_of(recipe: VoiceRecipe) -> Separator:
    """
    Raises:
        ConfigError: `voice.separator`, it needs weights and none are named.
        UnavailableError, NotFoundError: the package or the weights are not there.
    """
    if recipe.separate == NONE:
        return NoSeparator()
    if recipe.separate == SIMPLE:
        return SimpleSeparator()
    if not recipe.separate_model:
        raise ConfigError(
            f"{recipe.separate} needs weights, and none are named",
            code="voice.separator",
            subject="separate_model",
            hint="Name their file or folder on this machine in separate_model, or say separate: simple",
        )
    return _with_weights(recipe.separate, Path(recipe.separate_model))


def _with_weights(kind: str, model: Path) -> Separator:
    if kind == "demucs":
        from phonoloop.adapters.demucs import DemucsSeparator

        return DemucsSeparator(model)
    from phonoloop.adapters.audio_separator import AudioSeparator

    return AudioSeparator(model)
