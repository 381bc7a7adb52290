"""`phonoloop`: the menu. Each command's module is imported only when it is used."""

from __future__ import annotations

import sys

import click

from phonoloop import __version__
from phonoloop.app.cli.lazy import LazyGroup

#: command → (module under `phonoloop.app.cli`, attribute, one line for the menu)
COMMANDS = {
    "up": ("up", "up", "Watch the inbox, run the loop and serve HTTP until stopped."),
    "ingest": ("ingest", "ingest", "Take in recordings and carry them through to the dataset."),
    "status": ("status", "status", "What is there: hours, speakers, waiting work, the champion."),
    "train": ("train", "train", "Train a model now and judge it against the champion."),
    "evaluate": ("evaluate", "evaluate", "Measure a model on a manifest."),
    "transcribe": ("transcribe", "transcribe", "Write down what is said in files."),
    "text": ("text", "text", "Normalise Vietnamese text, line by line; diacritics, syllables."),
    "wakeword": ("wakeword", "wakeword", "Wake words: advise, train, judge, listen."),
    "voice": ("voice", "voice", "Voices: segment, build, review, speak."),
    "search": ("search", "search", "Find where something was said, marks or no marks."),
    "models": ("models", "models", "List, show, promote, roll back and export models."),
    "speakers": ("speakers", "speakers", "List speakers and pin one to a split."),
    "data": ("data", "data", "Freeze, export and inspect datasets."),
    "jobs": ("jobs", "jobs", "List, follow and cancel long work."),
    "events": ("events", "events", "Read the event log and its dead letters; replay them."),
    "demo": ("demo", "demo", "The whole loop on synthesised Vietnamese or on your recordings."),
    "doctor": ("doctor", "doctor", "Check this installation and the data folder."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="phonoloop")
def cli() -> None:
    """Drop audio in, get better speech models out."""


def main() -> None:
    """Entry point: runs a command and turns the error tree into exit codes and sentences."""
    from phonoloop.core.errors import PhonoloopError

    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except PhonoloopError as error:
        from phonoloop.app.cli.common import fail

        sys.exit(fail(error))


if __name__ == "__main__":
    main()
