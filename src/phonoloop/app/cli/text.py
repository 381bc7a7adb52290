"""`phonoloop text`: what the loop does with text, as filters from standard input to standard output."""

from __future__ import annotations

import click

from phonoloop.app.cli.lazy import LazyGroup

#: command → (module under `phonoloop.app.cli`, attribute, one line for the menu); a new one is a line here
COMMANDS = {
    "normalise": ("text_forms", "normalise", "One spelling: Unicode, tone marks, i and y."),
    "spoken": ("text_forms", "spoken", "As it is said: numbers, dates, abbreviations in words."),
    "written": ("text_forms", "written", "As people read it: numbers in digits, no fillers."),
    "restore": ("text_restore", "restore", "Marks where they are missing: toi di hoc → tôi đi học."),
    "train-restorer": ("text_restore", "train_restorer", "Adapt the restorer to your own texts."),
    "syllables": ("text_syllables", "syllables", "Onset, rime and tone of each word, and how it sounds."),
    "phonemes": ("text_syllables", "phonemes", "Phonemes of any language, by espeak-ng."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def text() -> None:
    """Work on text, line by line.

    Each filter reads standard input and writes one line for each line. A line that is not UTF-8 is
    written as it came, and counted on standard error; the exit code is then 2.
    """
