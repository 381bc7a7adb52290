"""`phonoloop voice`: from recordings to a voice that speaks."""

from __future__ import annotations

import click

from phonoloop.app.cli.lazy import LazyGroup

#: command → (module under `phonoloop.app.cli`, attribute, one line for the menu); a new one is a line here
COMMANDS = {
    "build": ("voice_build", "build", "From recordings to clips, a dataset and a voice."),
    "segment": ("voice_segment", "segment", "Cut recordings at their pauses; say where each piece was."),
    "review": ("voice_review", "review", "The clips worth a look: list, accept, correct."),
    "coverage": ("voice_coverage", "coverage", "Which sounds are missing, and sentences that have them."),
    "say": ("voice_say", "say", "Let a voice say something."),
    "read": ("voice_read", "read", "Let a voice read lines, as recordings for a recogniser to learn from."),
    "list": ("voice_installed", "list_voices", "Voices that are installed."),
    "show": ("voice_installed", "show", "One installed voice: its card, lineage and consent."),
    "export": ("voice_installed", "export", "Copy an installed voice out, for Piper's own player."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def voice() -> None:
    """Voices: clean clips from hours of talk, a dataset, a voice that speaks."""
