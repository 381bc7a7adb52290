"""`phonoloop wakeword`: from a phrase to a detector."""

from __future__ import annotations

import click

from phonoloop.app.cli.lazy import LazyGroup

#: command → (module under `phonoloop.app.cli`, attribute, one line for the menu); a new one is a line here
COMMANDS = {
    "advise": ("wakeword_advise", "advise", "Is this a good phrase? Before anything is recorded."),
    "negatives": (
        "wakeword_negatives",
        "negatives",
        "Write what is near the phrase as WAVs, to listen and reject.",
    ),
    "train": ("wakeword_train", "train", "Train a detector for a phrase."),
    "evaluate": ("wakeword_evaluate", "evaluate", "Misses and false accepts an hour, through the detector."),
    "scan": ("wakeword_listen", "scan", "Find the phrase in files."),
    "listen": ("wakeword_listen", "listen", "Find the phrase in a microphone or a pipe."),
    "dataset": ("wakeword_dataset", "dataset", "Make, fill, label and inspect datasets of clips."),
    "current": ("wakeword_current", "current", "Which detector serves."),
    "promote": ("wakeword_current", "promote", "Let a detector serve from now on."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def wakeword() -> None:
    """Wake words: advise on a phrase, train a detector, judge it, listen with it."""
